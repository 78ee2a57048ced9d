# SPDX-License-Identifier: MIT
"""Loads checkpoints in every way torch has, and compares what was loaded.

A Comparison proves that one loaded checkpoint is what .half() makes of another:
which tensors are kept is decided here anew from the documented rules.
"""
import fnmatch
import math
import warnings
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Optional, Tuple

import torch
from torch_zip import quiet_bytes

KEPT_TENSORS = ["*inv_freq", "optimizer.*", "optimizer_states.*",
                "optimizer_state_dict.*", "state.[0-9?]*.*"]

HALVES = (torch.float16, torch.bfloat16)
ROW_SPARSE = (torch.sparse_csr, torch.sparse_bsr)
COLUMN_SPARSE = (torch.sparse_csc, torch.sparse_bsc)


@dataclass
class Rules:
    """What becomes of a converted tensor, and which are kept beyond the rules."""
    dtype: torch.dtype = torch.float16
    overflow: str = "inf"
    checksum: str = "seal"
    kept: List[str] = field(default_factory=list)
    swapped: bool = False  # the source is big-endian, so that kept storages change, too

    def more_elements(self, numel: int, size: int, kept: bool) -> int:
        """How many elements of 'size' bytes a storage has beyond its tensors'."""
        changed = self.swapped and size > 1 or not kept
        if self.checksum != "seal" or not changed or not numel:
            return 0
        return -(-(4 + quiet_bytes(size * numel)) // size)


# The rules by which a checkpoint equals a copy of itself.
UNCHANGED = Rules(dtype=torch.float32, checksum="exact")


class Difference(Exception):
    """What is wrong, and where in the checkpoint."""


def check(condition: bool, name: str, message: str) -> None:
    if not condition:
        raise Difference(f"{name or 'the whole'}: {message}")


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


# Those that need an archive, whose storages can be mapped.
MAPPING = ("mmap", "offsets")


def load(file: Any, way: str) -> Any:
    """Loads a path or an open file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if way != "offsets":
            return torch.load(file, map_location="cpu", **loaders()[way])
        from torch.utils.serialization import config
        with config.patch("load.calculate_storage_offsets", True):
            return torch.load(file, map_location="cpu", **loaders()[way])


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


def parts(tensor: torch.Tensor) -> List[torch.Tensor]:
    """The tensors that lie on storages: itself, or what it is made of."""
    if tensor.is_nested and tensor.layout != torch.strided:
        return [tensor.values(), tensor.offsets()]
    if tensor.is_nested:
        return [tensor.values(), tensor._nested_tensor_size(), tensor._nested_tensor_strides(),
                tensor._nested_tensor_storage_offsets()]
    if tensor.layout == torch.sparse_coo:
        return [tensor._indices(), tensor._values()]
    if tensor.layout in ROW_SPARSE:
        return [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    if tensor.layout in COLUMN_SPARSE:
        return [tensor.ccol_indices(), tensor.row_indices(), tensor.values()]
    return [tensor]


def children(value: Any) -> Iterator[Tuple[str, Any]]:
    """What a value holds, by the names that cvq gives: keys, indices, attributes."""
    if isinstance(value, dict):
        for key, item in value.items():
            name = str(key) if isinstance(key, (str, int)) else "?"
            if isinstance(key, torch.Tensor):
                yield name, key
            yield name, item
    elif isinstance(value, (list, tuple)):
        yield from ((str(index), item) for index, item in enumerate(value))
    hidden = isinstance(value, torch.Tensor) and value.is_nested  # its parts are attributes
    if not hidden and not isinstance(value, type) and not is_storage(value):
        yield from getattr(value, "__dict__", {}).items()


def walk(value: Any, name: str = "") -> Iterator[Tuple[str, Any]]:
    """Every dense tensor and bare storage with its dotted name, in order."""
    if isinstance(value, torch.Tensor):
        yield from ((name, part) for part in parts(value))
    elif is_storage(value):
        yield name, value
        return
    for key, item in children(value):
        yield from walk(item, f"{name}.{key}" if name else key)


def storage_key(value: Any) -> Optional[int]:
    """The same for two values on one storage; None if it has no bytes to share."""
    if isinstance(value, torch.Tensor) and value.is_meta:
        return None
    storage = untyped(value)
    return storage.data_ptr() if storage.nbytes() else None


# ---------------------------------------------------------------------------
# Which storages are converted
# ---------------------------------------------------------------------------


def is_kept(name: str, value: Any, rules: Rules) -> bool:
    if is_storage(value) or value.dtype != torch.float32 or value.is_meta:
        return True
    return name in rules.kept or any(fnmatch.fnmatchcase(name, pattern)
                                     for pattern in KEPT_TENSORS)


def kept_storages(root: Any, rules: Rules) -> set:
    """A storage is kept if anything on it is kept."""
    return {storage_key(value) for name, value in walk(root)
            if is_kept(name, value, rules)} - {None}


def float32_names(root: Any) -> set:
    return {name for name, value in walk(root)
            if isinstance(value, torch.Tensor) and value.dtype == torch.float32}


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
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    tensor = tensor.contiguous().view(-1)
    if tensor.dtype not in HALVES:
        return tensor.view(torch.uint8)
    bits = tensor.view(torch.int16)
    nan = torch.full_like(bits, 0x7FFF)
    if tensor.dtype == torch.float16:  # torch's bfloat16 NaN has no fixed sign either
        nan = nan | bits & -0x8000
    return torch.where(torch.isnan(tensor), nan, bits)


def same_values(expected: torch.Tensor, actual: torch.Tensor) -> bool:
    return expected.dtype == actual.dtype and torch.equal(bits_of(expected), bits_of(actual))


def raw_bytes(storage: Any) -> bytes:
    storage = untyped(storage)
    view = torch.tensor([], dtype=torch.uint8)
    view.set_(storage, 0, (storage.nbytes(),))
    return view.numpy().tobytes()


def is_numpy(value: Any) -> bool:
    return type(value).__module__ == "numpy" and hasattr(value, "tobytes")


def equal_plainly(a: Any, b: Any) -> bool:
    """Whether two values that hold nothing else are the same."""
    if is_numpy(a):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    if isinstance(a, float) and math.isnan(a):
        return math.isnan(b)
    return a == b


class Comparison:
    """One loaded source against one loaded view."""

    def __init__(self, source: Any, view: Any, rules: Rules) -> None:
        self.rules = rules
        self.source, self.view = source, view
        self.kept = kept_storages(source, rules)
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
        if is_storage(a):
            self.storage(a, b, name)
            return
        if isinstance(a, torch.Tensor):
            self.tensor(a, b, name)
        elif isinstance(a, (dict, list, tuple)):
            check(len(a) == len(b), name, f"{len(a)} items became {len(b)}")
        elif not getattr(a, "__dict__", None):
            check(equal_plainly(a, b), name, f"{a!r} became {b!r}")
        if isinstance(a, dict):
            plain_a, plain_b = ([key for key in keys if not isinstance(key, torch.Tensor)]
                                for keys in (a, b))
            check(plain_a == plain_b, name, "keys or their order differ")
        inner_a, inner_b = list(children(a)), list(children(b))
        check([key for key, _ in inner_a] == [key for key, _ in inner_b], name,
              "attributes differ")
        for (key, item_a), (_, item_b) in zip(inner_a, inner_b):
            self.values(item_a, item_b, f"{name}.{key}" if name else key)

    def tensor(self, a: torch.Tensor, b: torch.Tensor, name: str) -> None:
        self.tensors += 1
        for what in ("shape", "layout", "device", "requires_grad", "is_leaf", "is_quantized",
                     "is_nested"):
            if what == "shape" and a.is_nested:
                continue  # its sizes are one of its parts
            x, y = getattr(a, what), getattr(b, what)
            check(x == y, name, f"{what} {x} became {y}")
        if parts(a)[0] is a:
            self.dense(a, b, name)
            return
        for part_a, part_b in zip(parts(a), parts(b)):
            # torch wants the buffer of a nested tensor to have no element more.
            self.dense(part_a, part_b, name, exact=a.is_nested)

    def dense(self, a: torch.Tensor, b: torch.Tensor, name: str, exact: bool = False) -> None:
        check(a.stride() == b.stride(), name, f"stride {a.stride()} became {b.stride()}")
        check(a.storage_offset() == b.storage_offset(), name, "storage offset differs")
        key = storage_key(a)
        kept = is_kept(name, a, self.rules) if key is None else key in self.kept
        dtype = a.dtype if kept else self.rules.dtype
        check(b.dtype == dtype, name, f"is {b.dtype}, not {dtype}")
        if a.is_quantized:
            self.quantized(a, b, name)
        elif not a.is_meta:
            check(same_values(a if kept else converted(a, self.rules), b), name, "values differ")
            self.storage_size(a, b, name, kept or exact)

    def quantized(self, a: torch.Tensor, b: torch.Tensor, name: str) -> None:
        check(a.qscheme() == b.qscheme(), name, "quantization scheme differs")
        self.same_bytes(a, b, a.element_size(), name)
        if a.qscheme() == torch.per_tensor_affine:
            check((a.q_scale(), a.q_zero_point()) == (b.q_scale(), b.q_zero_point()), name,
                  "scale or zero point differs")
            return
        check(same_values(a.q_per_channel_scales(), b.q_per_channel_scales()), name,
              "scales differ")
        check(same_values(a.q_per_channel_zero_points(), b.q_per_channel_zero_points()), name,
              "zero points differ")

    def storage_size(self, a: torch.Tensor, b: torch.Tensor, name: str, kept: bool) -> None:
        before = untyped(a).nbytes() // a.element_size()
        after = untyped(b).nbytes() // b.element_size()
        more = self.rules.more_elements(before, b.element_size(), kept)
        check(after == before + more, name, f"storage of {before} elements became {after}")

    def storage(self, a: Any, b: Any, name: str) -> None:
        check(getattr(a, "dtype", None) == getattr(b, "dtype", None), name, "dtype differs")
        self.same_bytes(a, b, a.element_size(), name)

    def same_bytes(self, a: Any, b: Any, size: int, name: str) -> None:
        """Of storages that are kept."""
        before, after = raw_bytes(a), raw_bytes(b)
        more = self.rules.more_elements(len(before) // size, size, kept=True) * size
        check(before == after[:len(before)], name, "the bytes of its storage differ")
        check(len(after) == len(before) + more, name,
              f"storage of {len(before)} bytes became {len(after)}")
