#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A source that does not answer keeps waiting who asks for it, and nobody else.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixed "$original/llm.pt"
torch fixed_image "$work/image.pt"
mkdir "$original/remote" "$original/local" # to list the one's parent is to look at it
touch "$original/local/file"
"$CVQ_BUILD/tests/bench/null_fs" 100000000 "$original/remote" &
server=$!
wait_for 20 is_mounted "$original/remote" || fail "null_fs does not mount"
trap 'kill -CONT $server; exit 130' INT TERM

mount_view
expect 100000000 "$(stat -c %s "$view/remote/file")" "the size of the remote file"
exec 5<"$view/remote/file" 6<"$view/remote/file" 7<"$view/remote/file"
kill -STOP $server
askers=()
for number in 5 6 7; do
	dd bs=4096 skip=$((number * 3000)) count=1 status=none of="$work/page.$number" <&$number &
	askers+=($!)
done
for number in 1 2 3 4 5 6; do
	stat "$view/remote/$number" >/dev/null 2>&1 &
	askers+=($!)
done
sleep 0.5
problem=
timeout -s KILL 20 cmp "$view/llm.pt" "$work/image.pt" ||
	problem="while a source does not answer, another one cannot be read"
timeout -s KILL 20 ls "$view/local" >/dev/null ||
	problem="while a source does not answer, another folder cannot be listed"
for asker in "${askers[@]}"; do
	! has_ended "$asker" || problem="who asks for what does not answer is not kept waiting"
done
kill -CONT $server
wait "${askers[@]}" || true
exec 5<&- 6<&- 7<&-
[ -z "$problem" ] || fail "$problem"
for number in 5 6 7; do
	cmp -n 4096 "$work/page.$number" /dev/zero || fail "a page that came late is another one"
done
expect 0 "$(status_of "$view" errors)" "errors in the status"
unmount_view
fusermount3 -u "$original/remote"
wait $server || true
