#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Versions of one checkpoint, and readers that tell which one they see.

    versions.py make FILE NUMBER    one FP32 tensor, all of whose elements are NUMBER
    versions.py read HOW FILE       until SIGTERM

A reader reads the whole file over and over and prints what it saw whenever that is
something else than before:

    NUMBER      this version, converted, whole, with true checksums
    fp32:NUMBER this version, not converted
    other       no checkpoint at all
    MIXED       a checkpoint that is none of those
    SIZE        more or fewer bytes than fstat(2) has said
    EIO, ...    an error
    SIGBUS      what an error is to a mapping

HOW: "opening" opens it anew every time, "holding" has it open, "mapping" has it
mapped; "waiting" has it open, too, but first reads it after a SIGUSR1. They read from
the daemon rather than from the kernel's cache, where only "cached" leaves everything.
"""
import errno
import io
import mmap
import os
import signal
import struct
import sys
import zipfile
from typing import Callable, Iterator

from torch_zip import Checkpoint, Storage, Tensor

NUMEL = 400000  # in FP16, six requests of the kernel


def make(path: str, number: int) -> None:
    checkpoint = Checkpoint()
    data = struct.pack("<f", number) * NUMEL
    checkpoint.storages.append(Storage("FloatStorage", NUMEL, data))
    checkpoint.tensors["weight"] = Tensor(0, [NUMEL])
    with open(path, "wb") as file:
        checkpoint.write(file)


def judge(data: bytes) -> str:
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return "other"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            kept = b"FloatStorage" in archive.read("archive/data.pkl")
            weight = archive.read("archive/data/0")
    except zipfile.BadZipFile:
        return "MIXED"
    element = weight[:4 if kept else 2]
    if not weight.startswith(element * NUMEL):
        return "MIXED"
    number = int(struct.unpack("<f" if kept else "<e", element)[0])
    return f"fp32:{number}" if kept else str(number)


def empty_cache(fd: int) -> None:
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def read_all(fd: int, cached: bool = False) -> str:
    if not cached:
        empty_cache(fd)
    size, data = os.fstat(fd).st_size, bytearray()
    while True:
        part = os.pread(fd, 65536, len(data))
        if not part:
            return judge(bytes(data)) if len(data) == size else "SIZE"
        data += part


def open_and_read(path: str) -> str:
    fd = os.open(path, os.O_RDONLY)
    try:
        return read_all(fd)
    finally:
        os.close(fd)


def read_mapping(fd: int, mapping: mmap.mmap) -> str:
    """In a child, which may get a signal that Python cannot catch."""
    mapping.madvise(mmap.MADV_DONTNEED)
    empty_cache(fd)
    from_child, to_parent = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(to_parent, judge(mapping[:]).encode())
        os._exit(0)
    os.close(to_parent)
    seen = os.read(from_child, 100).decode()
    os.close(from_child)
    status = os.waitpid(child, 0)[1]
    return signal.Signals(status & 0x7F).name if os.WIFSIGNALED(status) else seen


def reader(how: str, path: str) -> Callable[[], str]:
    if how == "opening":
        return lambda: open_and_read(path)
    fd = os.open(path, os.O_RDONLY)
    if how == "mapping":
        mapping = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
        return lambda: read_mapping(fd, mapping)
    if how == "waiting":
        print("open", flush=True)
        signal.sigwait([signal.SIGUSR1])
    return lambda: read_all(fd, how == "cached")


def outcomes(read: Callable[[], str]) -> Iterator[str]:
    while True:
        try:
            yield read()
        except OSError as error:
            yield errno.errorcode[error.errno]


def main() -> int:
    command, *arguments = sys.argv[1:]
    if command == "make":
        make(arguments[0], int(arguments[1]))
        return 0
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    last = None
    for seen in outcomes(reader(*arguments)):
        if seen != last:
            print(seen, flush=True)
        last = seen
    return 0


if __name__ == "__main__":
    sys.exit(main())
