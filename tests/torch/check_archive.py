#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Checks the archive of a converted checkpoint, byte by byte, without torch.

    check_archive.py SOURCE VIEW [--align N] [--checksum seal|exact|none]

Every header is read from the file itself: the records and their order are the
source's, their data lies where the alignment wants it, and the CRC-32 fields of
the directory and behind the data say what the way of checksums promises.
"""
import argparse
import struct
import sys
import zipfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO, List

LOCAL, DESCRIPTOR = 0x04034B50, 0x08074B50


@dataclass
class Record:
    name: str
    offset: int  # of the data
    data: bytes
    crc: int  # as the directory says
    local_crc: int  # as is said where the data is


def read_record(file: BinaryIO, entry: zipfile.ZipInfo) -> Record:
    file.seek(entry.header_offset)
    header = struct.unpack("<IHHHHHIIIHH", file.read(30))
    signature, flags, crc, name_size, extra_size = (header[i] for i in (0, 2, 6, 9, 10))
    assert signature == LOCAL, f"{entry.filename}: no local header"
    name = file.read(name_size).decode()
    assert name == entry.filename, f"{entry.filename}: is called {name} by its header"
    file.seek(extra_size, 1)
    offset = file.tell()
    data = file.read(entry.file_size)
    if flags & 8:  # the CRC is said behind the data
        signature, crc = struct.unpack("<II", file.read(8))
        assert signature == DESCRIPTOR, f"{name}: no descriptor behind the data"
    return Record(name, offset, data, entry.CRC, crc)


def read_records(path: str) -> List[Record]:
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        return [read_record(file, entry) for entry in archive.infolist()]


def check_checksum(before: Record, after: Record, checksum: str) -> None:
    """Of a converted record."""
    size = len(before.data) // 2
    assert after.crc == after.local_crc, f"{after.name}: two CRCs, of which one is wrong"
    if checksum == "seal":
        assert after.crc == before.crc, f"{after.name}: the CRC is not the source's"
        assert len(after.data) >= size + 4, f"{after.name}: no room for a seal"
    else:
        assert len(after.data) == size, f"{after.name}: {len(after.data)} bytes, not {size}"
    truth = 0 if checksum == "none" else zlib.crc32(after.data)
    assert after.crc == truth, f"{after.name}: the CRC is {after.crc:#x}, not {truth:#x}"


def check(source: List[Record], view: List[Record], align: int, checksum: str) -> int:
    """Returns how many records are converted."""
    converted = 0
    assert [record.name for record in source] == [record.name for record in view], "names differ"
    for before, after in zip(source, view):
        last = after.name.split("/", 1)[1]
        assert not after.data or after.offset % align == 0, \
            f"{after.name}: starts at {after.offset}, which is no multiple of {align}"
        if last == ".storage_alignment":
            assert after.data == str(align).encode(), f"{after.name} says {after.data!r}"
        if last.startswith("data/") and before.data != after.data:
            check_checksum(before, after, checksum)
            converted += 1
        else:
            assert after.crc == after.local_crc == zlib.crc32(after.data), f"{after.name}: CRC"
    return converted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source")
    parser.add_argument("view")
    parser.add_argument("--align", type=int, default=64)
    parser.add_argument("--checksum", choices=["seal", "exact", "none"], default="seal")
    arguments = parser.parse_args()
    converted = check(read_records(arguments.source), read_records(arguments.view),
                      arguments.align, arguments.checksum)
    assert converted > 0, "nothing is converted"
    print(f"{arguments.view}: {converted} converted records")
    return 0


if __name__ == "__main__":
    sys.exit(main())
