#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the page cache keeps: drop_source_cache and direct_io.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$PYTHON" -W ignore -c 'import sys, torch
torch.manual_seed(42)
torch.save({str(i): torch.randn(6 << 20) for i in range(8)}, sys.argv[1])' "$original/llm.pt"
size=$(stat -c %s "$original/llm.pt")
sync "$original/llm.pt" # dirty pages stay
sleep 3 # once a changed file has come to rest, its pages are read anew

# cached FILE: how many bytes of it are in the page cache.
cached()
{
	"$tools/cached_bytes" "$1"
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
"$PYTHON" -W ignore -c 'import sys, torch
torch.load(sys.argv[1])' "$view/llm.pt"
"$tools/read_ranges" -r -t 2 -n 200 "$view/llm.pt" "$work/image"
unmount_view
