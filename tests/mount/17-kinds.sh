#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Every kind of checkpoint there is, and of files that only look like one: what is
# converted is, bit for bit, .half() of the source's, and a valid archive or stream;
# what is passed through says why.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need unzip zip
need_torch

cpp=()
if [ -x "$tools/cpp_torch" ]; then
	cpp=(--cpp "$tools/cpp_torch")
elif [ -n "${CI-}" ]; then
	fail "cpp_torch was not built (install g++ and libtorch-dev)"
fi
torch kinds "$original" "${cpp[@]}" || fail "the kinds cannot be written"
mkdir "$original/other/folder.pt"
mount_view
compare --kinds
[ -d "$view/other/folder.pt" ] || fail "folder.pt is no folder"

# The converted files that can be read, and the archives among them that are to be clean.
"$PYTHON" - "$original" "$work" <<'END'
import json, os, sys
original, work = sys.argv[1:]
with open(f"{original}/expectations.json") as file, open(f"{work}/converted", "w") as converted, \
        open(f"{work}/archives", "w") as archives:
    for name, expected in json.load(file).items():
        if expected["state"] == "converted" and not expected["unreadable"]:
            print(name, file=converted)
            if expected["clean"] and open(f"{original}/{name}", "rb").read(2) == b"PK":
                print(name, file=archives)
END
mapfile -t archives <"$work/archives"

# Other zip programs than Python's find every record and its CRC-32 right, too.
(cd "$view" && "$tools/zip_check" "${archives[@]}") || fail "libzip finds a fault"
for file in "${archives[@]}"; do
	# 1: a warning, as of every Chinese name that torch writes.
	unzip -tqq "$view/$file" &>"$work/unzip.out" || [ $? = 1 ] ||
		fail "unzip -t finds a fault in $file: $(cat "$work/unzip.out")"
done

# torch's C++ library reads what it wrote.
if [ ${#cpp[@]} -gt 0 ]; then
	"$tools/cpp_torch" compare "$original/cpp/pickle-save.pt" "$view/cpp/pickle-save.pt" ||
		fail "torch's C++ library reads something else"
fi

# The same bytes in whatever ranges.
mkdir "$work/copy"
while IFS= read -r file; do
	cp "$view/$file" "$work/copy/whole"
	"$tools/read_ranges" -s 17 -n 30 "$view/$file" "$work/copy/whole" ||
		fail "ranges of $file differ"
done <"$work/converted"
unmount_view
