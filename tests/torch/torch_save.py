# SPDX-License-Identifier: MIT
"""torch.save() in plain steps: the pickle, the storages, and both of torch's formats.

For files that no torch of today writes: with other keys, another order, another byte
order.  And reads the legacy stream back, to see whether it is as it has to be.
"""
import io
import pickle
import struct
import sys
import warnings
from dataclasses import dataclass
from typing import Any, BinaryIO, Callable, Dict, List, Optional, Tuple

import torch
from comparison import raw_bytes
from torch_zip import TorchZip, item_size

# torch/serialization.py
MAGIC = 0x1950A86A20F9469CFC6C
MAGIC_BYTES = bytes.fromhex("6cfc9c46f9206aa85019")
PROTOCOL_VERSION = 1001
SYSTEM = {"protocol_version": PROTOCOL_VERSION, "little_endian": True,
          "type_sizes": {"short": 2, "int": 4, "long": 4}}

Records = List[Tuple[str, bytes]]


@dataclass
class Stored:
    """A storage as it goes to a file."""
    kind: str  # "FloatStorage", ...
    numel: int
    data: bytes  # little-endian

    def big_endian(self) -> bytes:
        width = item_size(self.kind)
        if self.kind.startswith("Complex"):
            width //= 2
        swapped = bytearray(self.data)
        for byte in range(width):
            swapped[byte::width] = self.data[width - 1 - byte::width]
        return bytes(swapped)


class Saver(pickle.Pickler):
    """Pickles as torch.save() does.  'key' names a storage by its number."""

    def __init__(self, root: Any, protocol: int = 2, key: Callable[[int], str] = str,
                 legacy: bool = False) -> None:
        self.file = io.BytesIO()
        super().__init__(self.file, protocol)
        self.key, self.legacy = key, legacy
        self.keys: Dict[int, str] = {}  # by address
        self.storages: Dict[str, Stored] = {}
        self.alive: List[Any] = []  # or an address might come again
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.dump(root)

    def pickled(self) -> bytes:
        return self.file.getvalue()

    def persistent_id(self, value: Any) -> Optional[tuple]:
        if isinstance(value, torch.storage.TypedStorage):
            kind = torch.storage._dtype_to_storage_type_map()[value.dtype]
            return self.storage_id(getattr(torch, kind), kind, value.untyped(), value.nbytes())
        if torch.is_storage(value):
            return self.storage_id(torch.UntypedStorage, "UntypedStorage", value, value.nbytes())
        return None

    def storage_id(self, kind_class: type, kind: str, storage: Any, size: int) -> tuple:
        address = storage._cdata
        key = self.keys.setdefault(address, self.key(len(self.keys)))
        numel = size // item_size(kind)
        if key not in self.storages:
            self.alive.append(storage)
            self.storages[key] = Stored(kind, numel, raw_bytes(storage))
        name = ("storage", kind_class, key, "cpu", numel)
        return name + (None,) if self.legacy else name


# ---------------------------------------------------------------------------
# Archives
# ---------------------------------------------------------------------------


def archive_records(saver: Saver, byteorder: str = "") -> Records:
    """The records of a checkpoint in torch's order."""
    records = [("data.pkl", saver.pickled())]
    if byteorder:
        records.append(("byteorder", byteorder.encode()))
    for key, storage in saver.storages.items():
        data = storage.big_endian() if byteorder == "big" else storage.data
        records.append((f"data/{key}", data))
    records.append(("version", b"3\n"))
    return records


def write_archive(path: str, records: Records, folder: str = "archive",
                  crcs: Optional[Dict[str, int]] = None) -> None:
    with open(path, "wb") as file:
        archive = TorchZip(file, folder)
        for name, data in records:
            archive.add(name, data, (crcs or {}).get(name))
        archive.close()


# ---------------------------------------------------------------------------
# Legacy streams
# ---------------------------------------------------------------------------


def write_stream(file: BinaryIO, saver: Saver, system: Optional[dict] = None,
                 keys: Optional[List[str]] = None, protocol: int = 2) -> None:
    """'keys': the storages in the order of the file."""
    for head in (MAGIC, PROTOCOL_VERSION, system or SYSTEM):
        pickle.dump(head, file, protocol)
    file.write(saver.pickled())
    keys = sorted(saver.storages) if keys is None else keys
    pickle.dump(keys, file, protocol)
    for key in keys:
        storage = saver.storages[key]
        file.write(struct.pack("<q", storage.numel) + storage.data)


class Anything:
    """Stands for whatever a pickle makes, while only its storages matter."""

    def __new__(cls, *_: Any, **__: Any) -> "Anything":
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass

    def __setitem__(self, _: Any, __: Any) -> None:
        pass

    def append(self, _: Any) -> None:
        pass


class StorageFinder(pickle.Unpickler):
    """Finds the storages of a pickle, runs nothing."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.kinds: Dict[str, str] = {}

    def find_class(self, module: str, name: str) -> type:
        return type(name, (Anything,), {})

    def persistent_load(self, pid: tuple) -> Any:
        if pid[0] == "module":
            return pid[1]
        self.kinds[pid[2]] = pid[1].__name__
        return Anything()


@dataclass
class Stream:
    storages: List[Tuple[str, str, int]]  # key, kind, elements
    end: int  # where the last storage ends


def is_stream(path: str) -> bool:
    with open(path, "rb") as file:
        return MAGIC_BYTES in file.read(32)


def read_stream(path: str) -> Stream:
    with open(path, "rb") as file:
        pickle.load(file)
        pickle.load(file)
        pickle.load(file)
        finder = StorageFinder(file)
        finder.load()
        storages = []
        for key in pickle.load(file):
            numel, = struct.unpack("<q", file.read(8))
            storages.append((key, finder.kinds[key], numel))
            file.seek(numel * item_size(finder.kinds[key]), 1)
        return Stream(storages, file.tell())


assert sys.byteorder == "little", "storages are written as they lie in memory"
