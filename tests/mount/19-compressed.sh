#!/bin/bash
# SPDX-License-Identifier: MIT
#
# An archive that was packed again by an ordinary zip program: what is compressed is
# inflated once, when it is first read, into a file that nobody sees.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixed "$original/llm.pt"
mkdir "$work/packed" "$work/spill"
(cd "$work/packed" && unzip -q "$original/llm.pt" && zip -qr9 ../packed.zip .)
mv "$work/packed.zip" "$original/packed.pt"
original_size=$(stat -c %s "$original/packed.pt")
export TMPDIR=$work/spill

# The view is the same as that of the file that torch wrote, except for the order.
mount_view
expect_state converted "$view/packed.pt"
ls -l "$view" >/dev/null
[ "$(status_of "$view" bytes_read)" -lt $((original_size / 2)) ] ||
	fail "listing inflates"
compare --expect converted
unzip -tq "$view/packed.pt" || fail "a checksum is wrong"
cp "$view/packed.pt" "$work/whole.pt"
[ -z "$(ls -A "$work/spill")" ] || fail "the spill file has a name"
readlink "/proc/$daemon/fd/"* | matches "^$work/spill/" ||
	fail "the spill file is not in TMPDIR"
unmount_view

# By several threads at once, in a view that nobody has read yet.
mount_view
"$tools/read_ranges" -s 1 -r -n 500 -t 8 "$view/packed.pt" "$work/whole.pt" ||
	fail "ranges differ"
unmount_view

# Without room to inflate, reading fails, says why, and goes on when there is room.
(
	ulimit -f 64
	mount_view
)
! cat "$view/packed.pt" >/dev/null 2>&1 || fail "it inflates without room"
[[ $(status_of "$view" last_error) == *"no space to inflate"* ]] ||
	fail "it does not say that it cannot inflate: $(status_of "$view" last_error)"
torch fixed_image "$work/image.pt"
same "$work/image.pt" "$view/llm.pt" # the other file does not suffer
unmount_view

# What does not fit takes no room from others; only small records do.
if is_root; then
	mount -t tmpfs -o size=64k tmpfs "$work/spill"
	mount_view
	used=$(df --output=used "$work/spill" | tail -n 1) # by a sanitizer, if by anybody
	! cat "$view/packed.pt" >/dev/null 2>&1 || fail "it inflates without room"
	[ "$(df --output=used "$work/spill" | tail -n 1)" -lt $((used + 32)) ] ||
		fail "what does not fit takes room"
	mount -o remount,size=50% "$work/spill"
	same "$work/whole.pt" "$view/packed.pt"
	unmount_view
fi

# A damaged entry is an error, not other numbers.
damage_entry "$original/packed.pt"
mount_view
! cat "$view/packed.pt" >/dev/null 2>&1 || fail "a damaged entry is read"
[[ $(status_of "$view" last_error) == *"damaged"* ]] ||
	fail "it does not say that an entry is damaged: $(status_of "$view" last_error)"
unmount_view
! is_root || umount "$work/spill"
