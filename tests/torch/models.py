#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes CosyVoice model directories with the true names, shapes and ties.

    models.py DIRECTORY [--model NAME]... [--scale small|full] [--only FILE]...

Writes DIRECTORY/NAME for each model: the checkpoints of tests/data with weights
drawn from a seeded normal distribution, and around them what such a directory
holds otherwise (yaml, onnx, safetensors, folders, symlinks).

"small" cuts every dimension down to at most 64, so that all the files of all the
models are there with all their names and take seconds to test.
"""
import argparse
import json
import os
import random
import sys
from collections import OrderedDict
from typing import Iterator, List, Tuple

import torch

SHAPES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data/cosyvoice_shapes.json")

# The yaml by which CosyVoice's AutoModel knows the model, and its tokenizer.
KINDS = {
    "CosyVoice-300M-SFT": ("cosyvoice.yaml", "speech_tokenizer_v1.onnx"),
    "CosyVoice2-0.5B": ("cosyvoice2.yaml", "speech_tokenizer_v2.onnx"),
    "Fun-CosyVoice3-0.5B": ("cosyvoice3.yaml", "speech_tokenizer_v3.onnx"),
}

Shape = Tuple[str, List[int]]


def expand(entries: list, prefix: str = "") -> Iterator[Shape]:
    """Names and shapes of a list of ["name", dimension...] and of numbered repeats."""
    for entry in entries:
        if isinstance(entry, dict):
            for number in range(entry["from"], entry["from"] + entry["count"]):
                yield from expand(entry["tensors"], f"{prefix}{entry['repeat']}{number}.")
        else:
            yield prefix + entry[0], entry[1:]


def read_shapes(model: str, file: str) -> Tuple[List[Shape], List[List[str]]]:
    """The tensors of a checkpoint in their order, and which names share a storage."""
    with open(SHAPES, encoding="utf-8") as shapes:
        entry = json.load(shapes)[model][file]
    return list(expand(entry["tensors"])), entry["tied"]


def modules_of(names: List[str]) -> "OrderedDict[str, dict]":
    """The _metadata that nn.Module.state_dict() leaves for these names."""
    metadata = OrderedDict([("", {"version": 1})])
    for name in names:
        parts = name.split(".")[:-1]
        for length in range(1, len(parts) + 1):
            metadata[".".join(parts[:length])] = {"version": 1}
    return metadata


def make_state_dict(model: str, file: str, scale: str) -> "OrderedDict[str, torch.Tensor]":
    shapes, tied = read_shapes(model, file)
    first_of = {name: group[0] for group in tied for name in group[1:]}
    generator = torch.Generator()
    generator.manual_seed(sum(f"{model}/{file}".encode()))
    state = OrderedDict()
    for name, shape in shapes:
        if name in first_of:
            state[name] = state[first_of[name]]
            continue
        if scale == "small":
            shape = [min(dimension, 64) for dimension in shape]
        state[name] = torch.randn(shape, generator=generator).mul_(0.05)
    state._metadata = modules_of(list(state))
    return state


def make_speaker_info() -> dict:
    """spk2info.pt as the SFT models have it."""
    generator = torch.Generator()
    generator.manual_seed(192)
    speakers = ["中文女", "中文男", "英文女", "英文男"]
    return {name: {"embedding": torch.randn(1, 192, generator=generator)} for name in speakers}


def write_random(path: str, size: int) -> None:
    with open(path, "wb") as file:
        file.write(random.Random(os.path.basename(path)).randbytes(size))


def make_surroundings(directory: str, model: str) -> None:
    """What lies around the checkpoints: none of it is cvq's to convert."""
    yaml, tokenizer = KINDS[model]
    with open(os.path.join(directory, yaml), "w", encoding="utf-8") as file:
        file.write("sample_rate: 24000\nllm_input_size: 896\nspk_embed_dim: 192\n")
    with open(os.path.join(directory, "configuration.json"), "w", encoding="utf-8") as file:
        file.write('{"framework": "Pytorch", "task": "text-to-speech"}')
    open(os.path.join(directory, "empty"), "w").close()
    write_random(os.path.join(directory, "campplus.onnx"), 1 << 20)
    write_random(os.path.join(directory, tokenizer), (3 << 20) + 1)
    os.symlink(tokenizer, os.path.join(directory, "speech_tokenizer.onnx"))
    os.symlink("llm.pt", os.path.join(directory, "llm-latest.pt"))
    os.symlink("CosyVoice-BlankEN", os.path.join(directory, "qwen"))
    blank = os.path.join(directory, "CosyVoice-BlankEN")
    os.mkdir(blank)
    write_random(os.path.join(blank, "model.safetensors"), (2 << 20) + 77)
    with open(os.path.join(blank, "config.json"), "w", encoding="utf-8") as file:
        file.write('{"hidden_size": 896, "tie_word_embeddings": true}')
    if model == "CosyVoice-300M-SFT":
        torch.save(make_speaker_info(), os.path.join(directory, "spk2info.pt"))


def make_training_checkpoint(directory: str) -> None:
    """A checkpoint in a folder below, as training leaves it: with an optimizer."""
    os.mkdir(os.path.join(directory, "training"))
    generator = torch.Generator()
    generator.manual_seed(3)
    weight = torch.randn(48, 32, generator=generator)
    adam = {"step": torch.tensor(70000.0), "exp_avg": torch.full((48, 32), 1e-9)}
    state = {"weight": weight, "epoch": 4, "step": 70000,
             "optimizer": {"state": {0: adam}, "param_groups": [{"lr": 1e-4, "params": [0]}]}}
    torch.save(state, os.path.join(directory, "training", "epoch_4_whole.pt"))


def make_model(directory: str, model: str, scale: str, only: List[str]) -> None:
    os.makedirs(directory)
    with open(SHAPES, encoding="utf-8") as shapes:
        files = list(json.load(shapes)[model])
    for file in files:
        if not only or file in only:
            torch.save(make_state_dict(model, file, scale), os.path.join(directory, file))
    make_surroundings(directory, model)
    make_training_checkpoint(directory)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory")
    parser.add_argument("--model", action="append", choices=sorted(KINDS))
    parser.add_argument("--scale", choices=["small", "full"], default="small")
    parser.add_argument("--only", action="append", default=[], metavar="FILE",
                        help="make this checkpoint, not all of them")
    arguments = parser.parse_args()
    for model in arguments.model or KINDS:
        make_model(os.path.join(arguments.directory, model), model, arguments.scale,
                   arguments.only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
