# SPDX-License-Identifier: MIT
"""Kinds of zip archives: which records there are, in which order, packed by whom."""
import io
import random
import shutil
import struct
import subprocess
import tempfile
import zipfile
import zlib
from collections import OrderedDict
from typing import Any, Callable, List

import torch
from kind import SAMPLE, SAMPLE_FLOAT32, Unavailable, kind, numbers, register, sample
from torch_save import Records, Saver, archive_records, write_archive
from torch_zip import Entry, TorchZip

IDENTITY = (".data/serialization_id", b"0123456789" * 4)


def sample_records(**fields: Any) -> Records:
    return archive_records(Saver(sample(), **fields))


def register_sample(name: str, write: Callable[[str], None], **fields: Any) -> None:
    register(f"archive/{name}", write, float32=SAMPLE_FLOAT32, twin=SAMPLE, **fields)


def register_records(name: str, records: Callable[[], Records], folder: str = "archive") -> None:
    register_sample(name, lambda path: write_archive(path, records(), folder))


# ---------------------------------------------------------------------------
# Which records, where
# ---------------------------------------------------------------------------


def data_records(records: Records) -> Records:
    return [record for record in records if record[0].startswith("data/")]


def with_everything() -> Records:
    """As torch >= 2.7 writes."""
    records = sample_records()
    attributes = [(".format_version", b"1"), (".storage_alignment", b"64"),
                  ("byteorder", b"little")]
    return records[:1] + attributes + records[1:] + [IDENTITY]


def sorted_by(key: Callable[[str], Any]) -> Records:
    """The storages in another order."""
    records = sample_records()
    data = sorted(data_records(records), key=lambda record: key(record[0][len("data/"):]))
    return records[:1] + data + records[-1:]


def data_first() -> Records:
    records = sample_records()
    return records[1:] + records[:1] + [IDENTITY]


def version_first() -> Records:
    records = sample_records()
    return records[-1:] + records[:-1]


def with_version(name: str, number: int) -> Records:
    return sample_records()[:-1] + [(name, b"%d\n" % number)]


def with_more() -> Records:
    """Records that are no storage."""
    more = [("extra/notes.txt", b"notes"), ("extra/empty", b""), ("data/readme", bytes(range(99)))]
    records = sample_records()
    return more[:1] + records[:5] + more[1:] + records[5:]


register_records("bare", sample_records)
register_records("with-everything", with_everything)
register_records("byteorder", lambda: archive_records(Saver(sample()), "little"))
register_records("serialization-id", lambda: sample_records() + [IDENTITY])
register_records("folder", sample_records, "epoch 7, step 3.5")
register_records("chinese-folder", sample_records, "语音模型")
register_records("pointer-keys",
                 lambda: sample_records(key=lambda number: str(57885792 + 1000 * number)))
register_records("numeric-order", lambda: sorted_by(int))
register_records("lexicographic-order", lambda: sorted_by(str))
register_records("reverse-order", lambda: sorted_by(lambda key: -int(key)))
register_records("data-first", data_first)
register_records("version-first", version_first)
register_records("dot-data-version", lambda: with_version(".data/version", 6))
for number in range(1, 11):
    register_records(f"version-{number}", lambda version=number: with_version("version", version))
register_records("more-records", with_more)


@kind("archive/70000-records", ways=["plain"])
def many_records(path: str) -> None:
    """More entries than the end record of a zip archive can count."""
    values = torch.arange(70000) / 512
    write_archive(path, archive_records(Saver([value.clone() for value in values])))


# ---------------------------------------------------------------------------
# Records that are not as they should be
# ---------------------------------------------------------------------------


def padded(more: bytes) -> Callable[[str], None]:
    """Converted and kept storages whose records are longer than they."""
    def write(path: str) -> None:
        write_archive(path, [(name, data + more if name.startswith("data/") else data)
                             for name, data in sample_records()])
    return write


