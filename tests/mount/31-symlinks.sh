#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Symlinks: inside the tree they are symlinks; a checkpoint that lies outside, or
# under a name that hides what it is (a Hugging Face cache), is shown as a file.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir -p "$work/blobs" "$work/outside" "$original/blobs" "$original/folder"
fixed "$work/blobs/0a1b2c" "$original/blobs/3d4e5f" "$original/model.pt"
cp "$work/blobs/0a1b2c" "$work/outside/secret.bin"
ln -s model.pt "$original/same.pt"
ln -s model.pt "$original/model.alias"
ln -s ../model.pt "$original/folder/up.pt"
ln -s folder "$original/to-folder"
ln -s none "$original/dangling.pt"
ln -s loop.pt "$original/loop.pt"
ln -s ../blobs/0a1b2c "$original/outside.pt"
ln -s "$work/outside/secret.bin" "$original/absolute.bin"
ln -s blobs/3d4e5f "$original/inside-blob.pt"
inside=(same.pt model.alias folder/up.pt to-folder dangling.pt loop.pt)
outgoing=(outside.pt absolute.bin inside-blob.pt)

torch fixed_image "$work/image.pt"

# check_links NAME...: shown as the source has them.
check_links()
{
	local name

	for name; do
		[ -L "$view/$name" ] || fail "$name is not shown as a symlink"
		expect "$(readlink "$original/$name")" "$(readlink "$view/$name")" "target of $name"
	done
}

check_followed()
{
	check_links "${inside[@]}"
	for name in "${outgoing[@]}"; do
		expect "regular file" "$(stat -c %F "$view/$name")" "kind of $name"
	done
	expect_state converted "$view/outside.pt"
	expect_state converted "$view/inside-blob.pt"
	expect_state passthrough "$view/absolute.bin"
	same "$work/image.pt" "$view/outside.pt"
	same "$work/image.pt" "$view/inside-blob.pt"
	same "$work/outside/secret.bin" "$view/absolute.bin"
	expect "$(stat -c %s "$work/image.pt")" "$(stat -c %s "$view/outside.pt")" "size of outside.pt"
	# The blob by its own name is no checkpoint, so both forms can be had.
	same "$original/blobs/3d4e5f" "$view/blobs/3d4e5f"
}

mount_view
check_followed
same "$work/image.pt" "$view/same.pt"
same "$work/image.pt" "$view/to-folder/../folder/up.pt"
[ ! -e "$view/dangling.pt" ] || fail "a dangling link leads somewhere"
unmount_view

mount_view --symlinks follow
check_followed
unmount_view

mount_view -o symlinks=keep
check_links "${inside[@]}" "${outgoing[@]}"
unmount_view

# For all users root shows nothing that only root could see.
if is_root; then
	mount_view -o allow_other
	check_links "${inside[@]}" "${outgoing[@]}"
	unmount_view
	mount_view -o allow_other,symlinks=follow
	check_followed
	unmount_view
fi
