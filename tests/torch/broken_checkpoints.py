#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes every way to break a small checkpoint, and checks what a view makes of it.

    broken_checkpoints.py make truncated|flipped archive|stream DIRECTORY
    broken_checkpoints.py check DIRECTORY VIEW

"truncated": the checkpoint cut off after every byte.  "flipped": several bits
turned in every byte of its headers and its pickle.  "check": each file in VIEW is
either the same bytes as in DIRECTORY and says "passthrough", or says "converted"
and torch loads from it what .half() makes of what it loads from DIRECTORY, or of the
whole checkpoint where it refuses that file.
"""
import os
import re
import resource
import signal
import struct
import sys
import traceback
from collections import Counter, OrderedDict
from typing import Callable, Iterator, List, Tuple

import compare
import torch
from fixed_checkpoint import weights
from torch_save import Saver, is_stream, read_stream, write_stream
from torch_zip import Checkpoint, Storage, Tensor, item_size

MASKS = [0x01, 0x20, 0x80, 0xFF]
SECONDS = 60  # for torch to load one small file

Pair = Tuple[str, str]  # a file's paths in the source and in the view


def make_small(path: str) -> None:
    """A checkpoint of less than 4 KB with a bit of everything, in torch's layout."""
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


def make_small_stream(path: str) -> None:
    """The same in the legacy format, in less than 1 KB."""
    weight = torch.arange(12) / 7
    state = OrderedDict(weight=weight.view(3, 4), tied=weight[5:11], inv_freq=torch.ones(4) / 3,
                        steps=torch.tensor([3, -4]))
    with open(path, "wb") as file:
        write_stream(file, Saver(state, key=lambda number: str(10 + number), legacy=True))


def stream_weights(path: str) -> set:
    """Where the elements of a stream lie, without their counts."""
    stream, found = read_stream(path), set()
    end = stream.end
    for _, kind, numel in reversed(stream.storages):
        start = end - numel * item_size(kind)
        found.update(range(start, end))
        end = start - 8
    return found


def archive_weights(data: bytes) -> set:
    """Where the payloads of storages lie: all the rest is headers and pickle."""
    found = set()
    for match in re.finditer(rb"PK\x03\x04.{22}(..)(..)archive/data/\d", data, re.DOTALL):
        name, extra = (int.from_bytes(match.group(index), "little") for index in (1, 2))
        start = match.start() + 30 + name + extra
        found.update(range(start, data.index(b"PK\x07\x08", start)))
    return found


def make(kind: str, form: str, directory: str) -> None:
    path = os.path.join(directory, "whole.pt")
    (make_small if form == "archive" else make_small_stream)(path)
    with open(path, "rb") as file:
        data = file.read()
    assert len(data) < 4096, len(data)
    if kind == "truncated":
        for length in range(len(data)):
            with open(os.path.join(directory, f"{length:04}.pt"), "wb") as file:
                file.write(data[:length])
        return
    skipped = archive_weights(data) if form == "archive" else stream_weights(path)
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


def is_passed_through(source: str, view: str) -> bool:
    """Raises if it is passed through as it should not be."""
    info = compare.cvq_info(view)
    compare.check(info is not None, view, "has no user.cvq.info")
    if info["state"] != "passthrough":
        return False
    compare.check(compare.same_bytes(source, view), view, "is passed through but differs")
    compare.check(bool(info.get("reason")), view, "is passed through without a reason")
    return True


def judge_converted(source: str, view: str) -> str:
    """What became of one converted file; raises if it is wrong."""
    with open(view, "rb") as file:
        compare.check(len(file.read()) == os.stat(view).st_size, view, "is shorter than its size")
    whole = os.path.join(os.path.dirname(source), "whole.pt")
    rules = compare.Rules(checksum="exact" if is_stream(whole) else "seal")
    original = load_quietly(source)
    try:
        loaded = compare.load(view, "plain")
    except Exception as error:
        compare.check(original is None, view, f"torch loads the source but not this: {error!r}")
        return "converted, though torch refuses both"
    try:
        if original is not None:
            compare.Comparison(original, loaded, rules).run()
            return "converted"
    except compare.Difference:
        # torch takes an entry with a folder's attributes for one, and gives memory that it
        # never wrote.  Then the view has to be right all the same.
        pass
    compare.Comparison(compare.load(whole, "plain"), loaded, rules).run()
    what = "refuses" if original is None else "loads garbage from"
    return f"converted, though torch {what} the source"


def in_child(work: Callable[[Callable[[str], None]], None]) -> List[str]:
    """What 'work' reports, one line each, in a process that may die or hang over it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            work(lambda line: os.write(writer, line.replace("\n", " ").encode() + b"\n"))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        lines = pipe.read().decode(errors="replace").splitlines()
    os.waitpid(child, 0)
    return lines


def judge_all(pairs: List[Pair]) -> List[str]:
    """What became of converted files; beginning with "!" where it is wrong."""
    def work(report: Callable[[str], None]) -> None:
        for source, view in pairs[len(outcomes):]:
            signal.alarm(SECONDS)
            try:
                report(judge_converted(source, view))
            except compare.Difference as error:
                report(f"!{error}" if view in f"{error}" else f"!{view}: {error}")
            except BaseException:
                report(f"!{view}: {traceback.format_exc()}")

    outcomes: List[str] = []
    while len(outcomes) < len(pairs):
        outcomes += in_child(work)
        if len(outcomes) < len(pairs):  # torch died; the source must kill it just as well
            source, view = pairs[len(outcomes)]
            outcomes.append("kills torch, as its source does" if kills(source) else
                            f"!{view}: kills torch, its source does not")
    return outcomes


def kills(path: str) -> bool:
    """Whether torch dies or hangs over the file."""
    def work(report: Callable[[str], None]) -> None:
        signal.alarm(SECONDS)
        load_quietly(path)
        report("survived")
    return not in_child(work)


def files(directory: str) -> Iterator[str]:
    yield from sorted(entry.name for entry in os.scandir(directory)
                      if entry.is_file() and entry.name.endswith(".pt"))


def main(words: List[str]) -> int:
    if words[0] == "make":
        make(*words[1:])
        return 0
    torch.set_num_threads(1)
    outcomes, converted = [], []
    for name in files(words[1]):
        source, view = os.path.join(words[1], name), os.path.join(words[2], name)
        try:
            if is_passed_through(source, view):
                outcomes.append("passed through")
            else:
                converted.append((source, view))
        except (OSError, compare.Difference) as error:
            outcomes.append(f"!{error}")
    outcomes += judge_all(converted)
    wrong = [outcome[1:] for outcome in outcomes if outcome.startswith("!")]
    for line in wrong:
        print(line)
    sums = Counter(outcome for outcome in outcomes if not outcome.startswith("!"))
    print(", ".join(f"{count} {outcome}" for outcome, count in sums.items()))
    if not sums["converted"]:
        print("not even the whole checkpoint was converted")
        return 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
