#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Who reads a file straight on is run ahead of: what comes next is in the page cache
# before it is asked for.  It is the same, nothing is converted twice for it, and who
# only looks at the start does not cause the rest to be read.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$PYTHON" -W ignore -c 'import sys, torch
torch.manual_seed(41)
sizes = [3 << 20, 1000, 24 << 20, 40, 777777, 8 << 20, 30 << 20]
torch.save({str(i): torch.randn(n) for i, n in enumerate(sizes)}, sys.argv[1])' "$original/llm.pt"
head -c 60000000 /dev/urandom >"$original/data.bin"

# One thread has all hands full with requests, so it does not run ahead.
mount_view -o max_threads=1
cat "$view/llm.pt" >"$work/image"
expect 0 "$(status_of "$view" bytes_ahead)" "bytes stored ahead by a single thread"
requests=$(status_of "$view" reads)
unmount_view
size=$(stat -c %s "$work/image")

mount_view
head -c 1000000 "$view/llm.pt" >/dev/null
converted=$(status_of "$view" bytes_converted)
[ "$converted" -lt 3000000 ] || fail "to read 1 MB, $converted bytes were converted"
# The same program, as the kernel reads more at a time for some.
cmp - "$work/image" < <(cat "$view/llm.pt") || fail "read straight on it is another file"
ahead=$(status_of "$view" bytes_ahead)
converted=$(status_of "$view" bytes_converted)
fewer=$(status_of "$view" reads)
echo "$size bytes: $ahead stored ahead, $converted converted, $fewer requests in place of $requests"
[ "$ahead" -gt $((size / 20)) ] || fail "only $ahead bytes of $size were stored ahead"
[ "$fewer" -lt "$requests" ] || fail "$fewer requests, and $requests without running ahead"
[ "$converted" -lt $((size * 5 / 4)) ] || fail "$converted bytes were converted for $size"
cmp "$view/llm.pt" "$work/image" || fail "in the page cache it is another file"
unmount_view

# Several at once, through one file and through its parts; and a file that is not converted.
mount_view
readers=()
for number in 1 2 3 4; do
	cmp "$view/llm.pt" "$work/image" &
	readers+=($!)
	tail -c +$((number * 20000000)) "$view/llm.pt" |
		cmp - <(tail -c +$((number * 20000000)) "$work/image") &
	readers+=($!)
	cmp "$view/data.bin" "$original/data.bin" &
	readers+=($!)
done
await_readers "${readers[@]}"
expect 0 "$(status_of "$view" errors)" "errors in the status"
unmount_view

# Whoever is run ahead of may let go at any time, and the view may be unmounted.
for _ in 1 2 3 4 5; do
	mount_view
	head -c 8000000 "$view/llm.pt" >/dev/null
	head -c 5000000 "$view/data.bin" >/dev/null
	unmount_view
done

# A signal ends the view at once, whoever is run ahead of just then.
truncate -s 500M "$original/zeros.bin"
for round in {0..39}; do
	mount_view -o "max_threads=$((2 + round % 4 * 4))"
	readers=()
	for ((i = 0; i <= round % 3; i++)); do
		cat "$view/zeros.bin" >/dev/null 2>&1 &
		readers+=($!)
	done
	sleep "0.0$((RANDOM % 10))$((RANDOM % 10))"
	kill -TERM "$daemon"
	wait_for 20 has_ended "$daemon" || {
		umount -f "$view" || true # or the readers would never end either
		fail "the daemon does not end while it runs ahead"
	}
	wait "${readers[@]}" || true
	! is_mounted "$view" || fail "a daemon that was ended leaves its view"
done

# Somebody overwrites the source under way: what was read is one version of it.
mount_view
head -c 4000000 "$view/data.bin" >/dev/null
printf 'changed' | dd of="$original/data.bin" bs=1 seek=59000000 conv=notrunc status=none
wait_for 5 cmp -s "$view/data.bin" "$original/data.bin" || fail "the changed file is not shown"
unmount_view
