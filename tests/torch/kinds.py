#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes one small checkpoint of every kind there is, and what has to become of each.

    kinds.py DIRECTORY [--list] [--cpp PROGRAM] [--only PATTERN]

Each is DIRECTORY/GROUP/KIND.pt; DIRECTORY/expectations.json says for each whether it
is converted or passed through, for what reason, and which tensors stay FP32: see
compare.py --kinds.  A kind that this torch cannot write is left out with a line that
says so.  Each is read back with torch to prove that it is what it should be.

--list writes nothing but the names.  PROGRAM is cpp_torch.cc, compiled: the kinds
that only torch's C++ library writes.
"""
import argparse
import fnmatch
import json
import os
import subprocess
import sys
import warnings
from dataclasses import asdict
from typing import Dict, Set

import kinds_archive
import kinds_content
import kinds_other
import kinds_stream
import torch
from compare import EXPECTATIONS, Expectation
from comparison import UNCHANGED, Comparison, load, torch_version
from kind import KINDS, Kind, Unavailable, register

assert kinds_archive and kinds_content and kinds_other and kinds_stream  # they fill KINDS

# What cpp_torch.cc writes.
CPP = {"pickle-save": {"float32": ["optimizer.exp_avg"]},
       "tensor": {"reason": "TorchScript"}, "tensors": {"reason": "TorchScript"},
       "module": {"reason": "TorchScript"}}


def path_of(directory: str, name: str) -> str:
    return os.path.join(directory, f"{name}.pt")


def write_cpp(program: str, path: str) -> None:
    if not program:
        raise Unavailable("no program was compiled with torch's C++ library")
    name = os.path.splitext(os.path.basename(path))[0]
    subprocess.run([program, "write", name, path], check=True)


def write(kind: Kind, directory: str) -> None:
    if torch_version() < kind.since:
        raise Unavailable(f"torch {torch.__version__} is too old")
    path = path_of(directory, kind.name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    kind.write(path)


def prove(kind: Kind, directory: str) -> None:
    """The file is what it should be, so far as torch can tell."""
    if kind.reason or kind.unreadable or torch_version() < kind.readable_since:
        return
    loaded = load(path_of(directory, kind.name), "plain")
    if kind.twin:
        twin = load(path_of(directory, kind.twin), "plain")
        Comparison(twin, loaded, UNCHANGED).run()


def expectation(kind: Kind) -> Expectation:
    readable = torch_version() >= kind.readable_since
    return Expectation(state="passthrough" if kind.reason else "converted", reason=kind.reason,
                       float32=kind.float32, stand_in="" if readable else f"{kind.twin}.pt",
                       ways=kind.ways, objects=kind.objects, unreadable=kind.unreadable,
                       clean=kind.clean)


def write_all(kinds: Dict[str, Kind], directory: str) -> Dict[str, Expectation]:
    written: Dict[str, Expectation] = {}
    for name, kind in kinds.items():
        try:
            write(kind, directory)
        except Unavailable as reason:
            print(f"{name}: left out: {reason}")
            continue
        written[f"{name}.pt"] = expectation(kind)
    for name, kind in kinds.items():
        if f"{name}.pt" in written:
            prove(kind, directory)
    return written


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--cpp", default="", metavar="PROGRAM")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="kinds of such names")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    warnings.simplefilter("ignore")
    for name, fields in CPP.items():
        register(f"cpp/{name}", lambda path: write_cpp(arguments.cpp, path), **fields)
    names: Set[str] = set(fnmatch.filter([kind.name for kind in KINDS], arguments.only))
    names |= {kind.twin for kind in KINDS if kind.name in names and kind.twin}
    kinds = {kind.name: kind for kind in KINDS if kind.name in names}
    if arguments.list:
        for kind in kinds.values():
            print(f"{kind.name}: {'passed through' if kind.reason else 'converted'}")
        return 0
    written = write_all(kinds, arguments.directory)
    with open(os.path.join(arguments.directory, EXPECTATIONS), "w", encoding="utf-8") as file:
        json.dump({name: asdict(expected) for name, expected in written.items()}, file, indent=1)
    print(f"{len(written)} kinds of files, {len(kinds) - len(written)} left out")
    return 0


if __name__ == "__main__":
    sys.exit(main())
