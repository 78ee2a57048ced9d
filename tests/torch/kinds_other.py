# SPDX-License-Identifier: MIT
"""Kinds of files named .pt that hold no checkpoint, or one that cvq leaves alone."""
import io
import pickle
import struct
import tarfile
import zipfile
from typing import Any, Optional

import numpy
import torch
from comparison import load
from kind import kind, numbers
from torch_save import Saver, archive_records, write_archive


@kind("other/torchscript", reason="TorchScript")
def torchscript(path: str) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Linear(4, 3), torch.ones(2, 4)), path)


@kind("other/package", reason="torch.package")
def package(path: str) -> None:
    with torch.package.PackageExporter(path) as exporter:
        exporter.save_pickle("weights", "model.pkl", {"weight": numbers(5, 6)})


class TensorPickler(pickle.Pickler):
    """Tensors go to another member of the archive."""

    def persistent_id(self, value: Any) -> Optional[str]:
        return "20" if isinstance(value, torch.Tensor) else None


@kind("other/tar", reason=r"\btar\b")
def tar(path: str) -> None:
    """As torch <= 0.1.10 wrote."""
    values = numbers(3, 4, seed=150)
    storages, tensors, whole = io.BytesIO(), io.BytesIO(), io.BytesIO()
    for value in (1, ("10", "cpu", torch.FloatStorage)):
        pickle.dump(value, storages, 2)
    storages.write(struct.pack("<q", 12) + values.numpy().tobytes())
    pickle.dump([], storages, 2)  # views
    for value in (1, (20, "10", torch.FloatTensor)):
        pickle.dump(value, tensors, 2)
    tensors.write(struct.pack("<i4x2q2qq", 2, 3, 4, 4, 1, 0))
    TensorPickler(whole, 2).dump({"weight": values})
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, file in (("storages", storages), ("tensors", tensors), ("pickle", whole)):
            member = tarfile.TarInfo(name)
            member.size = len(file.getvalue())
            archive.addfile(member, io.BytesIO(file.getvalue()))
    assert torch.equal(load(path, "plain")["weight"][0, 2:], values[0, 2:])


@kind("other/zip", reason="no checkpoint")
def ordinary_zip(path: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/readme.txt", "nothing of torch's")
        archive.writestr("b/weights.bin", bytes(4096))


@kind("other/npz", reason="no checkpoint")
def npz(path: str) -> None:
    with open(path, "wb") as file:
        numpy.savez(file, weight=numbers(5, 6, seed=151).numpy())


@kind("other/pickle", reason="checkpoint|pickle|stream")
def plain_pickle(path: str) -> None:
    """Of a program that used pickle in torch.save()'s place."""
    with open(path, "wb") as file:
        pickle.dump({"weight": numbers(5, 6, seed=152)}, file, 2)


@kind("other/empty", reason="empty")
def empty(path: str) -> None:
    with open(path, "wb"):
        pass


@kind("other/text", reason="Git LFS")
def text(path: str) -> None:
    """What git leaves in the place of a large file."""
    with open(path, "w", encoding="utf-8") as file:
        file.write("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 2023316821\n")


@kind("other/unknown-opcode", reason="opcode")
def unknown_opcode(path: str) -> None:
    records = archive_records(Saver([numbers(5, seed=153)]))
    write_archive(path, [(name, data[:-1] + b"\xff." if name == "data.pkl" else data)
                         for name, data in records])
