#!/bin/bash
# SPDX-License-Identifier: MIT
#
# cvq check --json prints what tests/schemas/check.json says, and what the table
# says, whatever it is asked about.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_torch
"$PYTHON" -c 'import jsonschema' 2>/dev/null || skip "no jsonschema for $PYTHON"

# check STATE DIRECTORY KIND: the JSON is valid, says that, and agrees with the table.
check()
{
	"$CVQ" check --json "$2" >"$work/json" 2>"$work/json.err" || [ $? = 1 ] || fail "$2: no JSON"
	LC_ALL=C "$CVQ" check "$2" >"$work/table" || [ $? = 1 ] || fail "$2: no table"
	"$PYTHON" - "$tests/schemas/check.json" "$work/json" "$work/table" "$@" <<'END' || fail "$2: $(cat "$work/json")"
import json, sys
import jsonschema
schema, found, table = sys.argv[1:4]
state, path, kind = sys.argv[4:]
found = json.load(open(found, encoding="utf-8"))
schema = json.load(open(schema, encoding="utf-8"))
jsonschema.Draft202012Validator.check_schema(schema)
jsonschema.validate(found, schema)
assert found["state"] == state and str(found["kind"]) == kind
# What no text has is marked.
assert found["path"] == path.replace("\udcff", "?").replace("\n", "?")
marks = {"ok": "ok   ", "fault": "FAULT", "note": "note "}
rows = open(table, encoding="utf-8", errors="replace").read().splitlines()
assert len(rows) == len(found["findings"]) + 1  # and the verdict, in one line too
for row, finding in zip(rows, found["findings"]):
    assert row.startswith(marks[finding["result"]])
    end = finding["text"] + (f" ({finding['remedy']})" if finding["remedy"] else "")
    assert row.endswith(end), row
END
}

torch models "$original" --scale shapes
check complete "$original/CosyVoice-300M-SFT" CosyVoice
check complete "$original/CosyVoice2-0.5B" CosyVoice2
check complete "$original/Fun-CosyVoice3-0.5B" CosyVoice3

rm "$original/Fun-CosyVoice3-0.5B/cosyvoice3.yaml"
check unchecked "$original/Fun-CosyVoice3-0.5B" None
mv "$original/CosyVoice2-0.5B/cosyvoice2.yaml" "$original/CosyVoice2-0.5B/cosyvoice.yaml"
check faulty "$original/CosyVoice2-0.5B" CosyVoice2 # whatever its name

# An empty folder, whose name is no UTF-8.
mkdir "$work/"$'\xff"\n文'
check faulty "$work/"$'\xff"\n文' None
