#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes every way to break a small checkpoint, and checks what a view makes of it.

    broken_checkpoints.py make truncated|flipped DIRECTORY
    broken_checkpoints.py check DIRECTORY VIEW

"truncated": the checkpoint cut off after every byte.  "flipped": several bits
turned in every byte of its headers and its pickle.  "check": each file in VIEW is
either the same bytes as in DIRECTORY and says "passthrough", or says "converted"
and torch loads from it what .half() makes of what it loads from DIRECTORY.
"""
import os
import re
import resource
import sys
import traceback
from collections import Counter
from typing import Iterator, List

import compare
import torch
from fixed_checkpoint import weights
from torch_zip import Checkpoint, Storage, Tensor

MASKS = [0x01, 0x20, 0x80, 0xFF]
SECONDS = 60  # for torch to load one small file


def make_small(path: str) -> None:
    """A checkpoint of less than 4 KB with a bit of everything, in torch's layout."""
    import struct
    checkpoint = Checkpoint()
    for count, seed in ((12, 5), (6, 6), (4, 7)):
        data = struct.pack(f"<{count}I", *weights(count, seed))
        checkpoint.storages.append(Storage("FloatStorage", count, data))
    checkpoint.storages.append(Storage("LongStorage", 2, struct.pack("<2q", 3, -4)))
    checkpoint.tensors["weight"] = Tensor(0, [3, 4])
    checkpoint.tensors["tied"] = Tensor(0, [2, 3], offset=5)
    checkpoint.tensors["bias"] = Tensor(1, [6])
    checkpoint.tensors["inv_freq"] = Tensor(2, [4])
    checkpoint.tensors["steps"] = Tensor(3, [2])
    with open(path, "wb") as file:
        checkpoint.write(file)


def weight_bytes(data: bytes) -> set:
    """Where the payloads of storages lie: all the rest is headers and pickle."""
    found = set()
    for match in re.finditer(rb"PK\x03\x04.{22}(..)(..)archive/data/\d", data, re.DOTALL):
        name, extra = (int.from_bytes(match.group(index), "little") for index in (1, 2))
        start = match.start() + 30 + name + extra
        found.update(range(start, data.index(b"PK\x07\x08", start)))
    return found


def make(kind: str, directory: str) -> None:
    path = os.path.join(directory, "whole.pt")
    make_small(path)
    with open(path, "rb") as file:
        data = file.read()
    assert len(data) < 4096, len(data)
    if kind == "truncated":
        for length in range(len(data)):
            with open(os.path.join(directory, f"{length:04}.pt"), "wb") as file:
                file.write(data[:length])
        return
    skipped = weight_bytes(data)
    for position in set(range(len(data))) - skipped:
        for mask in MASKS:
            broken = bytearray(data)
            broken[position] ^= mask
            with open(os.path.join(directory, f"{position:04}-{mask:02x}.pt"), "wb") as file:
                file.write(broken)


def load_quietly(path: str):
    """What torch loads, or None if it refuses the file."""
    try:
        return compare.load(path, "plain")
    except Exception:  # whatever a broken pickle may raise
        return None


def judge(source: str, view: str) -> str:
    """What became of one file; raises if it is wrong."""
    info = compare.cvq_info(view)
    compare.check(info is not None, view, "has no user.cvq.info")
    if info["state"] == "passthrough":
        compare.check(compare.same_bytes(source, view), view, "is passed through but differs")
        compare.check(bool(info.get("reason")), view, "is passed through without a reason")
        return "passed through"
    with open(view, "rb") as file:
        compare.check(len(file.read()) == os.stat(view).st_size, view, "is shorter than its size")
    original = load_quietly(source)
    if original is None:
        return "converted, though torch refuses the source"
    try:
        loaded = compare.load(view, "plain")
    except Exception as error:
        raise compare.Difference(f"{view}: torch loads the source but not this: {error!r}")
    try:
        compare.Comparison(original, loaded, compare.Rules()).run()
    except compare.Difference:
        # torch takes an entry with a folder's attributes for one, and gives memory that it
        # never wrote.  Then the view has to be right all the same.
        whole = os.path.join(os.path.dirname(source), "whole.pt")
        compare.Comparison(compare.load(whole, "plain"), loaded, compare.Rules()).run()
        return "converted, though torch loads garbage from the source"
    return "converted"


def judge_apart(source: str, view: str) -> str:
    """judge() in a process of its own: torch itself may crash on a broken file."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            answer = "1" + judge(source, view)
        except compare.Difference as error:
            answer = "0" + (f"{error}" if view in f"{error}" else f"{view}: {error}")
        except BaseException:
            answer = "0" + f"{view}: {traceback.format_exc()}"
        os.write(writer, answer.encode()[:60000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    if not answer:  # torch died; the source must kill it just as well
        return "torch dies" if dies(source) else f"!{view}: kills torch ({status}), not its source"
    return answer[1:] if answer[0] == "1" else "!" + answer[1:]


def dies(path: str) -> bool:
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        load_quietly(path)
        os._exit(0)
    return os.waitpid(child, 0)[1] != 0


def files(directory: str) -> Iterator[str]:
    yield from sorted(entry.name for entry in os.scandir(directory)
                      if entry.is_file() and entry.name.endswith(".pt"))


def main(words: List[str]) -> int:
    if words[0] == "make":
        make(words[1], words[2])
        return 0
    torch.set_num_threads(1)
    outcomes: Counter = Counter()
    failures = 0
    for name in files(words[1]):
        outcome = judge_apart(os.path.join(words[1], name), os.path.join(words[2], name))
        if outcome.startswith("!"):
            failures += 1
            print(outcome[1:], flush=True)
        else:
            outcomes[outcome] += 1
    print(", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()))
    if not outcomes["converted"]:
        print("not even the whole checkpoint was converted")
        return 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
