#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What others may do in a view that root mounts for all: what they may do in the source,
# access control lists and replaced folders included.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

is_root || skip "only root mounts for all without being told to in /etc/fuse.conf"

# list FILE ENTRY...: gives it the access control list of "TAG PERMISSION [USER]" entries.
list()
{
	"$PYTHON" - "$@" <<'END'
import os, struct, sys
tags = {"owner": 1, "user": 2, "group": 4, "mask": 16, "other": 32}
value = struct.pack("<I", 2)
for tag, bits, user in (words.split() for words in sys.argv[2:]):
    value += struct.pack("<HHI", tags[tag], int(bits), int(user) % 2 ** 32)
os.setxattr(sys.argv[1], "system.posix_acl_access", value)
END
}

# as_other COMMAND...: a user whom the lists name, in the group of root.
as_other()
{
	setpriv --reuid 12345 --regid 0 --clear-groups "$@"
}

# reads [FILE...]: those are all of the files that he can read, in the source as in the view.
reads()
{
	local folder name

	for folder in "$original" "$view"; do
		for name in "${names[@]}"; do
			if as_other cat "$folder/$name" >/dev/null 2>&1; then
				[[ " $* " == *" $name "* ]] || fail "he reads $folder/$name"
			else
				[[ " $* " != *" $name "* ]] || fail "he cannot read $folder/$name"
			fi
		done
	done
}

names=(public group shut opened masked llm.pt)
fixed "$original/llm.pt"
for name in public group shut opened masked; do
	echo "$name" >"$original/$name"
done
chmod 640 "$original/group"
list "$original/shut" "owner 6 -1" "user 0 12345" "group 4 -1" "mask 4 -1" "other 4 -1" ||
	skip "no access control lists here"
list "$original/opened" "owner 6 -1" "user 4 12345" "group 0 -1" "mask 4 -1" "other 0 -1"
list "$original/masked" "owner 6 -1" "user 4 54321" "group 0 -1" "mask 4 -1" "other 0 -1"
list "$original/llm.pt" "owner 6 -1" "user 0 12345" "group 4 -1" "mask 4 -1" "other 4 -1"

mount_view -o allow_other
reads public group opened
expect_state converted "$view/llm.pt"

# A file that takes the place of another has rights of its own.
setfattr -n user.note -v open "$original/public"
"$PYTHON" - "$view/public" "$original" <<'END' || fail "the attributes of another file are seen"
import os, sys
path, original = sys.argv[1:]
file = os.open(path, os.O_RDONLY)
assert os.getxattr(file, "user.note") == b"open"
with open(original + "/new", "w") as new:
    new.write("secret")
os.setxattr(original + "/new", "user.note", b"secret")
os.rename(original + "/new", original + "/public")
try:
    assert os.getxattr(file, "user.note") == b"open"
except OSError as error:
    print("for a replaced file:", error)
END
unmount_view

# And so has a folder: for who lists it at once, for who knows names in it after a second,
# however long names and sizes may be trusted.
mkfifo "$work/go"
chmod 666 "$work/go"
for timeout in 1 30; do
	mkdir "$original/folder"
	echo open >"$original/folder/file"
	mount_view -o allow_other,timeout=$timeout
	# shellcheck disable=SC2016 # the inner shell expands these
	as_other bash -c 'cd "$1" && ls && read -r _ <"$2"; ls; echo again
		read -r _ <"$2"; ls; cat file secret' bash \
		"$view/folder" "$work/go" >"$work/seen" 2>"$work/seen.err" &
	looker=$!
	wait_for 10 grep -q file "$work/seen" || fail "he does not see the open folder"
	mv "$original/folder" "$original/before"
	mkdir -m 700 "$original/folder"
	echo secret | tee "$original/folder/file" >"$original/folder/secret"
	echo >"$work/go"
	wait_for 10 grep -q again "$work/seen" || fail "he does not come back"
	sleep 1.5
	echo >"$work/go"
	wait $looker && fail "he looks into a folder that took the place of his"
	expect "file again" "$(paste -sd ' ' "$work/seen")" "what he sees with timeout=$timeout"
	unmount_view
	rm -r "$original/folder" "$original/before"
done

# Who mounts for himself alone is judged by the source.
mount_view
reads_not=$(as_other cat "$view/public" 2>&1) && fail "another user reads: $reads_not"
unmount_view
