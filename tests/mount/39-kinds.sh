#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Kinds of files: hard links, fifos, sockets, devices, and what may not be read. None of
# them keeps the daemon waiting.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixed "$work/model.pt"
torch fixed_image "$work/image.pt"

# --- Hard links -----------------------------------------------------------------

# Programs take names with one inode number for one file and read only one of them.
cp "$work/model.pt" "$original/one.pt"
for name in two.pt raw.bin kept_hift.pt; do
	ln "$original/one.pt" "$original/$name"
done
cp "$work/model.pt" "$original/alone.pt"
mount_view -o timeout=0.2

check_links()
{
	local name

	for name in one.pt raw.bin two.pt kept_hift.pt one.pt; do # in turns
		case $name in
		one.pt | two.pt) cmp "$1/$name" "$2" ;;
		*) cmp "$1/$name" "$3" ;;
		esac || fail "$1/$name shows something else"
	done
}

check_links "$view" "$work/image.pt" "$work/model.pt"
for name in one.pt two.pt raw.bin kept_hift.pt; do
	expect 4 "$(stat -c %h "$view/$name")" "links of $name"
done
[ "$view/one.pt" -ef "$view/two.pt" ] || fail "equal links have different numbers"
[ "$view/raw.bin" -ef "$view/kept_hift.pt" ] || fail "kept links have different numbers"
! [ "$view/one.pt" -ef "$view/raw.bin" ] || fail "different content has one number"
for name in raw.bin alone.pt; do
	expect "$(stat -c %i "$original/$name")" "$(stat -c %i "$view/$name")" "number of $name"
done
cp -a "$view" "$work/copy"
check_links "$work/copy" "$work/image.pt" "$work/model.pt"
rm -r "$work/copy"
mkdir "$work/copy"
tar -C "$view" -c . | tar -C "$work/copy" -x
check_links "$work/copy" "$work/image.pt" "$work/model.pt"

# Modified by one name, it is modified by all.
torch versions make "$work/other.pt" 2
cat "$work/other.pt" >"$original/raw.bin"
sleep 0.3
cp "$view/one.pt" "$work/other.image"
expect_state converted "$view/two.pt"
check_links "$view" "$work/other.image" "$work/other.pt"
unmount_view

# --- What is no file ------------------------------------------------------------

mkfifo "$original/fifo" "$original/fifo.pt"
"$PYTHON" -c 'import socket, sys
for name in sys.argv[1:]: socket.socket(socket.AF_UNIX).bind(name)' \
	"$original/socket" "$original/socket.pt"
mkdir "$original/folder.pt"
if is_root; then
	mknod "$original/zero" c 1 5
	mknod "$original/disk.pt" b 7 0
fi
mount_view
for fields in '%P %y %m %n %U %G %T@' '%P %i'; do
	diff <(cd "$original" && find . ! -name one.pt ! -name two.pt -printf "$fields\n" | sort) \
		<(cd "$view" && find . ! -name one.pt ! -name two.pt -printf "$fields\n" | sort) ||
		fail "'find -printf $fields' differs"
done

# Who opens a fifo waits for a writer as everywhere, and nobody waits for him.
for name in fifo fifo.pt; do
	cat "$view/$name" >"$work/fifo.out" &
	reader=$!
	sleep 0.2
	kill -0 $reader || fail "a fifo without a writer can be read"
	timeout 10 cat "$view/raw.bin" >"$work/read" || fail "an open fifo keeps others waiting"
	echo "by the view" | timeout 10 tee "$view/$name" >"$work/tee" || fail "$name cannot be written"
	wait $reader
	expect "by the view" "$(cat "$work/fifo.out")" "what came out of $name"
done
for name in socket socket.pt; do
	"$PYTHON" -c 'import socket, sys
try: socket.socket(socket.AF_UNIX).connect(sys.argv[1])
except ConnectionRefusedError: sys.exit(0)
sys.exit(1)' "$view/$name" || fail "$name can be connected to"
done
if is_root; then
	for name in zero disk.pt; do
		expect "$(stat -c '%F %t %T' "$original/$name")" "$(stat -c '%F %t %T' "$view/$name")" "$name"
		! head -c 1 "$view/$name" >"$work/read" 2>&1 || fail "$name is a device"
	done
fi
for name in fifo.pt socket.pt folder.pt; do
	! getfattr -n user.cvq.info "$view/$name" >"$work/info" 2>&1 || fail "$name has a verdict"
done
unmount_view
rm -r "${original:?}"/*

# --- What may not be read -------------------------------------------------------

cp "$work/model.pt" "$original/secret.pt"
cp "$work/model.pt" "$original/open.pt"
mkdir "$original/locked" "$original/listed"
cp "$work/model.pt" "$original/locked/llm.pt"
cp "$work/model.pt" "$original/listed/llm.pt"
chmod 000 "$original/secret.pt" "$original/locked"
chmod 444 "$original/listed"

# check_denied COMMAND...: runs the command to read things as who may not read them.
check_denied()
{
	"$@" ls -l "$view" >"$work/ls" 2>&1 || fail "a file that may not be read spoils the listing: $(cat "$work/ls")"
	for path in secret.pt locked/llm.pt listed/llm.pt; do
		! "$@" cat "$view/$path" >"$work/read" 2>"$work/cat.err" || fail "$path can be read"
		grep -q "Permission denied" "$work/cat.err" || fail "reading $path: $(cat "$work/cat.err")"
	done
	! "$@" ls "$view/locked" >"$work/ls" 2>&1 || fail "a locked folder can be listed"
	expect llm.pt "$("$@" ls "$view/listed" 2>/dev/null)" "names in a folder of mode 444"
	"$@" cat "$view/open.pt" | cmp - "$work/image.pt" || fail "open.pt cannot be read"
}

if is_root; then
	mount_view -o allow_other
	same "$work/image.pt" "$view/secret.pt"
	same "$work/image.pt" "$view/locked/llm.pt"
	chmod 755 "$work"
	check_denied setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups
else
	mount_view -o timeout=0.2
	[[ $summary == *": at least "* ]] || fail "the summary knows all: $summary"
	check_denied env
	expect "$(stat -c %s "$work/model.pt")" "$(stat -c %s "$view/secret.pt")" "size of secret.pt"
	expect_state passthrough "$view/secret.pt"
	[[ $(info_of "$view/secret.pt" reason) == *"Permission denied"* ]] ||
		fail "the reason is: $(info_of "$view/secret.pt" reason)"
	chmod 644 "$original/secret.pt"
	chmod 755 "$original/locked"
	sleep 0.3
	expect_state converted "$view/secret.pt"
	same "$work/image.pt" "$view/locked/llm.pt"
fi
unmount_view
