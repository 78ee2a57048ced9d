#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The tree: names, kinds, modes, owners, times and inode numbers are the source's.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir -p "$original/a/b/empty" "$original/.hidden"
fixed "$original/a/model.pt" "$original/a/b/kept_hift.pt"
printf '1234567' >"$original/a/b/data.onnx"
echo text >"$original/.hidden/name with spaces and ünicode"
touch "$original/a/b/empty.pt"
ln "$original/a/b/data.onnx" "$original/a/linked.onnx"
ln -s a/model.pt "$original/link"
mkfifo "$original/fifo"
"$PYTHON" -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' \
	"$original/socket"
chmod 751 "$original/a"
chmod 440 "$original/a/model.pt"
chmod 4755 "$original/a/linked.onnx"
touch -d '2001-02-03 04:05:06.789123456' "$original/a/model.pt" "$original/a/b"
if is_root; then
	chown 12345:54321 "$original/a/b/data.onnx"
	mknod "$original/null" c 1 3
fi

# list DIRECTORY FIELDS
list()
{
	(cd "$1" && find . -mindepth 1 -printf "$2\n" | sort)
}

mount_view
for fields in '%P %y %i' '%P %m' '%P %U %G' '%P %T@' '%P %n' '%P %l'; do
	diff <(list "$original" "$fields") <(list "$view" "$fields") ||
		fail "'find -printf $fields' differs"
done
# Sizes of folders are the source's own affair.
diff <(cd "$original" && find . -type f ! -name model.pt -printf '%P %s\n' | sort) \
	<(cd "$view" && find . -type f ! -name model.pt -printf '%P %s\n' | sort) ||
	fail "a file that is passed through has another size"
diff <(stat -c '%a %u %g %i %Y' "$original") <(stat -c '%a %u %g %i %Y' "$view") ||
	fail "the root differs"

# A converted file has its own size and blocks, and tells both before it is read.
size=$(stat -c %s "$view/a/model.pt")
expect "$(info_of "$view/a/model.pt" view_size)" "$size" "size of model.pt"
expect "$(info_of "$view/a/model.pt" source_size)" "$(stat -c %s "$original/a/model.pt")" \
	"source_size of model.pt"
expect $(((size + 511) / 512)) "$(stat -c %b "$view/a/model.pt")" "blocks of model.pt"
expect "$size" "$(wc -c <"$view/a/model.pt")" "bytes in model.pt"
expect "$(du --apparent-size -b "$view/a/model.pt" | cut -f 1)" "$size" "size by du"
[ "$(du -k "$view/a/model.pt" | cut -f 1)" -lt "$(du -k "$original/a/model.pt" | cut -f 1)" ] ||
	fail "du does not see that the view is smaller"
expect 10 "$(info_of "$view/a/model.pt" storages)" "storages"
expect fp16 "$(info_of "$view/a/model.pt" dtype)" "dtype"

# The file system is as large as that of the source; names that are not there are not there.
expect "$(stat -f -c '%b %c %l' "$original")" "$(stat -f -c '%b %c %l' "$view")" \
	"blocks, inodes and longest name of the file system"
[ ! -e "$view/a/none" ] || fail "a name that is not there is there"

# The source's own extended attributes, and cvq's beside them.
if setfattr -n user.note -v "a note" "$original/a/model.pt" 2>/dev/null; then
	expect "a note" "$(getfattr --only-values -n user.note "$view/a/model.pt")" "user.note"
	getfattr -d "$view/a/model.pt" 2>/dev/null | matches '^user.note=' ||
		fail "user.note is not listed"
fi
unmount_view
