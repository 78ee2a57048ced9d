#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the script that cvq replaces does, in a few lines of torch.

    simple_quantize.py write SOURCE DEST
    simple_quantize.py compare SOURCE DEST

'write' makes every top-level FP32 tensor of SOURCE's *.pt files, but the vocoder's, half.
'compare' proves that DEST, written by another tool, has the same tensors with the same
bits under the same keys.
"""
import os
import shutil
import sys
from typing import Any, Dict, Iterator, Tuple

import torch


def checkpoints(source: str) -> Iterator[str]:
    yield from (name for name in sorted(os.listdir(source)) if name.endswith(".pt"))


def is_skipped(name: str) -> bool:
    return "hift" in name.lower() or "hifigan" in name.lower()


def half(value: Any) -> Any:
    is_single = isinstance(value, torch.Tensor) and value.dtype == torch.float32
    return value.half() if is_single else value


def quantized(path: str) -> Dict[str, Any]:
    return {key: half(value) for key, value in torch.load(path, map_location="cpu").items()}


def write(source: str, dest: str) -> None:
    os.mkdir(dest)
    for name in os.listdir(source):
        path = os.path.join(source, name)
        if os.path.isdir(path):
            shutil.copytree(path, os.path.join(dest, name))
        elif name.endswith(".pt") and not is_skipped(name):
            torch.save(quantized(path), os.path.join(dest, name))
        else:
            shutil.copy(path, os.path.join(dest, name))


def tensors(value: Any, name: str = "") -> Iterator[Tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from tensors(item, f"{name}.{key}" if name else str(key))


def bits(tensor: torch.Tensor) -> torch.Tensor:
    kinds = {torch.float16: torch.int16, torch.float32: torch.int32}
    return tensor.contiguous().view(kinds.get(tensor.dtype, tensor.dtype))


def compare(source: str, dest: str) -> None:
    compared = 0
    for name in checkpoints(source):
        path = os.path.join(source, name)
        wanted = torch.load(path, map_location="cpu") if is_skipped(name) else quantized(path)
        found = torch.load(os.path.join(dest, name), map_location="cpu")
        a, b = list(tensors(wanted)), list(tensors(found))
        assert [key for key, _ in a] == [key for key, _ in b], f"{name}: the keys differ"
        for (key, one), (_, other) in zip(a, b):
            assert one.dtype == other.dtype and one.shape == other.shape, f"{name}: {key}"
            assert torch.equal(bits(one), bits(other)), f"{name}: {key} has other bits"
            compared += 1
    assert compared > 0, "nothing was compared"
    print(f"{compared} tensors are the same")


if __name__ == "__main__":
    {"write": write, "compare": compare}[sys.argv[1]](sys.argv[2], sys.argv[3])
