#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Flips bits of a storage of an archive.

    flip_bits.py FILE KEY BIT...

The bits of the record data/KEY are counted from its first byte's lowest one.
"""
import sys
import zipfile


def main() -> int:
    path, key = sys.argv[1:3]
    with zipfile.ZipFile(path) as archive:
        (entry,) = [entry for entry in archive.infolist()
                    if entry.filename.endswith(f"/data/{key}")]
    with open(path, "r+b") as file:
        file.seek(entry.header_offset + 26)
        lengths = file.read(4)
        start = entry.header_offset + 30 + int.from_bytes(lengths[:2], "little") \
            + int.from_bytes(lengths[2:], "little")
        for bit in map(int, sys.argv[3:]):
            file.seek(start + bit // 8)
            (byte,) = file.read(1)
            file.seek(start + bit // 8)
            file.write(bytes([byte ^ 1 << bit % 8]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
