# SPDX-License-Identifier: MIT
"""torch's own archive layout and the pickle of a state dict, in plain Python.

Writes what torch.save() of torch >= 2.7 writes, to the byte, without torch: for
checkpoints that must be the same everywhere and forever, for those too large to
hold in memory (payloads may be holes), and as an oracle for the images that cvq
makes.  Facts: caffe2/serialize/inline_container.cc and miniz.
"""
import struct
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import BinaryIO, List, Optional, Sequence

LIMIT32 = 0xFFFFFFFF


@dataclass
class Entry:
    name: bytes
    offset: int
    size: int
    crc: int
    zip64: bool


class TorchZip:
    """The records of a checkpoint, written one after the other."""

    def __init__(self, file: BinaryIO, folder: str = "archive", alignment: int = 64) -> None:
        self.file = file
        self.folder = folder
        self.alignment = alignment
        self.entries: List[Entry] = []

    def add(self, name: str, data: bytes, crc: Optional[int] = None) -> None:
        entry = self._begin(name, len(data))
        self.file.write(data)
        self._end(entry, zlib.crc32(data) if crc is None else crc)

    def add_hole(self, name: str, size: int, tail: bytes = b"", crc: int = 0) -> None:
        """A record of zeros that take no space on the disk, up to its tail."""
        entry = self._begin(name, size)
        self.file.seek(size - len(tail), 1)
        self.file.write(tail)
        self._end(entry, crc)

    def _begin(self, name: str, size: int) -> Entry:
        offset = self.file.tell()
        full = f"{self.folder}/{name}".encode()
        large, far = size >= LIMIT32, offset >= LIMIT32
        extra = b""
        if large or far:
            values = [size, 0] * large + [offset] * far
            extra = struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values)
        start = offset + 30 + len(full) + len(extra) + 4
        padding = -start % self.alignment
        extra += b"FB" + struct.pack("<H", padding) + b"Z" * padding
        flags = 0x0808 if size else 0x0800
        self.file.write(struct.pack("<IHHHHHIIIHH", 0x04034B50, 0, flags, 0, 0, 0, 0, 0, 0,
                                    len(full), len(extra)) + full + extra)
        return Entry(full, offset, size, 0, large or far)

    def _end(self, entry: Entry, crc: int) -> None:
        entry.crc = crc
        if entry.size:
            self.file.write(struct.pack("<IIQQ" if entry.zip64 else "<IIII", 0x08074B50, crc,
                                        entry.size, entry.size))
        self.entries.append(entry)

    def _directory_entry(self, entry: Entry) -> bytes:
        large, far = entry.size >= LIMIT32, entry.offset >= LIMIT32
        extra = b""
        if large or far:
            values = [entry.size, entry.size] * large + [entry.offset] * far
            extra = struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values)
        size, offset = min(entry.size, LIMIT32), min(entry.offset, LIMIT32)
        flags = 0x0808 if entry.size else 0x0800
        return struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 0, 0, flags, 0, 0, 0, entry.crc,
                           size, size, len(entry.name), len(extra), 0, 0, 0, 0,
                           offset) + entry.name + extra

    def close(self) -> None:
        start = self.file.tell()
        directory = b"".join(map(self._directory_entry, self.entries))
        end, count = start + len(directory), len(self.entries)
        self.file.write(directory)
        self.file.write(struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 0x031E, 45, 0, 0, count,
                                    count, len(directory), start))
        self.file.write(struct.pack("<IIQI", 0x07064B50, 0, end, 1))
        self.file.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, min(count, 0xFFFF),
                                    min(count, 0xFFFF), min(len(directory), LIMIT32),
                                    min(start, LIMIT32), 0))


@dataclass
class Tensor:
    """A tensor on storage number 'storage'; strides are contiguous unless given."""
    storage: int
    shape: Sequence[int]
    offset: int = 0
    stride: Optional[Sequence[int]] = None

    def strides(self) -> Sequence[int]:
        if self.stride is not None:
            return self.stride
        strides: List[int] = []
        step = 1
        for dimension in reversed(self.shape):
            strides.insert(0, step)
            step *= dimension
        return strides


@dataclass
class Storage:
    kind: str  # "FloatStorage", ...
    numel: int
    data: Optional[bytes] = None  # None: a hole
    crc: Optional[int] = None  # what the archive says, if not the truth
    tail: bytes = b""  # the end of a hole


@dataclass
class Checkpoint:
    tensors: "OrderedDict[str, Tensor]" = field(default_factory=OrderedDict)
    storages: List[Storage] = field(default_factory=list)
    edited: bool = False  # whether the pickle is written as cvq's rewriting leaves it

    def write(self, file: BinaryIO, byteorder: str = "little", alignment: int = 64) -> None:
        archive = TorchZip(file, alignment=alignment)
        archive.add("data.pkl", StateDictPickle(self).bytes())
        archive.add(".format_version", b"1")
        archive.add(".storage_alignment", str(alignment).encode())
        archive.add("byteorder", byteorder.encode())
        for key, storage in enumerate(self.storages):
            if storage.data is None:
                size = storage.numel * item_size(storage.kind)
                archive.add_hole(f"data/{key}", size, storage.tail)
            else:
                archive.add(f"data/{key}", storage.data, storage.crc)
        archive.add("version", b"3\n")
        archive.add(".data/serialization_id", b"0" * 40)
        archive.close()


