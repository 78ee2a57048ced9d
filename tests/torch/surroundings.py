# SPDX-License-Identifier: MIT
"""What lies around the checkpoints of a CosyVoice package, in its true formats: the
yaml, ONNX models, and the folder of the pretrained language model.  What is inside of
the models is random.
"""
import json
import os
import random
import shutil
import struct
from typing import List, Tuple

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data")
QWEN = "CosyVoice-BlankEN"

# The yaml by which CosyVoice's AutoModel knows the model, and its tokenizer.
KINDS = {
    "CosyVoice-300M-SFT": ("cosyvoice.yaml", "speech_tokenizer_v1.onnx"),
    "CosyVoice2-0.5B": ("cosyvoice2.yaml", "speech_tokenizer_v2.onnx"),
    "Fun-CosyVoice3-0.5B": ("cosyvoice3.yaml", "speech_tokenizer_v3.onnx"),
}

Shape = Tuple[str, List[int]]


def random_bytes(path: str, size: int) -> bytes:
    return random.Random(os.path.basename(path)).randbytes(size)


def varint(number: int) -> bytes:
    low, number = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(number) if number else bytes([low])


def write_onnx(path: str, size: int) -> None:
    """A ModelProto whose graph (field 7) has 'size' bytes."""
    producer = b"pytorch"
    with open(path, "wb") as file:
        file.write(b"\x08\x08\x12" + varint(len(producer)) + producer)
        file.write(b"\x3a" + varint(size) + random_bytes(path, size))
        file.write(b"\x42\x04\x0a\x00\x10\x11")


def write_safetensors(path: str, shapes: List[Shape]) -> None:
    """BF16 tensors; many of them are a hole."""
    header, end = {}, 0
    for name, shape in shapes:
        begin, size = end, 2
        for dimension in shape:
            size *= dimension
        end += size
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        if end <= 16 << 20:
            file.write(random_bytes(path, end))
        file.truncate(8 + len(text) + end)


def write_text(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def make_language_model(folder: str, shapes: List[Shape]) -> None:
    os.mkdir(folder)
    shutil.copyfile(os.path.join(DATA, "qwen_config.json"), os.path.join(folder, "config.json"))
    write_safetensors(os.path.join(folder, "model.safetensors"), shapes)
    write_text(os.path.join(folder, "generation_config.json"), '{"do_sample": true}')
    write_text(os.path.join(folder, "tokenizer_config.json"), '{"model_max_length": 32768}')
    write_text(os.path.join(folder, "vocab.json"), '{"!": 0, "你": 1}')
    write_text(os.path.join(folder, "merges.txt"), "#version: 0.2\nĠ Ġ\n")


def make_surroundings(directory: str, model: str, language_model: List[Shape]) -> None:
    """'language_model' has the shapes of its tensors; none: the model has none."""
    yaml, tokenizer = KINDS[model]
    shutil.copyfile(os.path.join(DATA, yaml), os.path.join(directory, yaml))
    write_text(os.path.join(directory, "configuration.json"),
               '{"framework": "Pytorch", "task": "text-to-speech"}')
    open(os.path.join(directory, "empty"), "w").close()
    write_onnx(os.path.join(directory, "campplus.onnx"), 1 << 20)
    write_onnx(os.path.join(directory, tokenizer), (3 << 20) + 1)
    os.symlink(tokenizer, os.path.join(directory, "speech_tokenizer.onnx"))
    os.symlink("llm.pt", os.path.join(directory, "llm-latest.pt"))
    if language_model:
        os.symlink(QWEN, os.path.join(directory, "qwen"))
        make_language_model(os.path.join(directory, QWEN), language_model)
