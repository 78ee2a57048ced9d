#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes the fixed checkpoint: the same bytes on every machine, with every torch.

    fixed_checkpoint.py FILE [--big-endian]

Its weights hold every kind of number that FP32 has, its tensors every way to lie
on a storage.  Made without torch and without any library's random numbers.
"""
import argparse
import struct
import sys
from typing import List

from torch_zip import Checkpoint, Storage, Tensor

SPECIAL = [
    0x00000000, 0x80000000, 0x3F800000, 0xBF800000,  # zeros, ones
    0x7F800000, 0xFF800000,  # infinities
    0x7FC00000, 0xFFC00000, 0x7F800001, 0x7FA00000, 0x7FFFFFFF, 0xFF812345,  # NaNs
    0x477FE000, 0x477FEFFF, 0x477FF000, 0x477FF001, 0xC77FF000, 0x7F7FFFFF,  # about 65504, 65520
    0x7F7F7FFF, 0x7F7F8000, 0xFF7F8000,  # where bfloat16 overflows
    0x33000000, 0x33000001, 0x32FFFFFF, 0xB3000000, 0xB3000001,  # 2^-25: half the least subnormal
    0x33800000, 0x33C00000, 0x387FC000, 0x387FE000, 0x38800000, 0x387FFFFF,  # about subnormals
    0x00000001, 0x807FFFFF, 0x00800000,  # FP32's own subnormals
    0x3F801000, 0x3F803000, 0x3F801001, 0x3F800FFF,  # ties to even in FP16
    0x3F808000, 0x3F818000, 0x3F808001,  # and in bfloat16
]


def noise(count: int, seed: int) -> List[int]:
    """Any 32-bit patterns: a linear congruential generator, its upper halves."""
    values, state = [], seed
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        values.append(state >> 32)
    return values


def weights(count: int, seed: int) -> List[int]:
    """Patterns of numbers as weights have them: between 2^-27 and 2."""
    return [value & 0x807FFFFF | 100 + (value >> 23) % 28 << 23 for value in noise(count, seed)]


def make(byteorder: str = "little") -> Checkpoint:
    mark = "<" if byteorder == "little" else ">"
    checkpoint = Checkpoint()

    def floats(patterns: List[int]) -> int:
        data = struct.pack(f"{mark}{len(patterns)}I", *patterns)
        checkpoint.storages.append(Storage("FloatStorage", len(patterns), data))
        return len(checkpoint.storages) - 1

    def others(kind: str, numel: int, data: bytes) -> int:
        checkpoint.storages.append(Storage(kind, numel, data))
        return len(checkpoint.storages) - 1

    tensors = checkpoint.tensors
    tensors["special.weight"] = Tensor(floats(SPECIAL), [len(SPECIAL)])
    tensors["layer.weight"] = Tensor(floats(weights(70000, 1)), [250, 280])
    tensors["layer.bias"] = Tensor(floats(weights(40, 2)), [4, 5], offset=7)
    tensors["counter"] = Tensor(others("LongStorage", 1, struct.pack(f"{mark}q", 123456789)), [])
    tensors["tied.weight"] = Tensor(1, [280, 250], stride=[1, 280])
    tensors["expanded"] = Tensor(2, [3, 40], stride=[0, 1])
    tensors["rope.inv_freq"] = Tensor(floats(weights(16, 3)), [16])
    tensors["mask"] = Tensor(others("BoolStorage", 9, bytes([1, 0, 1] * 3)), [3, 3])
    tensors["empty"] = Tensor(floats([]), [0, 4])
    tensors["scalar"] = Tensor(floats([0x40490FDB]), [])
    tensors["noise"] = Tensor(floats(noise(4097, 4)), [17, 241])
    doubles = struct.pack(f"{mark}3d", 1.0, -2.5, 1e300)
    tensors["double"] = Tensor(others("DoubleStorage", 3, doubles), [3])
    return checkpoint


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file")
    parser.add_argument("--big-endian", action="store_true")
    arguments = parser.parse_args()
    byteorder = "big" if arguments.big_endian else "little"
    with open(arguments.file, "wb") as file:
        make(byteorder).write(file, byteorder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
