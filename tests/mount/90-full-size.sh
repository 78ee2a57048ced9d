#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The models at their full size: up to 2 GB of llm.pt, loaded by torch from the view.
# CVQ_TEST_MODELS, if set, names fewer of them, CosyVoice2-0.5B last.
# Label: slow
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need unzip
need_torch
[ "$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)" -gt 6000000 ] || skip "needs 6 GB of memory"
[ "$(df --output=avail -k "$work" | tail -n 1)" -gt 5000000 ] || skip "needs 5 GB on the disk"

# measure COMMAND...: $milliseconds is how long it takes.
measure()
{
	local started=$EPOCHREALTIME ended

	"$@" || return
	ended=$EPOCHREALTIME
	milliseconds=$(((${ended/./} - ${started/./}) / 1000))
}

# In less than a second, if not the first time: others may use this machine, too.
mount_at_once()
{
	for _ in 1 2 3; do
		measure "$CVQ_MOUNT" "$original" "$view" || fail "it cannot be mounted"
		echo "mounted after $milliseconds ms"
		[ "$milliseconds" -ge 1000 ] || return 0
		unmount_view
	done
	fail "mounting took $milliseconds ms"
}

# check_package DIRECTORY: whether it is complete is known in less than a second as well.
check_package()
{
	for _ in 1 2 3; do
		measure "$CVQ" check "$1" >"$work/check.out" || fail "$(cat "$work/check.out")"
		echo "checked after $milliseconds ms"
		[ "$milliseconds" -ge 1000 ] || return 0
	done
	fail "checking $1 took $milliseconds ms"
}

# There is room for one at a time; the last one stays.
for name in ${CVQ_TEST_MODELS:-CosyVoice-300M-SFT Fun-CosyVoice3-0.5B CosyVoice2-0.5B}; do
	rm -rf "${original:?}"/*
	torch models "$original" --model "$name" --scale full \
		--only llm.pt --only flow.pt --only hift.pt
	rm "$original/$name/llm-latest.pt" # a link to llm.pt, which need not be compared twice
	mount_at_once
	ls -lR "$view"
	read_yet=$(status_of "$view" bytes_read)
	[ "$read_yet" -lt $((4 << 20)) ] || fail "mounting and listing read $read_yet bytes"
	check_package "$original/$name"
	check_package "$view/$name"

	compare --load plain
	! "$PYTHON" -c 'import torch
assert tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 1)' 2>/dev/null ||
		compare --load mmap
	llm=$name/llm.pt
	[ "$(($(stat -c %s "$original/$llm") * 52 / 100))" -gt "$(stat -c %s "$view/$llm")" ] ||
		fail "llm.pt is not half as large"
	unmount_view
done

# The strict readers, from a cold start.
mount_view
"$CVQ" status "$view" | matches 'converted' || fail "cvq status says nothing of the view"
"$tools/zip_check" "$view/$llm" || fail "libzip finds a fault"
unzip -tqq "$view/$llm" || fail "unzip finds a fault"
unmount_view

# Written and proven: the memory that takes does not depend on the size.
model=$original/$name
lean()
{
	"$own_python" -c 'import resource, subprocess, sys
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
