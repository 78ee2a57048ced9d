#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Changes in quick succession: every read of a whole file is one version of it, and
# the last version is what stays.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for number in {1..20}; do
	torch versions make "$work/$number.pt" "$number"
done

# --- Replaced faster than it can be opened --------------------------------------

for timeout in 0 1; do
	cp "$work/1.pt" "$original/model.pt"
	mount_view -o timeout=$timeout
	readers=()
	for reader in 1 2 3 4 held; do
		how=opening
		[ $reader != held ] || how=holding
		rm -f "$work/seen.$reader"
		"$PYTHON" "$tests/torch/versions.py" read $how "$view/model.pt" >"$work/seen.$reader" &
		readers+=($!)
		wait_for 20 test -s "$work/seen.$reader" || fail "a reader does not start"
	done
	for number in {2..20}; do
		ln "$work/$number.pt" "$original/.new"
		mv "$original/.new" "$original/model.pt"
	done
	for reader in 1 2 3 4; do
		wait_for 10 grep -qx 20 "$work/seen.$reader" ||
			fail "a reader never sees the last version: $(paste -sd ' ' "$work/seen.$reader")"
	done
	kill "${readers[@]}"
	wait "${readers[@]}" 2>/dev/null || true

	# No errors, and never an older version after a newer one.
	for reader in 1 2 3 4; do
		sort -n -u "$work/seen.$reader" | grep -x '[0-9]*' | cmp -s - "$work/seen.$reader" ||
			fail "a reader saw: $(paste -sd ' ' "$work/seen.$reader")"
	done
	expect 1 "$(cat "$work/seen.held")" "version that was open all the time"
	unmount_view
	rm "$original/model.pt"
done

# --- Overwritten faster than clocks can tell ------------------------------------

# check_overwriting DIRECTORY: two versions by turns, of the same size and perhaps with
# the same times.
check_overwriting()
{
	touch "$1/model.pt" "$1/model.bin"
	mount_at "$1" "$view" -o timeout=0
	"$PYTHON" - "$tests/torch" "$work" "$1" "$view" <<'END' || fail "an old version stays"
import os, sys
tests, work, source, view = sys.argv[1:]
sys.path.insert(0, tests)
import versions

def look(name):
    with open(f"{view}/{name}", "rb") as file:
        return versions.judge(file.read())

versions.NUMEL = 5000  # a look is to take less than a tick
data = []
for number in 1, 2:
    versions.make(f"{work}/small", number)
    data.append(open(f"{work}/small", "rb").read())
for name, kind in ("model.pt", ""), ("model.bin", "fp32:"):
    file = os.open(f"{source}/{name}", os.O_WRONLY)
    wrong = 0
    for turn in range(200):
        os.pwrite(file, data[turn % 2], 0)
        wrong += look(name) != f"{kind}{turn % 2 + 1}"
    if wrong:
        sys.exit(f"{name}: {wrong} of 200 looks saw another version than the one just written")
END
	unmount_view
}

check_overwriting "$original"

# Since Linux 6.13, times of the usual file systems tell all changes that somebody has
# looked at, but not those of this one.
mkdir "$work/ramfs"
if is_root && mount -t ramfs ramfs "$work/ramfs" 2>/dev/null; then
	check_overwriting "$work/ramfs"
	umount "$work/ramfs"
fi

# --- Written on and on under one time -------------------------------------------

# A large write(2) stamps the file when it begins, and a mapping when its pages are
# first written to. Who looks meanwhile sees one half, but nobody does for long.
cp "$work/1.pt" "$original/written.pt"
cp "$work/1.pt" "$original/written.bin"
mount_view -o timeout=0
"$PYTHON" - "$tests/torch" "$work" "$original" "$view" <<'END' || fail "what was half written stays"
import mmap, sys, time
tests, work, source, view = sys.argv[1:]
sys.path.insert(0, tests)
import versions

def look(name):
    with open(f"{view}/{name}", "rb") as file:
        return versions.judge(file.read())

data = {number: open(f"{work}/{number}.pt", "rb").read() for number in (1, 2)}
mappings = []
for name in "written.pt", "written.bin":
    with open(f"{source}/{name}", "r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
    mapping[:] = data[1]
    print(f"{name}: {look(name)}", end="")
    mapping[:] = data[2]
    print(f", then {look(name)}")
    mappings.append(mapping)
time.sleep(3.1)
for name, wanted in ("written.pt", "2"), ("written.bin", "fp32:2"):
    if look(name) != wanted:
        sys.exit(f"{name}: after three seconds it still is {look(name)}")
END
unmount_view
