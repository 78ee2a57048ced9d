#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Reads the last values of one tensor of a sparse checkpoint's view and checks them.

    read_one_tensor.py VIEW NAME read|map|torch

"read" and "map" find the one record by the archive's directory and the pickle and
read it, or look at it in a mapping of the file; "torch" is torch.load(mmap=True).
NAME is "small.N" or "large.N".
"""
import io
import mmap
import os
import pickle
import struct
import sys
import zipfile
from typing import Any, List

from sparse_checkpoint import SMALL, last_values

BYTES = 2 * SMALL


class State(dict):
    """In place of OrderedDict: a dict that takes its _metadata."""


class Locator(pickle.Unpickler):
    """Turns tensors into the keys of their storages and their lengths; runs nothing."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "_rebuild_tensor_v2":
            return lambda storage, offset, shape, *rest: (storage, shape[0])
        return State if name == "OrderedDict" else name

    def persistent_load(self, pid: tuple) -> str:
        return pid[2]


def locate(path: str, name: str) -> int:
    """The offset of the tensor's last values in the file."""
    with zipfile.ZipFile(path) as archive:
        tensors = Locator(io.BytesIO(archive.read("archive/data.pkl"))).load()
        key, length = tensors[name]
        entry = archive.getinfo(f"archive/data/{key}")
    with open(path, "rb") as file:
        file.seek(entry.header_offset + 26)
        start = entry.header_offset + 30 + sum(struct.unpack("<HH", file.read(4)))
    return start + 2 * length - BYTES


def read_values(path: str, name: str, way: str) -> List[float]:
    if way == "torch":
        import torch
        return torch.load(path, mmap=True, weights_only=True)[name][-SMALL:].tolist()
    offset = locate(path, name)
    with open(path, "rb") as file:
        if way == "map":
            # Nothing that was read to find it shall spare the page faults.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
                data = mapped[offset:offset + BYTES]
        else:
            file.seek(offset)
            data = file.read(BYTES)
    return list(struct.unpack(f"<{SMALL}e", data))


def main() -> int:
    path, name, way = sys.argv[1:4]
    expected = [struct.unpack("<e", struct.pack("<e", value))[0]
                for value in last_values(name)]
    if read_values(path, name, way) != expected:
        print(f"{path}: {name} has the wrong values")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
