#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes CosyVoice model directories with the true names, shapes and ties.

    models.py DIRECTORY [--model NAME]... [--scale small|shapes|full] [--only FILE]...

Writes DIRECTORY/NAME for each model: the checkpoints of tests/data with weights
drawn from a seeded normal distribution, and around them what such a directory
holds otherwise (yaml, onnx, safetensors, folders, symlinks).

"small" cuts every dimension down to at most 64, so that all the files of all the
models are there with all their names and take seconds to test.  "shapes" keeps the
dimensions, so that the package is a complete one, and stores one number a tensor.
"""
import argparse
import json
import os
import sys
from collections import OrderedDict
from typing import Iterator, List, Tuple

import torch

from surroundings import DATA, KINDS, Shape, make_surroundings

SHAPES = os.path.join(DATA, "cosyvoice_shapes.json")


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


def scaled(shape: List[int], scale: str) -> List[int]:
    return [min(dimension, 64) for dimension in shape] if scale == "small" else shape


def language_model(model: str, scale: str) -> List[Shape]:
    """The pretrained one that llm.pt was trained from: without its tied head."""
    prefix = "llm.model.model."
    return [("model." + name[len(prefix):], scaled(shape, scale))
            for name, shape in read_shapes(model, "llm.pt")[0] if name.startswith(prefix)]


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
        if scale == "shapes":
            state[name] = torch.randn(1, generator=generator).expand(shape)
        else:
            state[name] = torch.randn(scaled(shape, scale), generator=generator).mul_(0.05)
    state._metadata = modules_of(list(state))
    return state


def make_speaker_info() -> dict:
    """spk2info.pt as the SFT models have it."""
    generator = torch.Generator()
    generator.manual_seed(192)
    speakers = ["中文女", "中文男", "英文女", "英文男"]
    return {name: {"embedding": torch.randn(1, 192, generator=generator)} for name in speakers}


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
    make_surroundings(directory, model, language_model(model, scale))
    if model == "CosyVoice-300M-SFT":
        torch.save(make_speaker_info(), os.path.join(directory, "spk2info.pt"))
    make_training_checkpoint(directory)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory")
    parser.add_argument("--model", action="append", choices=sorted(KINDS))
    parser.add_argument("--scale", choices=["small", "shapes", "full"], default="small")
    parser.add_argument("--only", action="append", default=[], metavar="FILE",
                        help="make this checkpoint, not all of them")
    arguments = parser.parse_args()
    for model in arguments.model or KINDS:
        make_model(os.path.join(arguments.directory, model), model, arguments.scale,
                   arguments.only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
