#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes what cvq's image of the fixed checkpoint has to be, computed independently.

    fixed_image.py FILE [--dtype fp16|bf16] [--overflow inf|clamp]
                   [--checksum seal|exact|none] [--align N]

Works from the documented format alone: no torch, and nothing of cvq's.
"""
import argparse
import struct
import sys
import zlib
from typing import List, Tuple

import fixed_checkpoint
from torch_zip import Checkpoint, Storage, quiet_bytes


def round_to_even(value: int, bits: int) -> int:
    """value / 2**bits as an integer, halves to the even one."""
    half = (1 << bits) >> 1
    odd = value >> bits & 1
    return value + half - 1 + odd >> bits if bits else value


def to_fp16(x: int, clamp: bool) -> int:
    sign, magnitude = x >> 16 & 0x8000, x & 0x7FFFFFFF
    if magnitude > 0x7F800000:
        return sign | 0x7E00 | magnitude >> 13 & 0x1FF
    if magnitude >= 0x477FF000:  # 65520
        return sign | (0x7BFF if clamp else 0x7C00)
    if magnitude >= 0x38800000:  # normal: 2^-14 and more
        return sign | round_to_even(magnitude - (112 << 23), 13)
    shift = 126 - (magnitude >> 23)
    if shift > 24:
        return sign
    return sign | round_to_even(magnitude & 0x7FFFFF | 0x800000, shift)


def to_bf16(x: int, clamp: bool) -> int:
    sign, magnitude = x >> 16 & 0x8000, x & 0x7FFFFFFF
    if magnitude > 0x7F800000:
        return sign | 0x7FC0
    rounded = round_to_even(magnitude, 16)
    return sign | (0x7F7F if clamp and rounded >= 0x7F80 else rounded)


def sealed(data: bytes, target: int) -> bytes:
    """'data', the four bytes that make the CRC-32 of the whole 'target', and the zeros."""
    before, zeros = zlib.crc32(data), bytes(quiet_bytes(len(data)))

    def crc(seal: int) -> int:
        return zlib.crc32(struct.pack("<I", seal) + zeros, before)

    # What each of the 32 bits does to the CRC, reduced to distinct leading bits.
    effects: List[Tuple[int, int]] = []
    for bit in range(32):
        effect, chosen = crc(1 << bit) ^ crc(0), 1 << bit
        for other, others in effects:
            if effect ^ other < effect:
                effect, chosen = effect ^ other, chosen ^ others
        effects.append((effect, chosen))
        effects.sort(reverse=True)
    missing, seal = crc(0) ^ target, 0
    for effect, chosen in effects:
        if missing ^ effect < missing:
            missing, seal = missing ^ effect, seal ^ chosen
    assert crc(seal) == target
    return data + struct.pack("<I", seal) + zeros


def convert(storage: Storage, arguments: argparse.Namespace) -> Storage:
    values = struct.unpack(f"<{storage.numel}I", storage.data)
    one = to_fp16 if arguments.dtype == "fp16" else to_bf16
    clamp = arguments.overflow == "clamp"
    data = struct.pack(f"<{storage.numel}H", *(one(value, clamp) for value in values))
    if arguments.checksum == "seal" and storage.numel:
        data = sealed(data, zlib.crc32(storage.data))
    kind = "HalfStorage" if arguments.dtype == "fp16" else "BFloat16Storage"
    return Storage(kind, len(data) // 2, data, 0 if arguments.checksum == "none" else None)


def image(arguments: argparse.Namespace) -> Checkpoint:
    checkpoint = fixed_checkpoint.make()
    checkpoint.edited = True
    kept = {tensor.storage for name, tensor in checkpoint.tensors.items()
            if name.endswith("inv_freq")}
    for key, storage in enumerate(checkpoint.storages):
        if storage.kind == "FloatStorage" and key not in kept:
            checkpoint.storages[key] = convert(storage, arguments)
    return checkpoint


def parse(words: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file")
    parser.add_argument("--dtype", choices=["fp16", "bf16"], default="fp16")
    parser.add_argument("--overflow", choices=["inf", "clamp"], default="inf")
    parser.add_argument("--checksum", choices=["seal", "exact", "none"], default="seal")
    parser.add_argument("--align", type=int, default=64)
    return parser.parse_args(words)


def main() -> int:
    arguments = parse(sys.argv[1:])
    with open(arguments.file, "wb") as file:
        image(arguments).write(file, alignment=arguments.align)
    return 0


if __name__ == "__main__":
    sys.exit(main())
