#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Proves that a view of checkpoints is what .half() makes of their source.

    compare.py SOURCE VIEW [--load WAY]... [--expect converted|passthrough|any]
               [--dtype fp16|bf16] [--overflow inf|clamp]
               [--checksum seal|exact|none] [--quantize-hift]

SOURCE and VIEW are two files, or two directories whose *.pt files are compared.
Each tensor of VIEW must equal, bit for bit, .half() of SOURCE's (a kept one:
SOURCE's own), with the same type, shape, strides, storage offset, requires_grad
and attributes; the same tensors must share a storage; and everything else in the
checkpoint must be the same, down to the order of keys.

Which tensors are kept is decided here anew from the documented rules, not asked
of cvq.  VIEW is loaded in every way this torch has.
"""
import argparse
import fnmatch
import json
import math
import os
import sys
import warnings
import zipfile
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Tuple

import torch
from torch_zip import quiet_bytes

KEPT_FILES = ["*hift*", "*hifigan*", "spk2info*.pt"]
KEPT_TENSORS = ["*inv_freq", "optimizer.*", "optimizer_states.*"]

BITS = {torch.float16: torch.int16, torch.bfloat16: torch.int16,
        torch.float32: torch.int32, torch.float64: torch.int64}
HALVES = (torch.float16, torch.bfloat16)


@dataclass
class Rules:
    dtype: torch.dtype = torch.float16
    overflow: str = "inf"
    checksum: str = "seal"
    quantize_hift: bool = False
    expect: str = "any"

    def keeps_file(self, name: str) -> bool:
        patterns = KEPT_FILES[-1:] if self.quantize_hift else KEPT_FILES
        return any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in patterns)


    def more_elements(self, numel: int) -> int:
        """How many elements a converted storage has beyond its tensors'."""
        if self.checksum != "seal" or not numel:
            return 0
        return 2 + quiet_bytes(2 * numel) // 2


class Difference(Exception):
    """What is wrong, and where in the checkpoint."""


# ---------------------------------------------------------------------------
# Loading
# ---------------------------------------------------------------------------


def torch_version() -> Tuple[int, int]:
    major, minor = torch.__version__.split(".")[:2]
    return int(major), int(minor)


def loaders() -> Dict[str, dict]:
    """The ways of torch.load() that this torch has, by name."""
    ways = {"plain": {"weights_only": False}, "weights_only": {"weights_only": True}}
    if torch_version() >= (2, 1):
        ways["mmap"] = {"weights_only": False, "mmap": True}
    if torch_version() >= (2, 7):
        ways["offsets"] = {"weights_only": False, "mmap": True}
    return ways


