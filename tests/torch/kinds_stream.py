# SPDX-License-Identifier: MIT
"""Kinds of legacy streams: what torch.save() wrote before 1.6, and still can."""
import io
import warnings
from collections import OrderedDict
from typing import Any, Callable

import torch
from kind import SAMPLE, SAMPLE_FLOAT32, kind, numbers, register, sample
from torch_save import SYSTEM, Saver, write_stream


def save(root: Any, file: Any, protocol: int = 2) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(root, file, pickle_protocol=protocol, _use_new_zipfile_serialization=False)


def saved(root: Any) -> bytes:
    file = io.BytesIO()
    save(root, file)
    return file.getvalue()


def write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


for number in (2, 3, 4, 5):
    register(f"stream/protocol-{number}",
             lambda path, protocol=number: save(sample(), path, protocol),
             float32=SAMPLE_FLOAT32, twin=SAMPLE)


@kind("stream/module", float32=["_modules.rotary._buffers.inv_freq"])
def module(path: str) -> None:
    """A whole module: its classes have persistent ids with their source text."""
    save(make_module(), path)


def make_module() -> torch.nn.Module:
    """Layers that are tied, and a buffer that is kept."""
    layers = torch.nn.Sequential(torch.nn.Embedding(11, 6), torch.nn.LayerNorm(6),
                                 torch.nn.Linear(6, 11, bias=False))
    layers[2].weight = layers[0].weight
    layers.register_buffer("mean", numbers(6, seed=30))
    rotary = torch.nn.Module()
    rotary.register_buffer("inv_freq", numbers(4, seed=31))
    return torch.nn.ModuleDict({"layers": layers, "rotary": rotary})


# ---------------------------------------------------------------------------
# Made byte by byte
# ---------------------------------------------------------------------------


class ViewSaver(Saver):
    """The storages of 'views' are views of a root, as they were before torch 0.4."""

    def __init__(self, root: Any, views: dict) -> None:
        self.views = views  # by address: the root's tensor, the first element
        super().__init__(root, legacy=True)

    def storage_id(self, kind_class: type, kind: str, storage: Any, size: int) -> tuple:
        found = self.views.get(storage._cdata)
        if found is None:
            return super().storage_id(kind_class, kind, storage, size)
        base, first = found
        whole = base.storage().untyped()
        pid = super().storage_id(kind_class, kind, whole, whole.nbytes())
        return pid[:5] + ((f"9{storage._cdata}", first, size // 4),)


def make_views(kept: bool) -> ViewSaver:
    """Tensors on views of one storage; of the last the view is longer than itself."""
    whole = numbers(60, seed=40)
    tensors = OrderedDict(whole=whole, first=whole[:12].clone().view(3, 4),
                          middle=whole[20:40].clone()[2:7])
    if kept:
        tensors["inv_freq"] = whole[50:60].clone()
    tensors["other"] = numbers(9, seed=41)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        views = {tensor.storage().untyped()._cdata: (whole, first) for tensor, first in
                 zip(list(tensors.values())[1:-1], (0, 20, 50))}
        return ViewSaver(tensors, views)


def write_saver(path: str, saver: Saver, **fields: Any) -> None:
    with open(path, "wb") as file:
        write_stream(file, saver, **fields)


@kind("stream/views")
def views(path: str) -> None:
    write_saver(path, make_views(kept=False))


@kind("stream/views-of-kept", float32=["whole", "first", "middle", "inv_freq"])
def views_of_kept(path: str) -> None:
    """One view is kept, so all of its root is."""
    write_saver(path, make_views(kept=True))


def sample_saver(key: Callable[[int], str] = lambda number: str(94_000_000_000_000 + 64 * number),
                 **fields: Any) -> Saver:
    return Saver(sample(), key=key, legacy=True, **fields)


def register_sample(name: str, make: Callable[[str], None]) -> None:
    register(f"stream/{name}", make, float32=SAMPLE_FLOAT32, twin=SAMPLE)


def long_system(size: int) -> dict:
    return {**SYSTEM, "type_sizes": {**SYSTEM["type_sizes"], "long": size}}


class Python2Saver(Saver):
    """An OrderedDict is made of a list of its items, as Python 2 has it."""

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, OrderedDict):
            return NotImplemented
        items = [[key, item] for key, item in value.items()]
        return (OrderedDict, (items,)) + ((vars(value),) if vars(value) else ())


def in_other_order(path: str) -> None:
    """The storages lie in another order than the pickle's and than their keys'."""
    saver = sample_saver()
    keys = sorted(saver.storages, key=lambda key: key[::-1])
    write_saver(path, saver, keys=keys)


register_sample("small-keys", lambda path: write_saver(path, sample_saver(str)))
register_sample("pointer-keys", lambda path: write_saver(path, sample_saver()))
register_sample("long-of-8-bytes",
                lambda path: write_saver(path, sample_saver(), system=long_system(8)))
register_sample("other-order", in_other_order)
register_sample("python-2",
                lambda path: write_saver(path, Python2Saver(sample(), key=str, legacy=True)))
register_sample("trailing-bytes", lambda path: write(path, saved(sample()) + bytes(range(256))))


@kind("stream/two-objects", float32=SAMPLE_FLOAT32, twin=SAMPLE, objects=3)
def two_objects(path: str) -> None:
    """torch.load() gives one after the other from an open file."""
    write(path, saved(sample()) + saved({"second": numbers(50, seed=50)}) + saved([1, "third"]))


# ---------------------------------------------------------------------------
# Broken
# ---------------------------------------------------------------------------

BROKEN = "cut|short|ends|size|element|count|length|key|storage"


@kind("stream/cut-in-data", reason=BROKEN)
def cut_in_data(path: str) -> None:
    write(path, saved(sample())[:-7])


@kind("stream/cut-in-pickle", reason="pickle|cut|short|ends")
def cut_in_pickle(path: str) -> None:
    write(path, saved(sample())[:700])


@kind("stream/cut-in-head", reason="pickle|cut|short|ends|stream")
def cut_in_head(path: str) -> None:
    write(path, saved(sample())[:30])


@kind("stream/other-count", reason=BROKEN)
def other_count(path: str) -> None:
    """A storage says that it has other elements than its persistent id says."""
    saver = sample_saver(str)
    saver.storages["1"].numel += 1
    write_saver(path, saver)


@kind("stream/missing-key", reason=BROKEN)
def missing_key(path: str) -> None:
    """The pickle has a storage that the file has not."""
    saver = sample_saver(str)
    write_saver(path, saver, keys=[key for key in saver.storages if key != "1"])


@kind("stream/unknown-key", reason=BROKEN)
def unknown_key(path: str) -> None:
    """The file has a storage that the pickle has not."""
    saver = sample_saver(str)
    saver.storages["999"] = saver.storages["0"]
    write_saver(path, saver)


@kind("stream/other-version", reason="version|protocol|stream")
def other_version(path: str) -> None:
    write(path, saved(sample()).replace(b"\x80\x02M\xe9\x03.", b"\x80\x02M\xea\x03.", 1))
