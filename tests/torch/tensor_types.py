#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Prints the types of a checkpoint's tensors, and which of them share their data.

    tensor_types.py FILE [KEY...]

One line for each of the named (else all) tensors of the topmost dict: its key, its
type, and after "=" the first tensor that lies where it lies.
"""
import sys

import torch


def main() -> int:
    state = torch.load(sys.argv[1], map_location="cpu")
    first = {}
    for key, value in state.items():
        if not isinstance(value, torch.Tensor):
            continue
        owner = first.setdefault(value.data_ptr(), key)
        if not sys.argv[2:] or key in sys.argv[2:]:
            shared = f" = {owner}" if owner != key else ""
            print(f"{key} {str(value.dtype).replace('torch.', '')}{shared}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