register_sample("longer-records", padded(b"\x01\x02\x03"))
register_sample("much-longer-records", padded(struct.pack("<4d", 1, 2, 3, 4)))


@kind("archive/shorter-record", reason="short")
def shorter_record(path: str) -> None:
    write_archive(path, [(name, data[:-1] if name == "data/0" else data)
                         for name, data in sample_records()])


@kind("archive/twice-the-same-name", reason="two entries|exists")
def twice_the_same(path: str) -> None:
    records = sample_records()
    write_archive(path, records + [record for record in records if record[0] == "data/1"])


@kind("archive/without-crcs")
def without_crcs(path: str) -> None:
    """As torch.save() writes with compute_crc32=False."""
    saver = Saver(OrderedDict(weight=numbers(30, 20, seed=60), bias=numbers(30, seed=61)))
    write_archive(path, archive_records(saver), crcs={"data/0": 0, "data/1": 0})


@kind("archive/without-any-crc", float32=SAMPLE_FLOAT32, twin=SAMPLE, clean=False)
def without_any_crc(path: str) -> None:
    """What is kept has no CRC in the view either."""
    records = sample_records()
    write_archive(path, records, crcs={name: 0 for name, _ in data_records(records)})


@kind("archive/crcs-off", float32=SAMPLE_FLOAT32, twin=SAMPLE, since=(2, 6), clean=False)
def crcs_off(path: str) -> None:
    """torch's own switch: not even the pickle has its CRC."""
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(sample(), path)
    finally:
        torch.serialization.set_crc32_options(True)