ITEM_SIZES = {
    "BoolStorage": 1, "ByteStorage": 1, "CharStorage": 1, "ShortStorage": 2, "IntStorage": 4,
    "LongStorage": 8, "HalfStorage": 2, "BFloat16Storage": 2, "FloatStorage": 4,
    "DoubleStorage": 8, "ComplexFloatStorage": 8, "ComplexDoubleStorage": 16,
    "QInt8Storage": 1, "QUInt8Storage": 1, "QInt32Storage": 4, "UntypedStorage": 1}


def item_size(kind: str) -> int:
    return ITEM_SIZES[kind]


def quiet_bytes(size: int) -> int:
    """The zeros that cvq has behind the seal of a record of 'size' bytes, so that reading
    the next record does not ask for the seal."""
    if size < 64 << 10:
        return 0
    return 4096 if size < 2 << 20 else (128 << 10) + 4096


class StateDictPickle:
    """Pickles an OrderedDict of tensors as CPython's pickler does at protocol 2."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.out = bytearray()
        self.memo: dict = {}
        self.edited = checkpoint.edited
        self._state_dict(checkpoint)

    def bytes(self) -> bytes:
        return bytes(self.out)

    def _memoised(self, key: object, code: bytes) -> None:
        """Writes 'code', or fetches what it made the first time."""
        if key in self.memo:
            index = self.memo[key]
            self.out += b"h%c" % index if index < 256 else b"j" + struct.pack("<I", index)
            return
        self.out += code
        self._put(key)

    def _put(self, key: object) -> None:
        index = self.memo[key] = len(self.memo)
        self.out += b"q%c" % index if index < 256 else b"r" + struct.pack("<I", index)

    def _text(self, text: str) -> None:
        data = text.encode()
        self._memoised(text, b"X" + struct.pack("<I", len(data)) + data)

    def _global(self, module: str, name: str) -> None:
        self._memoised((module, name), f"c{module}\n{name}\n".encode())

    def _storage_class(self, kind: str) -> None:
        """cvq names the type each time: one memo slot cannot stand for two."""
        slot = ("torch", "FloatStorage")
        if not self.edited or kind not in ("FloatStorage", "HalfStorage", "BFloat16Storage"):
            self._global("torch", kind)
            return
        self.out += f"ctorch\n{kind}\n".encode()
        if slot not in self.memo:
            self._put(slot)

    def _int(self, value: int) -> None:
        if 0 <= value < 256:
            self.out += b"K%c" % value
        elif 0 <= value < 65536:
            self.out += b"M" + struct.pack("<H", value)
        elif value < 1 << 31:
            self.out += b"J" + struct.pack("<i", value)
        else:
            data = value.to_bytes(value.bit_length() // 8 + 1, "little")
            self.out += b"\x8a%c" % len(data) + data

    def _tuple(self, values: Sequence[int]) -> None:
        if not values:
            self.out += b")"
            return
        if len(values) > 3:
            self.out += b"("
        for value in values:
            self._int(value)
        self.out += (b"\x85", b"\x86", b"\x87", b"t")[min(len(values), 4) - 1]
        self._put(object())

    def _tensor(self, tensor: Tensor, storage: Storage) -> None:
        self._global("torch._utils", "_rebuild_tensor_v2")
        self.out += b"(("
        self._text("storage")
        self._storage_class(storage.kind)
        self._text(str(tensor.storage))
        self._text("cpu")
        self._int(storage.numel)
        self.out += b"t"
        self._put(object())
        self.out += b"Q"
        self._int(tensor.offset)
        self._tuple(tensor.shape)
        self._tuple(tensor.strides())
        self.out += b"\x89"
        self._global("collections", "OrderedDict")
        self.out += b")R"
        self._put(object())
        self.out += b"t"
        self._put(object())
        self.out += b"R"
        self._put(object())

    def _state_dict(self, checkpoint: Checkpoint) -> None:
        self.out += b"\x80\x02"
        self._global("collections", "OrderedDict")
        self.out += b")R"
        self._put(object())
        self.out += b"("
        for name, tensor in checkpoint.tensors.items():
            self._text(name)
            self._tensor(tensor, checkpoint.storages[tensor.storage])
        self.out += b"u}"
        self._put(object())
        self._text("_metadata")
        self._global("collections", "OrderedDict")
        self.out += b")R"
        self._put(object())
        self._text("")
        self.out += b"}"
        self._put(object())
        self._text("version")
        self._int(1)
        self.out += b"sssb."
