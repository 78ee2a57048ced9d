#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Alters what a checkpoint holds.

    alter.py FILE STATEMENT...

Loads FILE, executes the statements on what it holds, which they call "state", and
saves that as a new file in its place.
"""
import os
import sys

import torch


def main() -> int:
    path = sys.argv[1]
    names = {"state": torch.load(path, map_location="cpu"), "torch": torch}
    for statement in sys.argv[2:]:
        exec(statement, names)  # pylint: disable=exec-used
    os.unlink(path)
    torch.save(names["state"], path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
