#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Beyond 4 GiB: storages and offsets that need zip64 in the source and in the view.
# The weights are holes but for their last elements, but the view's bytes are all read.
# Label: slow
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need unzip
"$PYTHON" -c 'import sys; sys.exit(sys.maxsize < 2 ** 32)' || skip "needs 64 bits"
truncate -s 16G "$work/large" || skip "the file system has no files of such a size"
rm "$work/large"

# 5.2 GB -> 2.6 GB; 8.8 GB -> 4.4 GB, so the next one lies beyond 4 GiB too.
torch sparse_checkpoint "$original/large.pt" 1300000000 2200000000 70000

mount_view
expect_state converted "$view/large.pt"
[ "$(stat -c %s "$view/large.pt")" -gt 7000000000 ] || fail "the view is too small"
for name in small.{0..3} large.{0..2}; do
	torch read_one_tensor "$view/large.pt" "$name" read || fail "$name is wrong"
done
"$tools/zip_check" "$view/large.pt" || fail "libzip finds a fault"
if "$PYTHON" -c 'import torch
assert tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 1)' 2>/dev/null; then
	for name in small.3 large.1; do
		torch read_one_tensor "$view/large.pt" "$name" torch ||
			fail "torch reads $name wrongly"
	done
fi
unmount_view

# Its directory by another program, and with true checksums instead of seals.
mount_view --checksum exact
unzip -tqq "$view/large.pt" || fail "unzip finds a fault"
unmount_view
