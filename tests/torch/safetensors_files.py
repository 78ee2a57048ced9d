#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""safetensors, written and read in plain Python.

    safetensors_files.py write FILE
    safetensors_files.py compare SOURCE VIEW

'compare' proves that each F32 tensor of VIEW that no rule keeps is .half() of
SOURCE's, bit for bit, that all else is the same, and that VIEW is what safetensors'
own reader demands: tensors without gaps up to the end, each aligned to its elements.
Where that reader is installed, it has to read the same of it.
"""
import json
import struct
import sys
from typing import Dict, Tuple

import torch

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16,
          "BF16": torch.bfloat16, "I64": torch.int64, "U8": torch.uint8, "BOOL": torch.bool}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def raw(tensor: torch.Tensor) -> bytes:
    return bytes(tensor.contiguous().view(-1).view(torch.uint8).tolist())


def write(path: str) -> None:
    generator = torch.Generator().manual_seed(7)
    tensors = {
        "模型.weight": torch.randn(300, 257, generator=generator),
        "layer.bias": torch.randn(5, generator=generator) * 1e5,
        "rope.inv_freq": torch.rand(33, generator=generator),
        "steps": torch.arange(9),
        "double": torch.randn(3, generator=generator, dtype=torch.float64),
        "mask": torch.tensor([True, False, True]),
        "half": torch.randn(3, generator=generator).half(),
        "brain": torch.randn(2, generator=generator).bfloat16(),
        "scalar": torch.tensor(0.1),
        "empty": torch.empty(0, 4),
        "bytes": torch.arange(7, dtype=torch.uint8),
    }
    write_tensors(path, tensors, {"format": "pt", "文": "字"})


def write_tensors(path: str, tensors: Dict[str, torch.Tensor], metadata: dict) -> None:
    header: dict = {"__metadata__": metadata}
    data = b""
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        payload = raw(tensor)
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(payload)]}
        data += payload
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def read(path: str) -> Tuple[dict, Dict[str, torch.Tensor]]:
    with open(path, "rb") as file:
        content = file.read()
    (length,) = struct.unpack_from("<Q", content)
    assert length % 8 == 0, "the tensors are not aligned"
    header = json.loads(content[8:8 + length])
    metadata = header.pop("__metadata__")
    data = content[8 + length:]
    tensors, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, after = entry["data_offsets"]
        dtype, shape = DTYPES[entry["dtype"]], entry["shape"]
        assert begin == end, f"{name}: there is a gap before it"
        end = after
        size = torch.empty(0, dtype=dtype).element_size()
        assert begin % size == 0, f"{name}: is not aligned to its elements"
        tensor = torch.frombuffer(bytearray(data[begin:end]), dtype=dtype) if end > begin \
            else torch.empty(0, dtype=dtype)
        tensors[name] = tensor.reshape(shape)
    assert end == len(data), "bytes follow the last tensor"
    return metadata, tensors


def check_own_reader(path: str, tensors: Dict[str, torch.Tensor]) -> None:
    try:
        from safetensors.torch import load_file
    except ImportError:
        return
    loaded = load_file(path)
    assert set(loaded) == set(tensors), "safetensors finds other names"
    for name, tensor in tensors.items():
        same = (loaded[name].dtype, loaded[name].shape) == (tensor.dtype, tensor.shape)
        assert same and raw(loaded[name]) == raw(tensor), f"safetensors reads another {name}"
    print("safetensors reads the same")


def compare(source: str, view: str) -> None:
    metadata, originals = read(source)
    view_metadata, tensors = read(view)
    assert metadata == view_metadata, "the metadata differ"
    assert set(originals) == set(tensors), "the names differ"
    converted = 0
    for name, original in originals.items():
        if original.dtype == torch.float32 and not name.endswith("inv_freq"):
            original = original.half()
            converted += 1
        tensor = tensors[name]
        assert tensor.dtype == original.dtype, f"{name} is {tensor.dtype}"
        assert tensor.shape == original.shape, f"{name} has the shape {tensor.shape}"
        assert raw(tensor) == raw(original), f"{name} has other values"
    assert converted == 4, f"{converted} tensors were converted"
    check_own_reader(view, tensors)


def main() -> int:
    if sys.argv[1] == "write":
        write(sys.argv[2])
    else:
        compare(sys.argv[2], sys.argv[3])
    return 0


if __name__ == "__main__":
    sys.exit(main())
