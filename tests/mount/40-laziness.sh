#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Nothing is read before it is asked for: a model of 2 GB is mounted and listed for
# less than 4 MiB of it, and one small tensor costs less than 8 MiB.
# The model's weights are holes, so it takes no space; the bytes that the daemon
# reads of it are counted by itself and by the kernel.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Storages of all sizes, from a gigabyte down to some that share a page.
torch sparse_checkpoint "$original/llm.pt" 250000000 4000000 30000000 1000000 \
	200000000 4194303 30000 14000000
fixed "$original/small.pt"
[ "$(stat -c %s "$original/llm.pt")" -gt 2000000000 ] || fail "the model is too small"

# In the foreground, so that the kernel's count too begins before anything is read.
mount_in_foreground()
{
	"$CVQ_MOUNT" -f "$original" "$view" >"$work/mount.out" 2>"$work/mount.err" &
	daemon=$!
	wait_for 60 is_mounted "$view" || fail "the view does not come up"
}

unmount_and_wait()
{
	unmount_view
	wait "$daemon" || fail "cvq-mount -f ended with $?"
}

# What the daemon has read by the kernel's count, its requests from /dev/fuse included.
kernel_count()
{
	awk '/^rchar/ { print $2 }' "/proc/$daemon/io"
}

# check_read LIMIT WHAT: since the daemon started.
check_read()
{
	local own kernel

	own=$(status_of "$view" bytes_read)
	kernel=$(kernel_count)
	echo "$2: $own bytes read of the source, $kernel by the kernel's count"
	[ "$own" -lt "$1" ] || fail "$2 read $own bytes"
	[ "$kernel" -lt $(($1 + (1 << 20))) ] || fail "$2 read $kernel bytes by the kernel's count"
	[ "$own" -le "$kernel" ] || fail "the daemon counts $own bytes, the kernel only $kernel"
}

mount_in_foreground
ls -laR "$view" >/dev/null
find "$view" -size +1 -printf '%s %b\n' >/dev/null
getfattr -dR "$view" >/dev/null 2>&1 || true
expect_state converted "$view/llm.pt"
check_read $((4 << 20)) "mounting and listing"
unmount_and_wait

ways=(read map)
! "$PYTHON" -c 'import torch
assert tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 1)' 2>/dev/null || ways+=(torch)
for way in "${ways[@]}"; do
	for number in 0 1 2 3 4 5 6 7 8; do
		mount_in_foreground
		torch read_one_tensor "$view/llm.pt" "small.$number" "$way" ||
			fail "small.$number by $way is wrong"
		check_read $((8 << 20)) "small.$number by $way"
		unmount_and_wait
	done
done
