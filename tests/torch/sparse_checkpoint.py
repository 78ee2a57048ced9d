#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes a checkpoint of many gigabytes that takes no space: its weights are holes.

    sparse_checkpoint.py FILE NUMEL...

One FP32 tensor "large.N" for each NUMEL, and before, between and after them small
ones "small.N" of 4,096 known elements: two pages in half precision.  So are the last
elements of the large ones.
"""
import struct
import sys
from typing import List

from torch_zip import Checkpoint, Storage, Tensor

SMALL = 4096


def last_values(name: str) -> List[float]:
    """All elements of a small tensor, and the last ones of a large one."""
    kind, number = name.split(".")
    sign = 1 if kind == "small" else -1
    return [sign * (int(number) + (index + 1) / SMALL) for index in range(SMALL)]


def main() -> int:
    checkpoint = Checkpoint()

    def add(name: str, storage: Storage) -> None:
        checkpoint.tensors[name] = Tensor(len(checkpoint.storages), [storage.numel])
        checkpoint.storages.append(storage)

    def pack(name: str) -> bytes:
        return struct.pack(f"<{SMALL}f", *last_values(name))

    def add_small(name: str) -> None:
        add(name, Storage("FloatStorage", SMALL, pack(name)))

    def add_large(name: str, numel: int) -> None:
        add(name, Storage("FloatStorage", numel, tail=pack(name)))

    sizes = [int(word) for word in sys.argv[2:]]
    add_small("small.0")
    for number, numel in enumerate(sizes):
        add_large(f"large.{number}", numel)
        add_small(f"small.{number + 1}")
    with open(sys.argv[1], "wb") as file:
        checkpoint.write(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
