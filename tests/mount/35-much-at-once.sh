#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Much at once: eight readers of the same and of different files, and 3,000 files
# with 256 descriptors.
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
for reader in "${readers[@]}"; do
	wait "$reader" || fail "one of ${#readers[@]} readers at once read something else"
done
[ "$(status_of "$view" reads)" -gt 0 ] || fail "the status counts no reads"
expect 0 "$(status_of "$view" errors)" "errors in the status"
unmount_view
rm -r "${original:?}"/* "$work/copy"

# Many files.
torch broken_checkpoints make truncated archive "$original"
find "$original" -name '0*.pt' -delete
for folder in {1..30}; do
	mkdir "$original/$folder"
	for number in {1..100}; do
		cp "$original/whole.pt" "$original/$folder/$number.pt"
	done
done
(
	ulimit -n 256
	mount_view
	list=$(find "$view" -name '*.pt' -size +0 -printf . | wc -c)
	expect "$(find "$original" -name '*.pt' | wc -l)" "$list" "files found"
	sum=$(sha256sum <"$view/whole.pt")
	find "$view" -mindepth 2 -type f -exec sha256sum {} + | awk '{ print $1 }' | sort -u |
		diff - <(echo "${sum%% *}") || fail "one of 3,000 equal files differs"
	find "$view" -name '50.pt' -exec tail -c 1 {} + >/dev/null
	descriptors=$(find "/proc/$daemon/fd" -mindepth 1 | wc -l)
	[ "$descriptors" -lt 200 ] || fail "the daemon holds $descriptors descriptors"
	unmount_view
)