@kind("archive/overlapping", reason="overlap|inconsistent")
def overlapping(path: str) -> None:
    """The first storage's payload is another whole entry, the directory knows both."""
    inner = numbers(30, 20, seed=67).numpy().tobytes()
    name = b"archive/data/1"
    header = struct.pack("<IHHHHHIIIHH", 0x04034B50, 0, 0, 0, 0, 0, zlib.crc32(inner), len(inner),
                         len(inner), len(name), 0) + name
    outer = header + inner
    assert len(outer) % 4 == 0
    saver = Saver([torch.empty(len(outer) // 4), torch.empty(30, 20)])
    with open(path, "wb") as file:
        archive = TorchZip(file)
        archive.add("data.pkl", saver.pickled())
        archive.add("data/0", outer)
        start = file.tell() - 16 - len(outer)  # a data descriptor follows
        archive.add("version", b"3\n")
        archive.entries.append(Entry(name, start, len(inner), zlib.crc32(inner), False))
        archive.close()


# ---------------------------------------------------------------------------
# Packed by other programs
# ---------------------------------------------------------------------------


def pack(path: str, method: Callable[[str], int], comment: bytes = b"") -> None:
    """With Python's zipfile: times, no alignment, data descriptors nowhere."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = comment
        for name, data in sample_records():
            entry = zipfile.ZipInfo(f"archive/{name}", (2024, 2, 29, 12, 34, 56))
            entry.extra = struct.pack("<HHBI", 0x5455, 5, 1, 1709210096)
            archive.writestr(entry, data, method(name))


def pack_with_zip(path: str, *options: str) -> None:
    """With Info-ZIP: its own extra fields, and entries for the folders."""
    if not shutil.which("zip"):
        raise Unavailable("there is no program zip")
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(io.BytesIO(saved_archive())) as archive:
            archive.extractall(folder)
        subprocess.run(["zip", "-qr", *options, f"{folder}/packed.zip", "archive"], cwd=folder,
                       check=True)
        shutil.copyfile(f"{folder}/packed.zip", path)


def saved_archive() -> bytes:
    file = io.BytesIO()
    torch.save(sample(), file)
    return file.getvalue()


def mixed(name: str) -> int:
    """Some of the records deflated, the pickle not."""
    packed = name.startswith("data/") and int(name[len("data/"):]) % 2 == 0
    return zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED


register_sample("stored-again", lambda path: pack(path, lambda _: zipfile.ZIP_STORED))
register_sample("comment",
                lambda path: pack(path, lambda _: zipfile.ZIP_STORED, b"Packed by hand. " * 99))
register_sample("deflated", lambda path: pack(path, lambda _: zipfile.ZIP_DEFLATED))
register_sample("partly-deflated", lambda path: pack(path, mixed))
register_sample("zip-program", pack_with_zip)
register_sample("zip-program-without-folders", lambda path: pack_with_zip(path, "-D", "-9"))
register_sample("zip-program-stored", lambda path: pack_with_zip(path, "-0"))
register("archive/encrypted", lambda path: pack_with_zip(path, "-D", "-P", "secret"),
         reason="is encrypted")
for packed, code in (("bzip2", zipfile.ZIP_BZIP2), ("lzma", zipfile.ZIP_LZMA)):
    register(f"archive/{packed}", lambda path, method=code: pack(path, lambda _: method),
             reason="compress")


@kind("archive/large-deflated")
def large_deflated(path: str) -> None:
    """A record of more than one chunk, however large cvq's are, and hardly compressible."""
    values = torch.frombuffer(bytearray(random.Random(62).randbytes(9 << 20)), dtype=torch.float32)
    saver = Saver([values.nan_to_num(), numbers(100, 100, seed=63)])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in archive_records(saver):
            archive.writestr(f"archive/{name}", data)


@kind("archive/corrupt-deflated", unreadable="data/1")
def corrupt_deflated(path: str) -> None:
    """The second block of a deflated record is of a type that there is not."""
    saver = Saver([numbers(300, 200, seed=seed) for seed in (64, 65, 66)])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in archive_records(saver):
            level = 0 if name == "data/1" else 6  # 0: blocks that are found by their lengths
            archive.writestr(f"archive/{name}", data, compresslevel=level)
        entry = archive.getinfo("archive/data/1")
    with open(path, "r+b") as file:
        file.seek(entry.header_offset + 30 + len(entry.filename))
        last, length = struct.unpack("<BHxx", file.read(5))
        assert not last and length < entry.file_size
        file.seek(length, 1)
        file.write(b"\x06")


# ---------------------------------------------------------------------------
# The other byte order
# ---------------------------------------------------------------------------


def mixed_endian() -> "OrderedDict[str, Any]":
    """Storages of every width and type, converted and kept."""
    state = sample()
    state["quantized"] = torch.quantize_per_tensor(numbers(5, seed=70)[2:], 0.5, 3, torch.qint32)
    state["bytes"] = torch.arange(9, dtype=torch.uint8).storage().untyped()
    return state


def write_endian(path: str, byteorder: str) -> None:
    write_archive(path, archive_records(Saver(mixed_endian()), byteorder))


register("archive/big-endian-twin", lambda path: write_endian(path, "little"),
         float32=SAMPLE_FLOAT32)
# torch 1.13 does not look at the byte order.
register("archive/big-endian", lambda path: write_endian(path, "big"), float32=SAMPLE_FLOAT32,
         twin="archive/big-endian-twin", readable_since=(2, 1))


@kind("archive/big-endian-deflated", float32=SAMPLE_FLOAT32, twin="archive/big-endian-twin",
      readable_since=(2, 1))
def big_endian_deflated(path: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in archive_records(Saver(mixed_endian()), "big"):
            archive.writestr(f"archive/{name}", data)


@kind("archive/unknown-byteorder", reason="byte order")
def unknown_byteorder(path: str) -> None:
    write_archive(path, archive_records(Saver(sample()), "middle"))


@kind("archive/several-large")
def several_large(path: str) -> None:
    """Records beyond the sizes at which cvq lays zeros behind the seal."""
    sizes: List[int] = [32767, 32768, (1 << 20) - 1, 1 << 20]
    torch.save([numbers(size, seed=80 + size % 7) for size in sizes], path)
