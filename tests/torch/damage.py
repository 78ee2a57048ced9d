#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Damages one thing in a checkpoint that torch can read.

    damage.py flip FILE RECORD BIT...   flips bits of the record data/RECORD of an archive
    damage.py drop FILE NAME            leaves a tensor out
    damage.py reshape FILE NAME         makes it a vector
    damage.py add FILE NAME             adds one
"""
import sys
import zipfile

import torch


def flip(path: str, record: str, *bits: str) -> None:
    with zipfile.ZipFile(path) as archive:
        (entry,) = [e for e in archive.infolist() if e.filename.endswith(f"/data/{record}")]
    with open(path, "r+b") as file:
        file.seek(entry.header_offset + 26)
        lengths = file.read(4)
        start = entry.header_offset + 30 + int.from_bytes(lengths[:2], "little") \
            + int.from_bytes(lengths[2:], "little")
        for bit in map(int, bits):
            file.seek(start + bit // 8)
            (byte,) = file.read(1)
            file.seek(start + bit // 8)
            file.write(bytes([byte ^ 1 << bit % 8]))


def change(what: str, path: str, name: str) -> None:
    state = torch.load(path)
    if what == "drop":
        del state[name]
    elif what == "reshape":
        state[name] = state[name].reshape(-1)
    else:
        state[name] = torch.zeros(2)
    torch.save(state, path)


if __name__ == "__main__":
    if sys.argv[1] == "flip":
        flip(*sys.argv[2:])
    else:
        change(*sys.argv[1:])
