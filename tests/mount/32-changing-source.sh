#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A source that changes: who has a file open sees one version of it, whole, or an
# error; who opens it anew sees the new one.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

torch sparse_checkpoint "$work/zeros.pt" 4000000
"$PYTHON" - "$work/zeros.pt" "$work/ones.pt" <<'END'
# The same checkpoint with other weights: 1.0 instead of 0.0 in the large storage.
import struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
large = data.index(b"archive/data/1")
large += data[large:].index(bytes(1000))
large += -large % 64  # payloads are aligned
data[large:large + 15000000] = struct.pack("<f", 1.0) * 3750000
open(sys.argv[2], "wb").write(data)
END
cp "$work/zeros.pt" "$original/replaced.pt"

# What the view makes of both versions.
mount_view
cp "$view/replaced.pt" "$work/zeros.image"
cp "$work/ones.pt" "$original/new.tmp"
mv "$original/new.tmp" "$original/new.pt"
sleep 1.2
expect_state converted "$view/new.pt"
cp "$view/new.pt" "$work/ones.image"
! cmp -s "$work/zeros.image" "$work/ones.image" || fail "both versions have the same image"
unmount_view
torch read_one_tensor "$work/ones.image" small.1 read || fail "a new checkpoint is wrong"

# read_open WHEN CHANGE: opens changing.pt, changes it as the shell command CHANGE says
# before the first byte is read ("early") or after some ("late"), and prints of what
# the open descriptor gives: "old", "new", "mixed" or "error", and how it was opened.
cat >"$work/read_open.py" <<'END'
import errno, subprocess, sys
path, old, new, when, change = sys.argv[1:]
old, new = open(old, "rb").read(), open(new, "rb").read()
found = set()
with open(path, "rb", buffering=0) as file:
    if when == "late":
        first = file.read(65536)
        found.add("old" if first == old[:65536] else "mixed")
    subprocess.check_call(["sh", "-c", change])
    step = 65536
    for at in range(0, len(old), step):
        try:
            file.seek(at)
            data = file.read(step)
        except OSError as error:
            found.add("error" if error.errno == errno.EIO else error.strerror)
            continue
        if data == old[at:at + step] == new[at:at + step]:
            continue
        found.add("old" if data == old[at:at + step] else
                  "new" if data == new[at:at + step] else "mixed")
print(*sorted(found))
END

read_open()
{
	"$PYTHON" "$work/read_open.py" "$view/changing.pt" "$work/zeros.image" \
		"$work/ones.image" "$@"
}

# start: changing.pt is the old version, freshly mounted.
start()
{
	cp "$work/zeros.pt" "$original/changing.pt"
	cp "$work/ones.pt" "$original/other"
	mount_view
}

for when in early late; do
	start
	expect old "$(read_open $when "mv '$original/other' '$original/changing.pt'")" \
		"a file replaced by rename, $when"
	sleep 1.2
	same "$work/ones.image" "$view/changing.pt"
	unmount_view

	start
	expect old "$(read_open $when "rm '$original/changing.pt'")" "a file deleted, $when"
	sleep 1.2
	[ ! -e "$view/changing.pt" ] || fail "a deleted file is still there"
	unmount_view

	# In place: what the kernel already has may still come, nothing else.
	start
	found=$(read_open $when "cat '$original/other' >'$original/changing.pt'; sleep 0.1")
	[ "$found" = error ] || [ "$found" = "error old" ] ||
		fail "a file overwritten in place, $when, gives: $found"
	sleep 1.2
	same "$work/ones.image" "$view/changing.pt"
	unmount_view

	start
	found=$(read_open $when "truncate -s 100000 '$original/changing.pt'; sleep 0.1")
	[ "$found" = error ] || [ "$found" = "error old" ] ||
		fail "a file truncated, $when, gives: $found"
	sleep 1.2
	expect_state passthrough "$view/changing.pt"
	same "$original/changing.pt" "$view/changing.pt"
	unmount_view
done

# A file that is passed through follows its source, too.
echo one >"$original/text"
mount_view
expect one "$(cat "$view/text")" "text"
echo another >"$original/text"
sleep 1.2
expect another "$(cat "$view/text")" "text after it was changed"
mkdir "$original/folder"
echo three >"$original/folder/text"
mv "$original/folder" "$original/renamed"
sleep 1.2
expect three "$(cat "$view/renamed/text")" "text in a new folder"
unmount_view
