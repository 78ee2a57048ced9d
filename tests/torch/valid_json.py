#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Validates JSON against a schema of tests/schemas.

    valid_json.py NAME FILE
"""
import json
import os
import sys

import jsonschema

SCHEMAS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../schemas")


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def main() -> int:
    with open(os.path.join(SCHEMAS, f"{sys.argv[1]}.json"), encoding="utf-8") as file:
        schema = json.load(file)
    with open(sys.argv[2], encoding="utf-8") as file:
        value = json.load(file, parse_constant=refuse_constant)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(value)
    return 0


if __name__ == "__main__":
    sys.exit(main())
