#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Proves that a view of checkpoints is what .half() makes of their source.

    compare.py SOURCE VIEW [--load WAY]... [--expect converted|passthrough|any]
               [--dtype fp16|bf16] [--overflow inf|clamp]
               [--checksum seal|exact|none] [--quantize-hift] [--kinds]

SOURCE and VIEW are two files, or two directories whose *.pt files are compared.
Each tensor of VIEW must equal, bit for bit, .half() of SOURCE's (a kept one:
SOURCE's own), with the same type, shape, strides, storage offset, requires_grad
and attributes; the same tensors must share a storage; and everything else in the
checkpoint must be the same, down to the order of keys.

Which tensors are kept is decided here anew from the documented rules, not asked
of cvq.  VIEW is loaded in every way this torch has.  --kinds: SOURCE was written by
kinds.py, which says for each file what becomes of it.
"""
import argparse
import errno
import fnmatch
import json
import os
import re
import sys
import zipfile
from dataclasses import dataclass, field, replace
from typing import Dict, Iterator, List, Optional

import torch
from comparison import (MAPPING, UNCHANGED, Comparison, Difference, Rules, check,
                        float32_names, load, loaders)
from torch_save import is_stream, read_stream

KEPT_FILES = ["*hift*", "*hifigan*", "spk2info*.pt"]
EXPECTATIONS = "expectations.json"


@dataclass
class Expectation:
    """What has to become of one file."""
    state: str = "any"  # "converted", "passthrough"
    reason: str = ""  # a regular expression that the reason matches
    float32: Optional[List[str]] = None  # the tensors that are FP32 in the view
    stand_in: str = ""  # the file to compare with, if this torch reads the source wrongly
    ways: List[str] = field(default_factory=list)  # of loading; all of them if empty
    objects: int = 1  # saved one behind the other
    unreadable: str = ""  # the record that cannot be read, since its source is corrupt
    clean: bool = True  # every record of an archive has its true CRC-32


# ---------------------------------------------------------------------------
# Files as bytes
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


def keeps_file(name: str, quantize_hift: bool) -> bool:
    patterns = KEPT_FILES[-1:] if quantize_hift else KEPT_FILES
    return any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in patterns)


def check_info(view: str, expected: Expectation) -> str:
    """The file's state, which must be as expected."""
    info = cvq_info(view)
    check(info is not None or expected.state != "any", view,
          "says neither what it is nor was told to")
    if info is None:
        return expected.state
    reason = info.get("reason", "")
    check(expected.state in ("any", info["state"]), view,
          f"is {info['state']}, not {expected.state}: {reason}")
    check(info["view_size"] == os.stat(view).st_size, view, "view_size is not its size")
    check(bool(reason) or info["state"] == "converted", view, "has no reason")
    check(re.search(expected.reason, reason) is not None, view,
          f"its reason has nothing of '{expected.reason}': {reason}")
    return info["state"]


def is_big_endian(path: str) -> bool:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith("/byteorder"):
                with archive.open(name) as record:
                    record._expected_crc = None  # torch does not look at it either
                    return record.read() == b"big"
    return False


def rules_for(source: str, rules: Rules) -> Rules:
    """What the source's format makes of the rules."""
    if is_stream(source):
        return replace(rules, checksum="exact")
    return replace(rules, swapped=is_big_endian(source))


def check_stream(source: str, view: str) -> None:
    """A legacy stream has its elements, no more, and the same bytes behind them."""
    check(is_stream(view), view, "is no legacy stream, as its source is")
    before, after = read_stream(source), read_stream(view)
    check([(key, numel) for key, _, numel in before.storages] ==
          [(key, numel) for key, _, numel in after.storages], view, "its storages differ")
    with open(source, "rb") as a, open(view, "rb") as b:
        a.seek(before.end)
        b.seek(after.end)
        check(a.read() == b.read(), view, "what follows its storages differs")


def faults(path: str) -> set:
    """The records that do not have the CRC-32 that the archive says."""
    found = set()
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            try:
                archive.read(entry)
            except zipfile.BadZipFile:
                found.add(entry.filename)
    return found


def check_archive(source: str, view: str, clean: bool) -> None:
    found = faults(view)
    if not clean:
        found -= faults(source)
    check(not found, view, f"wrong CRC-32: {sorted(found)}")


def check_unreadable(view: str, record: str) -> str:
    """Reading the record fails; the archive itself and its pickle can be read."""
    failed = []
    with zipfile.ZipFile(view) as archive:
        for name in archive.namelist():
            try:
                archive.read(name)
            except OSError as error:
                check("/data/" in name and error.errno == errno.EIO, view, f"{name}: {error}")
                failed.append(name)
    check(any(name.endswith(record) for name in failed), view, f"{record} can be read")
    return f"an input/output error in {record}"


