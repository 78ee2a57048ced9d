#!/bin/bash
# SPDX-License-Identifier: MIT
#
# CosyVoice2-0.5B at its full size: 2 GB of llm.pt, loaded by torch from the view.
# Label: slow
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need unzip
need_torch
[ "$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)" -gt 6000000 ] || skip "needs 6 GB of memory"
[ "$(df --output=avail -k "$work" | tail -n 1)" -gt 5000000 ] || skip "needs 5 GB on the disk"

torch models "$original" --model CosyVoice2-0.5B --scale full \
	--only llm.pt --only flow.pt --only hift.pt
started=$EPOCHREALTIME
mount_view
ended=$EPOCHREALTIME
ls -lR "$view"
milliseconds=$(((${ended/./} - ${started/./}) / 1000))
echo "$summary; mounted after $milliseconds ms"
[ "$milliseconds" -lt 5000 ] || fail "mounting took $milliseconds ms"
read_yet=$(status_of "$view" bytes_read)
[ "$read_yet" -lt $((4 << 20)) ] || fail "mounting and listing read $read_yet bytes"

# Whether the package is complete is known in less than a second as well.
for directory in "$original" "$view"; do
	started=$EPOCHREALTIME
	"$CVQ" check "$directory/CosyVoice2-0.5B" >"$work/check.out" || fail "$(cat "$work/check.out")"
	ended=$EPOCHREALTIME
	milliseconds=$(((${ended/./} - ${started/./}) / 1000))
	[ "$milliseconds" -lt 1000 ] || fail "checking $directory took $milliseconds ms"
done

compare --load plain
llm=CosyVoice2-0.5B/llm.pt
[ "$(($(stat -c %s "$original/$llm") * 51 / 100))" -gt "$(stat -c %s "$view/$llm")" ] ||
	fail "llm.pt is not half as large"
! "$PYTHON" -c 'import torch
assert tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 1)' 2>/dev/null ||
	compare --load mmap
unmount_view

# The strict readers, from a cold start.
mount_view
"$CVQ" status "$view" | matches 'converted' || fail "cvq status says nothing of the view"
"$tools/zip_check" "$view/$llm" || fail "libzip finds a fault"
unzip -tqq "$view/$llm" || fail "unzip finds a fault"
unmount_view

# Written and proven: the memory that takes does not depend on the size.
model=$original/CosyVoice2-0.5B
lean()
{
	"$PYTHON" -c 'import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
sys.exit(code or kilobytes > 100_000 and f"{kilobytes} KiB of memory")' "$@" ||
		fail "$* fails or takes too much memory"
}
lean "$CVQ" convert --quiet "$model" "$work/fp16"
lean "$CVQ" verify --quiet "$model" "$work/fp16"
"$CVQ" run --checksum exact "$model" -- cmp {}/llm.pt "$work/fp16/llm.pt" ||
	fail "cvq run shows something else"
lean "$CVQ" inspect "$model/llm.pt" >"$work/inspect.out"
grep -q 'llm.model.model.embed_tokens.weight' "$work/inspect.out" ||
	fail "inspect does not list the embedding"