def load(path: str, way: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if way != "offsets":
            return torch.load(path, map_location="cpu", **loaders()[way])
        from torch.utils.serialization import config
        with config.patch("load.calculate_storage_offsets", True):
            return torch.load(path, map_location="cpu", **loaders()[way])


# ---------------------------------------------------------------------------
# Walking a checkpoint
# ---------------------------------------------------------------------------


def is_storage(value: Any) -> bool:
    return torch.is_storage(value) or type(value).__name__.endswith("Storage")


def untyped(value: Any) -> Any:
    """The untyped storage under a tensor or a typed storage."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if isinstance(value, torch.Tensor):
            if hasattr(value, "untyped_storage"):
                return value.untyped_storage()
            value = value.storage()
        return value.untyped() if hasattr(value, "untyped") else value


def children(value: Any) -> Iterator[Tuple[str, Any]]:
    """What a value holds, by the names that cvq gives: keys, indices, attributes."""
    if isinstance(value, dict):
        yield from ((str(key), item) for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        yield from ((str(index), item) for index, item in enumerate(value))
    if not isinstance(value, type) and not is_storage(value):
        yield from getattr(value, "__dict__", {}).items()


def walk(value: Any, name: str = "") -> Iterator[Tuple[str, Any]]:
    """Every tensor and bare storage with its dotted name, in order."""
    if isinstance(value, torch.Tensor) or is_storage(value):
        yield name, value
    if not is_storage(value):
        for key, item in children(value):
            yield from walk(item, f"{name}.{key}" if name else key)


def storage_key(value: Any) -> Optional[int]:
    """The same for two values on one storage; None if it has no bytes to share."""
    storage = untyped(value)
    return storage.data_ptr() if storage.nbytes() else None


# ---------------------------------------------------------------------------
# Which storages are converted
# ---------------------------------------------------------------------------


def is_kept(name: str, value: Any) -> bool:
    if is_storage(value) or value.dtype != torch.float32:
        return True
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in KEPT_TENSORS)


def kept_storages(root: Any) -> set:
    """A storage is kept if anything on it is kept."""
    return {storage_key(value) for name, value in walk(root) if is_kept(name, value)} - {None}


def has_something_to_convert(root: Any) -> bool:
    kept = kept_storages(root)
    return any(isinstance(value, torch.Tensor) and storage_key(value) is not None
               and storage_key(value) not in kept for _, value in walk(root))


# ---------------------------------------------------------------------------
# Comparing
# ---------------------------------------------------------------------------


def converted(tensor: torch.Tensor, rules: Rules) -> torch.Tensor:
    """What the tensor's values become, as a new dense tensor."""
    tensor = tensor.detach()
    if rules.overflow == "clamp":
        # Infinity too; a NaN stays one.
        largest = torch.finfo(rules.dtype).max
        tensor = tensor.clamp(-largest, largest)
    return tensor.to(rules.dtype).contiguous()


def bits_of(tensor: torch.Tensor) -> torch.Tensor:
    """The bits as integers.  Of a half NaN only the sign: torch itself has several."""
    bits = tensor.detach().contiguous().view(BITS[tensor.dtype])
    if tensor.dtype in HALVES:
        nan = torch.full_like(bits, 0x7FFF)
        if tensor.dtype == torch.float16:  # torch's bfloat16 NaN has no fixed sign either
            nan = nan | bits & -0x8000
        bits = torch.where(torch.isnan(tensor), nan, bits)
    return bits


def same_values(expected: torch.Tensor, actual: torch.Tensor) -> bool:
    if expected.dtype != actual.dtype:
        return False
    if expected.dtype not in BITS:
        if expected.is_complex():
            return same_values(torch.view_as_real(expected.detach().resolve_conj()),
                               torch.view_as_real(actual.detach().resolve_conj()))
        return torch.equal(expected, actual)
    return torch.equal(bits_of(expected), bits_of(actual))


def raw_bytes(storage: Any) -> bytes:
    storage = untyped(storage)
    view = torch.tensor([], dtype=torch.uint8)
    view.set_(storage, 0, (storage.nbytes(),))
    return bytes(view.tolist())


def check(condition: bool, name: str, message: str) -> None:
    if not condition:
        raise Difference(f"{name or 'the whole'}: {message}")


class Comparison:
    """One loaded source against one loaded view."""

    def __init__(self, source: Any, view: Any, rules: Rules) -> None:
        self.rules = rules
        self.source, self.view = source, view
        self.kept = kept_storages(source)
        self.tensors = 0

    def run(self) -> int:
        self.values(self.source, self.view, "")
        self.sharing()
        return self.tensors

    def sharing(self) -> None:
        """Values share a storage in the view exactly if they do in the source."""
        def groups(root: Any) -> List[Tuple[str, int]]:
            seen: Dict[int, int] = {}
            found = []
            for name, value in walk(root):
                key = storage_key(value)
                if key is not None:
                    found.append((name, seen.setdefault(key, len(seen))))
            return found
        for a, b in zip(groups(self.source), groups(self.view)):
            check(a == b, a[0], f"sharing differs: {a} became {b}")

    def values(self, a: Any, b: Any, name: str) -> None:
        check(type(a) is type(b), name, f"type {type(a).__name__} became {type(b).__name__}")
        if isinstance(a, torch.Tensor):
            self.tensor(a, b, name)
        elif is_storage(a):
            self.storage(a, b, name)
        elif isinstance(a, float):
            check(a == b or math.isnan(a) and math.isnan(b), name, f"{a} became {b}")
        elif isinstance(a, (dict, list, tuple)):
            check(len(a) == len(b), name, f"{len(a)} items became {len(b)}")
        elif not getattr(a, "__dict__", None):
            check(a == b, name, f"{a!r} became {b!r}")
        if isinstance(a, dict):
            check(list(a) == list(b), name, "keys or their order differ")
        if is_storage(a):
            return
        inner_a, inner_b = list(children(a)), list(children(b))
        check([key for key, _ in inner_a] == [key for key, _ in inner_b], name,
              "attributes differ")
        for (key, item_a), (_, item_b) in zip(inner_a, inner_b):
            self.values(item_a, item_b, f"{name}.{key}" if name else key)

    def tensor(self, a: torch.Tensor, b: torch.Tensor, name: str) -> None:
        self.tensors += 1
        for what in ("shape", "layout", "device", "requires_grad", "is_leaf", "is_quantized"):
            x, y = getattr(a, what), getattr(b, what)
            check(x == y, name, f"{what} {x} became {y}")
        if a.layout != torch.strided:
            check(same_values(a.to_dense(), b.to_dense().to(a.dtype)), name, "values differ")
            return
        check(a.stride() == b.stride(), name, f"stride {a.stride()} became {b.stride()}")
        check(a.storage_offset() == b.storage_offset(), name, "storage offset differs")
        key = storage_key(a)
        kept = is_kept(name, a) if key is None else key in self.kept
        expected = a if kept else converted(a, self.rules)
        check(expected.dtype == b.dtype, name, f"is {b.dtype}, not {expected.dtype}")
        check(same_values(expected, b), name, "values differ")
        self.storage_size(a, b, name, kept)

    def storage_size(self, a: torch.Tensor, b: torch.Tensor, name: str, kept: bool) -> None:
        before = untyped(a).nbytes() // a.element_size()
        after = untyped(b).nbytes() // b.element_size()
        more = 0 if kept else self.rules.more_elements(before)
        check(after == before + more, name, f"storage of {before} elements became {after}")

    def storage(self, a: Any, b: Any, name: str) -> None:
        check(getattr(a, "dtype", None) == getattr(b, "dtype", None), name, "dtype differs")
        check(raw_bytes(a) == raw_bytes(b), name, "bytes of a bare storage differ")


# ---------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------


def same_bytes(a: str, b: str) -> bool:
    with open(a, "rb") as x, open(b, "rb") as y:
        while True:
            p, q = x.read(1 << 20), y.read(1 << 20)
            if p != q:
                return False
            if not p:
                return True


def cvq_info(path: str) -> Optional[dict]:
    """What cvq says of the file; None outside of a view."""
    try:
        return json.loads(os.getxattr(path, "user.cvq.info"))
    except OSError:
        return None


def is_deflated(path: str) -> bool:
    """Whether the archive was packed by another program than torch: cvq may leave it."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(entry.compress_type for entry in archive.infolist())


def expectation(source: str, view: str, rules: Rules) -> str:
    info = cvq_info(view)
    if rules.keeps_file(os.path.basename(view)):
        expect = "passthrough"
    elif rules.expect != "any" and not is_deflated(source):
        expect = rules.expect
    else:
        check(info is not None, view, "says neither what it is nor was told to")
        expect = info["state"]
    if info is not None:
        check(info["state"] == expect, view,
              f"is {info['state']}, not {expect}: {info.get('reason')}")
        check(info["view_size"] == os.stat(view).st_size, view, "view_size is not its size")
        check("reason" in info or expect == "converted", view, "has no reason")
    return expect


def compare_loaded(source: str, view: str, way: str, rules: Rules) -> int:
    """Compares the two files as 'way' loads them; returns the number of tensors."""
    try:
        a = load(source, "plain" if way in ("mmap", "offsets") else way)
    except Exception as error:  # what torch refuses in the source it refuses in the view
        try:
            load(view, way)
        except Exception as other:
            check(type(error) is type(other), view,
                  f"fails with {other!r}, its source with {error!r}")
            return 0
        raise Difference(f"{view}: loads though its source does not") from error
    return Comparison(a, load(view, way), rules).run()


def compare_file(source: str, view: str, ways: List[str], rules: Rules) -> str:
    expect = expectation(source, view, rules)
    if expect == "passthrough":
        check(same_bytes(source, view), view, "is passed through but differs")
        return "the same bytes"
    counts = {way: compare_loaded(source, view, way, rules) for way in ways}
    check(any(counts.values()), view, "no tensor was compared")
    return ", ".join(f"{way} {count}" for way, count in counts.items()) + " tensors"


def checkpoints(directory: str) -> Iterator[str]:
    for folder, _, files in os.walk(directory):
        for file in sorted(files):
            if file.endswith(".pt"):
                yield os.path.relpath(os.path.join(folder, file), directory)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source")
    parser.add_argument("view")
    parser.add_argument("--load", action="append", choices=sorted(loaders()))
    parser.add_argument("--expect", choices=["converted", "passthrough", "any"], default="any")
    parser.add_argument("--dtype", choices=["fp16", "bf16"], default="fp16")
    parser.add_argument("--overflow", choices=["inf", "clamp"], default="inf")
    parser.add_argument("--checksum", choices=["seal", "exact", "none"], default="seal")
    parser.add_argument("--quantize-hift", action="store_true")
    arguments = parser.parse_args()
    rules = Rules(torch.bfloat16 if arguments.dtype == "bf16" else torch.float16,
                  arguments.overflow, arguments.checksum, arguments.quantize_hift,
                  arguments.expect)
    ways = arguments.load or list(loaders())
    if os.path.isdir(arguments.source):
        names = list(checkpoints(arguments.source))
        pairs = [(os.path.join(arguments.source, name), os.path.join(arguments.view, name))
                 for name in names]
    else:
        pairs = [(arguments.source, arguments.view)]
    failures = 0
    for source, view in pairs:
        try:
            print(f"{view}: {compare_file(source, view, ways, rules)}", flush=True)
        except Exception as error:
            failures += 1
            print(f"{view}: DIFFERS: {type(error).__name__}: {error}", flush=True)
    if not pairs:
        print("nothing to compare", file=sys.stderr)
    return 1 if failures or not pairs else 0


if __name__ == "__main__":
    sys.exit(main())