# ---------------------------------------------------------------------------
# Files as checkpoints
# ---------------------------------------------------------------------------


def compare_loaded(source: str, view: str, way: str, rules: Rules) -> int:
    """Compares the two files as 'way' loads them; returns the number of tensors."""
    try:
        a = load(source, "plain" if way in MAPPING else way)
    except Exception as error:  # what torch refuses in the source it refuses in the view
        try:
            load(view, way)
        except Exception as other:
            check(type(error) is type(other), view,
                  f"fails with {other!r}, its source with {error!r}")
            return 0
        raise Difference(f"{view}: loads though its source does not") from error
    return Comparison(a, load(view, way), rules).run()


def compare_objects(source: str, view: str, count: int) -> None:
    """What was saved behind the first object is there as it was."""
    with open(source, "rb") as a, open(view, "rb") as b:
        for number in range(count):
            x, y = load(a, "plain"), load(b, "plain")
            if number > 0:
                Comparison(x, y, UNCHANGED).run()


def compare_file(source: str, view: str, ways: List[str], rules: Rules,
                 expected: Expectation) -> str:
    state = check_info(view, expected)
    if state == "passthrough":
        check(same_bytes(source, view), view, "is passed through but differs")
        return "the same bytes"
    if expected.unreadable:
        return check_unreadable(view, expected.unreadable)
    rules = rules_for(source, rules)
    if is_stream(source):
        check_stream(source, view)
        ways = [way for way in ways if way not in MAPPING]
    if expected.float32 is not None:
        if not is_stream(source):
            check_archive(source, view, expected.clean)
        rules = replace(rules, kept=expected.float32)
        kept, found = set(expected.float32), float32_names(load(view, "plain"))
        check(kept <= found, view, f"not in FP32: {sorted(kept - found)}")
        check(found <= kept, view, f"in FP32: {sorted(found - kept)}")
    if expected.objects > 1:
        compare_objects(source, view, expected.objects)
    counts = {way: compare_loaded(expected.stand_in or source, view, way, rules)
              for way in expected.ways or ways}
    check(any(counts.values()), view, "no tensor was compared")
    return ", ".join(f"{way} {count}" for way, count in counts.items()) + " tensors"


# ---------------------------------------------------------------------------
# What to compare
# ---------------------------------------------------------------------------


def checkpoints(directory: str) -> Iterator[str]:
    for folder, _, files in os.walk(directory):
        for file in sorted(files):
            if file.endswith(".pt"):
                yield os.path.relpath(os.path.join(folder, file), directory)


def read_expectations(directory: str) -> Dict[str, Expectation]:
    with open(os.path.join(directory, EXPECTATIONS), encoding="utf-8") as file:
        found = {name: Expectation(**fields) for name, fields in json.load(file).items()}
    for expected in found.values():
        if expected.stand_in:
            expected.stand_in = os.path.join(directory, expected.stand_in)
    return found


def find_files(arguments: argparse.Namespace) -> Dict[str, Expectation]:
    """What is expected of each file, by its path below SOURCE."""
    if arguments.kinds:
        return read_expectations(arguments.source)
    names = checkpoints(arguments.source) if os.path.isdir(arguments.source) else [""]
    return {name: expect(os.path.basename(name or arguments.view), arguments) for name in names}


def expect(name: str, arguments: argparse.Namespace) -> Expectation:
    if keeps_file(name, arguments.quantize_hift):
        return Expectation("passthrough")
    return Expectation(arguments.expect)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source")
    parser.add_argument("view")
    parser.add_argument("--load", action="append", choices=sorted(loaders()))
    parser.add_argument("--expect", choices=["converted", "passthrough", "any"], default="any")
    parser.add_argument("--dtype", choices=["fp16", "bf16"], default="fp16")
    parser.add_argument("--overflow", choices=["inf", "clamp"], default="inf")
    parser.add_argument("--checksum", choices=["seal", "exact", "none"], default="seal")
    parser.add_argument("--quantize-hift", action="store_true")
    parser.add_argument("--kinds", action="store_true")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    rules = Rules(torch.bfloat16 if arguments.dtype == "bf16" else torch.float16,
                  arguments.overflow, arguments.checksum)
    ways = arguments.load or list(loaders())
    files = find_files(arguments)
    failures = 0
    for name, expected in files.items():
        source, view = (os.path.join(path, name) if name else path
                        for path in (arguments.source, arguments.view))
        try:
            outcome = compare_file(source, view, ways, rules, expected)
        except Exception as error:
            failures += 1
            outcome = f"DIFFERS: {type(error).__name__}: {error}"
        print(f"{name or view}: {outcome}", flush=True)
    if not files:
        print("nothing to compare", file=sys.stderr)
    return 1 if failures or not files else 0


if __name__ == "__main__":
    sys.exit(main())
