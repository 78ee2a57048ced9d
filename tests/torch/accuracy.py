#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Proves the numbers of cvq verify --json: computes them anew with torch, in FP64.

    accuracy.py FILE JSON

FILE is the one checkpoint that JSON tells of.
"""
import json
import math
import sys

import torch
from comparison import Rules, converted, load, walk

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}
COUNTS = ["elements", "overflow", "subnormal", "underflow", "infinite", "nan"]
MEASURES = ["max_error", "max_relative_error", "rms_error", "snr_db"]


def measure(tensor: torch.Tensor, rules: Rules) -> dict:
    before = tensor.detach().double().reshape(-1)
    half = converted(tensor, rules).reshape(-1)
    after = half.double()
    smallest = torch.finfo(rules.dtype).tiny
    too_large = torch.isinf(tensor.detach().to(rules.dtype).reshape(-1)) & before.isfinite()
    found = {
        "elements": before.numel(),
        "overflow": int(too_large.sum()),
        "subnormal": int(((after.abs() < smallest) & (after != 0)).sum()),
        "underflow": int(((after == 0) & (before != 0)).sum()),
        "infinite": int(before.isinf().sum()),
        "nan": int(before.isnan().sum()),
    }
    finite = before.isfinite() & after.isfinite()
    signal, error = before[finite], (after - before)[finite].abs()
    nonzero = signal != 0
    zero = torch.zeros(1, dtype=torch.float64)
    noise, power = float((error ** 2).sum()), float((signal ** 2).sum())
    found["max_error"] = float(torch.cat([error, zero]).max())
    found["max_relative_error"] = float(
        torch.cat([error[nonzero] / signal[nonzero].abs(), zero]).max())
    found["rms_error"] = math.sqrt(noise / len(error)) if len(error) else 0.0
    found["snr_db"] = 10 * math.log10(power / noise) if noise and power else None
    return found


def same(expected: float, actual: float) -> bool:
    if expected is None or actual is None:
        return expected is actual
    return math.isclose(expected, actual, rel_tol=1e-9, abs_tol=1e-300)


def main() -> int:
    with open(sys.argv[2], encoding="utf-8") as file:
        report = json.load(file)
    rules = Rules(dtype=DTYPES[report["dtype"]], overflow=report["overflow"])
    tensors = dict(walk(load(sys.argv[1], "plain")))
    (verified,) = report["files"]
    compared = 0
    for tensor in verified["tensors"]:
        if not tensor["converted"] or not tensors[tensor["name"]].numel():
            assert tensor["accuracy"] is None, f"{tensor['name']}: what was measured?"
            continue
        expected = measure(tensors[tensor["name"]], rules)
        for name in COUNTS + MEASURES:
            actual = tensor["accuracy"][name]
            exact = expected[name] == actual if name in COUNTS else same(expected[name], actual)
            assert exact, f"{tensor['name']}: {name} is {actual}, not {expected[name]}"
        compared += 1
    assert compared > 0, "nothing was measured"
    whole = verified["accuracy"]
    for name in COUNTS:
        total = sum(tensor["accuracy"][name] for tensor in verified["tensors"]
                    if tensor["accuracy"])
        assert whole[name] == total, f"the file: {name} is {whole[name]}, not {total}"
    print(f"{compared} tensors are measured right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
