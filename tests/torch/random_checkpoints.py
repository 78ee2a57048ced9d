#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes one random checkpoint: everything a torch.save() may hold.

    random_checkpoints.py SEED FILE

The seed decides all: the tree, the tensors and how they lie on their storages,
the storages' sizes, the pickle protocol, whether it is an archive or a legacy stream,
and whether the archive was packed again by an ordinary zip program (deflated, without
torch's alignment).
"""
import os
import random
import sys
import warnings
import zipfile
from collections import OrderedDict
from typing import Any, List

import torch

# Sizes in elements around every border that the format or cvq may have: pickle's
# one and two byte integers, FP16 records of 64 KiB and 8 MiB, pages.
SMALL = [1, 2, 3, 7, 15, 16, 17, 31, 64, 100, 255, 256, 257, 258]
MEDIUM = [1023, 1024, 1025, 2046, 2048, 4095, 4097, 8191, 32765, 32766, 32767, 32768, 32769]
LARGE = [65531, 65533, 65534, 65535, 65536, 65537, 65538, 70000, 131071, 131073]
HUGE = [(4 << 20) - 2, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, (4 << 20) + 4097]

SPECIAL = [0.0, -0.0, float("inf"), float("-inf"), float("nan"), 65504.0, 65519.996, 65520.0,
           -65520.0, 1e-45, 2.0 ** -24, 2.0 ** -25, 2.0 ** -25 * 1.0001, 6.1e-5, 6.0975552e-5,
           3.4e38, 1e-38, 1.0009765, 1.00048828125, 1.00146484375]

OTHERS = [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
          torch.int8, torch.uint8, torch.bool, torch.complex64, torch.complex128]

# None of these may be taken for the class of a storage.
DISGUISED = ["FloatStorage", "HalfStorage", "torch\nFloatStorage\n", "ctorch\nFloatStorage\n",
             "ctorch\nFloatStorage\nq\x01", "storage", "cpu", "0", "torch", "\x80\x02}q\x00.",
             "h\x05", "PK\x03\x04", "", "模型"]

WORDS = ["weight", "bias", "layers", "0", "norm", "proj", "model", "embed", "running_mean"]


class Maker:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        # The weights_only loader of torch 1.13 knows neither floats nor protocol 4.
        self.simple = seed % 2 == 0
        self.generator = torch.Generator()
        self.generator.manual_seed(seed)
        self.bases: List[torch.Tensor] = []  # whole storages, to lay tensors on again
        self.huge = 1 if seed % 4 == 0 else 0

    def numel(self) -> int:
        if self.huge:
            self.huge -= 1
            return self.random.choice(HUGE)
        kind = self.random.choices([SMALL, MEDIUM, LARGE], [6, 3, 1])[0]
        return self.random.choice(kind)

    def base(self) -> torch.Tensor:
        """A whole FP32 storage: normal numbers, with special ones sprinkled in."""
        values = torch.randn(self.numel(), generator=self.generator)
        values *= self.random.choice([0.02, 1.0, 1e4, 1e-6])
        for _ in range(min(values.numel(), 8)):
            values[self.random.randrange(values.numel())] = self.random.choice(SPECIAL)
        self.bases.append(values)
        return values

    def lie(self, base: torch.Tensor) -> torch.Tensor:
        """Some tensor on the storage of 'base'."""
        count = base.numel()
        way = self.random.randrange(7)
        if way == 0 and count > 4:
            return base[self.random.randrange(1, count // 2):][:count // 2]
        if way == 1 and count % 2 == 0:
            return base.view(2, count // 2).t()
        if way == 2 and count < 300:
            return base.unsqueeze(0).expand(self.random.randrange(1, 5), count)
        if way == 3 and count > 2:
            return base[::2]
        if way == 4 and count >= 9:
            return torch.as_strided(base, (3, 2), (1, 2), self.random.randrange(count - 5))
        if way == 5:
            return base[self.random.randrange(count)]
        return base

    def tensor(self) -> Any:
        way = self.random.randrange(14)
        if way == 0:
            return torch.empty(self.random.choice([(0,), (0, 3), (2, 0)]))
        if way == 1:
            return torch.tensor(self.random.choice(SPECIAL))
        if way in (2, 3):
            return self.other()
        if way == 4:
            return torch.nn.Parameter(self.lie(self.base()),
                                      requires_grad=self.random.random() < 0.7)
        if way == 5:
            return self.lie(self.base()).detach().requires_grad_()
        if way in (6, 7) and self.bases:
            return self.lie(self.random.choice(self.bases))
        return self.lie(self.base())

    def other(self) -> torch.Tensor:
        """A tensor that is not FP32."""
        kind = self.random.choice(OTHERS)
        values = torch.randn(self.random.choice(SMALL), generator=self.generator) * 50
        return values.to(kind)

    def plain(self) -> Any:
        if not self.simple and self.random.random() < 0.2:
            return self.random.choice([0.1, float("nan"), float("inf")])
        return self.random.choice([
            None, True, False, 3, -1, 255, 65536, 2 ** 31, 2 ** 63 - 1, -2 ** 40,
            self.random.choice(DISGUISED), (), [], {}, torch.Size([2, 3]), torch.float32,
            (1,), (1, 2, 3, 4)])

    def name(self) -> Any:
        way = self.random.randrange(12)
        if way == 0:
            return self.random.randrange(1000)
        if way == 1:
            return self.random.choice(DISGUISED)
        if way == 2:
            return f"rotary.{self.random.randrange(99)}.inv_freq"
        return f"{self.random.choice(WORDS)}.{self.random.randrange(100)}"

    def value(self, depth: int) -> Any:
        if depth < 4 and self.random.random() < 0.3:
            items = [self.value(depth + 1) for _ in range(self.random.randrange(5))]
            return self.random.choice([list, tuple, self.mapping, self.module])(items)
        return self.tensor() if self.random.random() < 0.65 else self.plain()

    def mapping(self, items: list) -> dict:
        return {self.name(): item for item in items}

    def module(self, items: list) -> OrderedDict:
        """What Module.state_dict() returns."""
        state = OrderedDict(self.mapping(items))
        state._metadata = OrderedDict([("", {"version": 1}), ("layers", {"version": 2})])
        return state

    def checkpoint(self) -> dict:
        root = self.module([self.value(0) for _ in range(self.random.randrange(6, 24))])
        root["certain.weight"] = self.base()  # so that there is something to convert
        root["certain.tied"] = root["certain.weight"]
        if self.random.random() < 0.4:
            root["optimizer"] = {"state": {0: {"step": torch.tensor(70001.0),
                                               "exp_avg": self.base()}}}
        if self.random.random() < 0.3:
            root["tied_to_kept.inv_freq"] = self.lie(self.random.choice(self.bases))
        if self.random.random() < 0.2:
            base = self.base()
            root["on_bare_storage"] = base
            root["bare_storage"] = base.storage()
        if self.random.random() < 0.2:
            tagged = self.base()
            tagged.tag = "ctorch\nFloatStorage\n"
            root["tagged"] = tagged
        return root


def repack(path: str) -> None:
    """Packs the archive again as an ordinary zip program does."""
    with zipfile.ZipFile(path) as old, \
            zipfile.ZipFile(path + ".new", "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    os.replace(path + ".new", path)


def main() -> int:
    seed, path = int(sys.argv[1]), sys.argv[2]
    warnings.simplefilter("ignore")
    maker = Maker(seed)
    protocol = 2 if maker.simple else maker.random.choice([2, 2, 2, 3, 4, 5])
    stream = random.Random(f"legacy {seed}").random() < 0.25  # draws of its own
    torch.save(maker.checkpoint(), path, pickle_protocol=protocol,
               _use_new_zipfile_serialization=not stream)
    packed = maker.random.random() < 0.2 and not stream
    if packed:
        repack(path)
    print(f"seed {seed}: {os.stat(path).st_size} bytes, {len(maker.bases)} FP32 storages, "
          f"protocol {protocol}{', a stream' if stream else ', deflated' if packed else ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
