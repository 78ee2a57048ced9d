#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the page cache keeps and how much the kernel asks for: drop_source_cache,
# direct_io, and the readahead of the view.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$PYTHON" -W ignore -c 'import sys, torch
torch.manual_seed(42)
torch.save({str(i): torch.randn(6 << 20) for i in range(8)}, sys.argv[1])' "$original/llm.pt"
size=$(stat -c %s "$original/llm.pt")
sync "$original/llm.pt" # dirty pages stay

# cached FILE: how many bytes of it are in the page cache.
cached()
{
	fincore --noheadings --bytes --output RES "$1" | tr -d ' '
}

source_is_dropped()
{
	[ "$(cached "$original/llm.pt")" -lt $((size / 20)) ]
}

# --- The source's pages ---------------------------------------------------------

mount_view
cp "$view/llm.pt" "$work/image"
[ "$(cached "$original/llm.pt")" -gt $((size / 2)) ] || fail "the source is not in the page cache"
unmount_view

mount_view -o drop_source_cache
cmp "$view/llm.pt" "$work/image" || fail "with drop_source_cache it is another file"
wait_for 10 source_is_dropped || fail "$(cached "$original/llm.pt") bytes of the source are cached"
[ "$(cached "$view/llm.pt")" -gt $((size / 4)) ] || fail "the view is dropped too"
# Not at the end only: while it is open, and little of it has been read.
exec 5<"$view/llm.pt"
cat "$original/llm.pt" >/dev/null
dd if="$view/llm.pt" of=/dev/null bs=1M iflag=direct count=80 status=none
[ "$(cached "$original/llm.pt")" -lt $((size / 2)) ] || fail "an open file's source is not dropped"
exec 5<&-
unmount_view

# --- The view's pages -----------------------------------------------------------

mount_view -o direct_io
cmp "$view/llm.pt" "$work/image" || fail "with direct_io it is another file"
expect 0 "$(cached "$view/llm.pt")" "bytes of the view in the page cache with direct_io"
expect 0 "$(status_of "$view" bytes_ahead)" "bytes stored ahead with direct_io"
! is_root || "$PYTHON" -W ignore -c 'import sys, torch
torch.load(sys.argv[1])' "$view/llm.pt"
"$tools/read_ranges" -r -t 2 -n 200 "$view/llm.pt" "$work/image"
unmount_view

# --- The readahead --------------------------------------------------------------

read_ahead()
{
	cat "/sys/class/bdi/$(mountpoint -d "$view")/read_ahead_kb"
}

set_read_ahead()
{
	echo "$1" >"/sys/class/bdi/$(mountpoint -d "$view")/read_ahead_kb"
}

mount_view
head -c 1 "$view/llm.pt" >/dev/null
if is_root && set_read_ahead 64 2>/dev/null; then
	expect 64 "$(read_ahead)" "readahead that was set"
	unmount_view
	mount_view
	head -c 1 "$view/llm.pt" >/dev/null
	expect 256 "$(read_ahead)" "readahead of a view mounted by root"
	set_read_ahead 1024
	head -c 1 "$view/llm.pt" >/dev/null
	expect 1024 "$(read_ahead)" "readahead that root has set higher"
	# What udev does for others: not more than it has to, and nothing to other devices.
	device=$(mountpoint -d "$view")
	set_read_ahead 128
	"$tests/../packaging/udev/cvq-readahead" "$device"
	expect 256 "$(read_ahead)" "readahead after udev's help"
	set_read_ahead 512
	"$tests/../packaging/udev/cvq-readahead" "$device"
	expect 512 "$(read_ahead)" "readahead that udev has nothing to add to"
	"$tests/../packaging/udev/cvq-readahead" 0:0 || fail "udev's help fails for other devices"
else
	expect 128 "$(read_ahead)" "readahead of a view mounted by a user"
fi
unmount_view
