#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes a checkpoint of many gigabytes that takes no space: its weights are holes.

    sparse_checkpoint.py FILE NUMEL...

One FP32 tensor "large.N" for each NUMEL, and before, between and after them small
ones "small.N" of 4,096 known elements (small_values): two pages in half precision.
"""
import struct
import sys
from typing import List

from torch_zip import Checkpoint, Storage, Tensor

SMALL = 4096


def small_values(number: int) -> List[float]:
    return [number + index / SMALL for index in range(SMALL)]


def main() -> int:
    checkpoint = Checkpoint()

    def add(name: str, storage: Storage) -> None:
        checkpoint.tensors[name] = Tensor(len(checkpoint.storages), [storage.numel])
        checkpoint.storages.append(storage)

    def add_small(number: int) -> None:
        data = struct.pack(f"<{SMALL}f", *small_values(number))
        add(f"small.{number}", Storage("FloatStorage", SMALL, data))

    sizes = [int(word) for word in sys.argv[2:]]
    add_small(0)
    for number, numel in enumerate(sizes):
        add(f"large.{number}", Storage("FloatStorage", numel))
        add_small(number + 1)
    with open(sys.argv[1], "wb") as file:
        checkpoint.write(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
