#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes the same tensors in every form of file, in FP32 and in FP16.

    tensor_forms.py DIRECTORY

DIRECTORY/single and DIRECTORY/half get the files. The tensors lie on their storages in
every way; in some of the FP16 files, which another program than cvq made, in another way
than in the FP32 ones.
"""
import os
import sys
from typing import Dict

import torch
from safetensors_files import write_tensors

Tensors = Dict[str, torch.Tensor]


def make() -> Tensors:
    generator = torch.Generator().manual_seed(11)

    def randn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    large = randn(700, 600)
    return {
        "plain": randn(1000, 333) * 1e-4,
        "transposed": randn(1100, 900).t(),
        "rows": large[100:300],
        "columns": large[:, 7:307],
        "strided": large[::3, ::7],
        "permuted": randn(3, 40, 50, 6, 7).permute(3, 0, 4, 2, 1),
        "expanded": randn(1, 60, 1).expand(50, 60, 70),
        "windows": randn(5000).unfold(0, 64, 16),
        "channels_last": randn(8, 16, 20, 20).contiguous(memory_format=torch.channels_last),
        "scalar": torch.tensor(1e6),
        "empty": torch.empty(0, 3),
        "special": torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0, 1e-8, 65519.9]),
        "rope.inv_freq": randn(64),
        "steps": torch.arange(1000).view(10, 100).t(),
        "double": randn(30).double(),
        "mask": torch.tensor([True, False, True]),
        "brain": randn(20).bfloat16(),
        "中文.权重": randn(20, 30),
    }


def half(tensors: Tensors) -> Tensors:
    """What .half() makes of what cvq converts."""
    return {name: tensor.half() if tensor.dtype == torch.float32 and name != "rope.inv_freq"
            else tensor for name, tensor in tensors.items()}


def contiguous(tensors: Tensors) -> Tensors:
    return {name: tensor.contiguous() for name, tensor in reversed(tensors.items())}


def turned(tensor: torch.Tensor) -> torch.Tensor:
    """The same values in a storage of their own, the first axis the innermost."""
    axes = list(range(tensor.dim()))[::-1]
    return tensor.permute(axes).contiguous().permute(axes)


def save(tensors: Tensors, directory: str) -> None:
    os.makedirs(directory)
    torch.save(tensors, os.path.join(directory, "zip.pt"))
    torch.save(tensors, os.path.join(directory, "legacy.pt"),
               _use_new_zipfile_serialization=False)
    torch.save(contiguous(tensors), os.path.join(directory, "contiguous.pt"))
    torch.save({name: turned(tensor) for name, tensor in tensors.items()},
               os.path.join(directory, "turned.pt"))
    write_tensors(os.path.join(directory, "model.safetensors"), tensors, {})


if __name__ == "__main__":
    save(make(), os.path.join(sys.argv[1], "single"))
    save(half(make()), os.path.join(sys.argv[1], "half"))
