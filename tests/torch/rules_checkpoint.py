#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes a checkpoint that has something for every rule.

    rules_checkpoint.py FILE

Tied weights, a large storage, numbers that FP16 or BF16 cannot hold, rotary phases
and the state of an optimizer.
"""
import sys

import torch

LARGEST = torch.finfo(torch.float32).max

# Beyond FP16, beyond BF16 when rounded, and neither.
EXTREMES = [65504.0, 65519.99, 65520.0, -65520.0, 1e6, -1e38, LARGEST, -LARGEST,
            float("inf"), float("-inf"), float("nan"), 0.0, -0.0, 1e-9, 2.0 ** -24, 1.0]


def main() -> int:
    generator = torch.Generator()
    generator.manual_seed(27)
    embedding = torch.randn(100, 48, generator=generator)
    adam = {"step": torch.tensor(70000.0), "exp_avg": torch.full((48, 48), 1e-9)}
    torch.save({
        "embed.weight": embedding,
        "layer.weight": torch.randn(48, 48, generator=generator),
        "layer.bias": torch.randn(48, generator=generator),
        "layer.large": torch.randn(300, 1000, generator=generator),
        "extremes": torch.tensor(EXTREMES),
        "rope.inv_freq": torch.rand(24, generator=generator),
        "count": torch.tensor(3),
        "head.weight": embedding,
        "optimizer": {"state": {0: adam}, "param_groups": [{"params": [0]}]},
    }, sys.argv[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
