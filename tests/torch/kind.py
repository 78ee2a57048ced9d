# SPDX-License-Identifier: MIT
"""What a kind of checkpoint is, and what most kinds hold.

The modules kinds_*.py register every kind there is; kinds.py writes them.
"""
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Callable, List, Tuple

import torch

Version = Tuple[int, int]


class Unavailable(Exception):
    """Why the kind cannot be written here."""


@dataclass
class Kind:
    """A kind of file named .pt, and what has to become of it in a view."""
    name: str  # of the file, without ".pt"
    write: Callable[[str], None]
    reason: str = ""  # a regular expression for why it is passed through; "": it is converted
    float32: List[str] = field(default_factory=list)  # the tensors that stay FP32
    twin: str = ""  # another kind with the very same content
    since: Version = (0, 0)  # the first torch that writes it
    readable_since: Version = (0, 0)  # and that reads it; an older one reads its twin
    ways: List[str] = field(default_factory=list)  # of loading it; all of them if empty
    objects: int = 1  # saved one behind the other
    unreadable: str = ""  # the record that is corrupt
    # Whether every record of the view has its true CRC-32.
    clean: bool = True


KINDS: List[Kind] = []


def register(name: str, write: Callable[[str], None], **fields: Any) -> None:
    assert all(other.name != name for other in KINDS), name
    KINDS.append(Kind(name, write, **fields))


def kind(name: str, **fields: Any) -> Callable[[Callable[[str], None]], Callable[[str], None]]:
    """Registers the function below as the one that writes the kind."""
    def decorate(write: Callable[[str], None]) -> Callable[[str], None]:
        register(name, write, **fields)
        return write
    return decorate


# ---------------------------------------------------------------------------
# Content
# ---------------------------------------------------------------------------

SPECIAL = [0.0, -0.0, float("inf"), float("-inf"), float("nan"), 65504.0, 65519.996, 65520.0,
           1e-45, 2.0 ** -24, 2.0 ** -25, 2.0 ** -25 * 1.0001, 6.0975552e-5, 3.4e38,
           1.00048828125, 1.00146484375]

OTHERS = [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
          torch.int8, torch.uint8, torch.bool, torch.complex64, torch.complex128]


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normal numbers, the special ones before them."""
    generator = torch.Generator()
    generator.manual_seed(seed)
    values = torch.randn(shape, generator=generator)
    special = torch.tensor(SPECIAL[:values.numel() // 2])
    values.view(-1)[:len(special)] = special
    return values


def sample() -> "OrderedDict[str, Any]":
    """A state dict with every way to lie on a storage and every type beside."""
    embedding = numbers(37, 16, seed=1)
    state: "OrderedDict[str, Any]" = OrderedDict()
    state["embedding.weight"] = embedding
    state["head.weight"] = embedding  # tied
    state["transposed"] = embedding.t()
    state["row"] = embedding[3]
    state["diagonal"] = embedding[:16].diagonal()
    state["norm.weight"] = torch.nn.Parameter(numbers(16, seed=2))
    state["frozen.weight"] = torch.nn.Parameter(numbers(5, 3, seed=3), requires_grad=False)
    state["large.weight"] = numbers(201, 200, seed=4)
    state["empty"] = torch.empty(0, 4)
    state["scalar"] = torch.tensor(3.14159)
    state["rope.inv_freq"] = numbers(8, seed=5)
    for number, dtype in enumerate(OTHERS):
        name = str(dtype).replace("torch.", "")
        values = numbers(3, 7, seed=6 + number).nan_to_num(0, 9, -9) * 40
        state[f"others.{name}"] = values.to(dtype)
    state["optimizer"] = {"state": {0: {"step": torch.tensor(70001.0),
                                        "exp_avg": numbers(16, seed=20) * 1e-9}}}
    state._metadata = OrderedDict([("", {"version": 1})])
    return state


SAMPLE_FLOAT32 = ["rope.inv_freq", "optimizer.state.0.step", "optimizer.state.0.exp_avg"]
SAMPLE = "pickle/protocol-2"  # the kind that is the sample as torch saves it
