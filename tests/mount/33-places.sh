#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Where source and view lie: the view over its own source, inside it, around it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir "$original/folder"
fixed "$original/llm.pt" "$original/folder/flow.pt"
echo text >"$original/text"
torch fixed_image "$work/image.pt"
listing=$(cd "$original" && find . -printf '%P\n' | sort)

# check_view DIRECTORY
check_view()
{
	expect_state converted "$1/llm.pt"
	same "$work/image.pt" "$1/llm.pt"
	same "$work/image.pt" "$1/folder/flow.pt"
	expect text "$(cat "$1/text")" "text"
}

# Over the source; who had a file of it open before reads that on.
before=$(sha256sum <"$original/llm.pt")
exec 5<"$original/llm.pt"
mount_at "$original" "$original"
check_view "$original"
expect "$listing" "$(cd "$original" && find . -printf '%P\n' | sort)" "names of the view in place"
expect "$before" "$(sha256sum <&5)" "a file of the source that was open before"
exec 5<&-
unmount "$original"
expect "$before" "$(sha256sum <"$original/llm.pt")" "the source after an in-place view"

# Inside the source: there, and only there, the view is empty.
mkdir "$original/folder/fp16"
mount_at "$original" "$original/folder/fp16"
check_view "$original/folder/fp16"
names=$(cd "$original/folder/fp16" && timeout 60 find . -printf '%P\n' | sort) ||
	fail "find in a view inside its source does not end"
expect "$(printf '%s\nfolder/fp16' "$listing" | sort)" "$names" "names of the view inside"
expect "" "$(ls -A "$original/folder/fp16/folder/fp16")" "the mountpoint in its own view"
unmount "$original/folder/fp16"
rmdir "$original/folder/fp16"

# Two views inside the source, and one over it: to each of them the others are empty,
# or their daemons would wait for each other.
check_apart()
{
	local names

	names=$(cd "$1" && timeout 60 find . -printf '%P\n' | sort) || fail "find in $1"
	expect "$(printf '%s\nbf16\nfp16\nlink.pt' "$listing" | sort)" "$names" "names in $1"
	names=$(find "$1/fp16" "$1/bf16" -mindepth 1) || fail "find in the others in $1"
	expect "" "$names" "what $1 shows of the others"
	expect bf16/llm.pt "$(readlink "$1/link.pt")" "a link into another view, in $1"
	same "$work/image.pt" "$1/llm.pt"
}

mkdir "$original/fp16" "$original/bf16"
ln -s bf16/llm.pt "$original/link.pt"
mount_at "$original" "$original/fp16"
mount_at "$original" "$original/bf16" --dtype bf16
expect_summary 2 1 # and nothing of the other view
check_apart "$original/fp16"
expect_state converted "$original/bf16/llm.pt"
expect_state converted "$original/link.pt"
mount_at "$original" "$original"
check_apart "$original"
unmount "$original"
unmount "$original/bf16"
unmount "$original/fp16"
rm -r "$original/bf16" "$original/fp16" "$original/link.pt"

# Other file systems in the source: names and numbers are as apart as they are there.
if is_root; then
	mkdir "$work/nested"
	mount -t tmpfs tmpfs "$work/nested"
	mkdir "$work/nested/inner"
	mount -t tmpfs tmpfs "$work/nested/inner"
	for folder in "$work/nested" "$work/nested/inner"; do
		cp "$original/llm.pt" "$folder/a.bin"
		ln "$folder/a.bin" "$folder/b.bin"
		echo "$folder" >"$folder/c.txt"
		ln "$folder/c.txt" "$folder/d.txt"
	done
	mount_at "$work/nested" "$view"
	diff <(cd "$work/nested" && find . | sort) <(cd "$view" && find . | sort) ||
		fail "a file system in the source is not shown"
	cp -a "$view" "$work/copy"
	diff -r "$work/nested" "$work/copy" || fail "cp -a mixes up files of two file systems"
	[ "$work/copy/inner/a.bin" -ef "$work/copy/inner/b.bin" ] || fail "cp -a loses a link"
	unmount_view
	umount "$work/nested/inner" "$work/nested"
	rm -r "$work/copy"
fi

# Around the source, which hides it.
mkdir "$work/around"
mv "$original" "$work/around/model"
mount_at "$work/around/model" "$work/around" -o nonempty
check_view "$work/around"
[ ! -e "$work/around/model" ] || fail "the view shows what lies around its source"
unmount "$work/around"
mv "$work/around/model" "$original"

# By relative names, with . and .. and a symlink, and spaces.
ln -s original "$work/by link"
mkdir "$work/a view"
(cd "$work/a view" && timeout 60 "$CVQ_MOUNT" "../by link/." "../a view" >"$work/mount.out") ||
	fail "relative names are not understood"
check_view "$work/a view"
unmount "$work/a view"

# Where a view is hidden, with the folder that it is in, nothing is mounted.
if is_root; then
	mkdir -p "$work/place/inner" "$work/other/inner"
	mount_at "$original" "$work/place/inner"
	mount --bind "$work/other" "$work/place"
	mount_at "$original" "$work/place/inner" --dtype bf16
	expect_state converted "$work/place/inner/llm.pt"
	fusermount3 -u "$work/place/inner"
	wait_for 20 has_ended "$daemon" || fail "a daemon outlives its view that hid another"
	umount "$work/place"
	check_view "$work/place/inner"
	unmount "$work/place/inner"
fi

# A view of a view.  A file that has just been changed is another one two seconds later,
# which the kernel does not know yet for the view below.
mkdir "$original/linked"
ln -s ../llm.pt "$original/linked/flow.pt"
mount_view -o timeout=60,symlinks=keep
mkdir "$work/second" "$work/third"
mount_at "$view" "$work/second" -o symlinks=follow
mount_at "$view/linked" "$work/third" -o symlinks=follow
touch "$original/llm.pt"
ls "$view" "$view/linked" >"$work/names"
ls -lL "$work/second" "$work/third" >"$work/names"
sleep 3.5
same "$work/image.pt" "$work/third/flow.pt"
same "$work/image.pt" "$work/second/llm.pt"
expect_state passthrough "$work/second/llm.pt"
unmount "$work/second"
unmount "$work/third"
unmount_view
