#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Much at once: many readers of the same and of different files; many checkpoints, and a
# folder of 100,000 files, with 256 descriptors.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for number in 1 2 3 4; do
	torch sparse_checkpoint "$original/$number.pt" 3000000 70000 1000000
done
head -c 20000000 /dev/urandom >"$original/data.bin"
mount_view
cp -r "$view" "$work/copy"
unmount_view

mount_view
readers=()
for number in 1 2 3 4 1 2 3 4; do
	"$tools/read_ranges" -r -t 2 -n 1000 -s $((${#readers[@]} + 1)) "$view/$number.pt" \
		"$work/copy/$number.pt" &
	readers+=($!)
	cmp "$view/$number.pt" "$work/copy/$number.pt" &
	readers+=($!)
	cmp "$view/data.bin" "$work/copy/data.bin" &
	readers+=($!)
done
await_readers "${readers[@]}"
[ "$(status_of "$view" reads)" -gt 0 ] || fail "the status counts no reads"
expect 0 "$(status_of "$view" errors)" "errors in the status"
unmount_view
rm -r "${original:?}"/* "$work/copy"

# --- With few descriptors -------------------------------------------------------

need zip unzip
ulimit -n 256

check_descriptors()
{
	local descriptors

	descriptors=$(find "/proc/$daemon/fd" -mindepth 1 | wc -l)
	[ "$descriptors" -lt 200 ] || fail "the daemon holds $descriptors descriptors"
}

# Many checkpoints: more than there are plans kept in memory.
torch sparse_checkpoint "$original/whole.pt" # of small tensors only
for folder in {1..10}; do
	mkdir "$original/$folder"
	(cd "$original/$folder" && tee {1..100}.pt) <"$original/whole.pt" >/dev/null
done
mount_view
list=$(find "$view" -name '*.pt' -size +0 -printf . | wc -c)
listing=$(status_of "$view" bytes_read)
expect "$(find "$original" -name '*.pt' | wc -l)" "$list" "files found"
sum=$(sha256sum <"$view/whole.pt")
find "$view" -mindepth 2 -type f -exec sha256sum {} + | awk '{ print $1 }' | sort -u |
	diff - <(echo "${sum%% *}") || fail "one of 1,000 equal files differs"
find "$view" -name '50.pt' -exec tail -c 1 {} + >/dev/null
check_descriptors
# Who knows a file need not plan it again to look at it; some have come to rest since, or
# the kernel has forgotten them.
bytes=$(status_of "$view" bytes_read)
find "$view" -name '*.pt' -size +0 -printf . | wc -c | matches -x 1001 ||
	fail "files are missing from the second listing"
again=$(($(status_of "$view" bytes_read) - bytes))
[ "$again" -lt $((listing / 4)) ] ||
	fail "to list 1,001 known checkpoints took $again bytes, and $listing when they were new"
unmount_view
rm -r "${original:?}"/*

# The same packed by a zip program: what was inflated does not stay open for each.
mkdir "$work/whole"
torch sparse_checkpoint "$work/whole.pt"
unzip -q "$work/whole.pt" -d "$work/whole"
(cd "$work/whole" && zip -q -r "$original/0.pt" .)
(cd "$original" && tee {1..150}.pt | tee {151..300}.pt) <"$original/0.pt" >/dev/null
mount_view
sha256sum "$view"/*.pt | awk '{ print $1 }' | sort | uniq -c | matches -E '^ *301 ' ||
	fail "one of 301 equal compressed files differs"
check_descriptors
unmount_view
rm -r "${original:?}"/* "$work/whole" "$work/whole.pt"

# A folder of 100,000 files, every tenth with the name of a checkpoint.
use_memory
(
	cd "$original"
	seq 90000 | split -l 1 -a 5 -d --additional-suffix=.txt
	seq 10000 | split -l 1 -a 4 -d --additional-suffix=.pt
	find . -type f -printf '%f %s %i\n' | sort
) >"$work/list"
expect 100000 "$(wc -l <"$work/list")" "files made"

memory()
{
	sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$daemon/status"
}

mount_view
# Each name is there once, with what belongs to it.
find "$view" -type f -printf '%f %s %i\n' | sort | cmp - "$work/list" ||
	fail "a folder of 100,000 files is listed wrongly"
first=$(memory)
for _ in 1 2; do
	# shellcheck disable=SC2012 # ls reads in its own way
	expect 100001 "$(ls -l "$view" | wc -l)" "lines of ls -l"
done
last=$(memory)
shuf -n 300 "$work/list" | while read -r name _; do
	cmp "$original/$name" "$view/$name" || exit 1 # or only the last one would count
done || fail "one of 300 files differs"
check_descriptors
if ! built_with 'lib[at]san'; then
	[ "$last" -lt 150000 ] || fail "the daemon takes $last KiB for 100,000 files"
	# The kernel may forget files and ask again meanwhile, which leaves gaps.
	[ "$last" -lt $((first * 2)) ] ||
		fail "listings take more and more memory: $first, after four more $last KiB"
fi
unmount_view
