#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Folders as the model hubs make them: the cache of Hugging Face, where all files are
# symlinks to blobs, and a folder of ModelScope.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixed "$work/llm.pt"
torch versions make "$work/newer.pt" 2
torch fixed_image "$work/image.pt"

# --- Hugging Face ---------------------------------------------------------------

cache=$work/models--FunAudioLLM--CosyVoice2-0.5B
mkdir -p "$cache/blobs" "$cache/refs" "$cache/snapshots" "$cache/.no_exist/aaaa"
touch "$cache/.no_exist/aaaa/added_tokens.json"

# store REVISION FILE NAME: a blob under its hash, and the link of that revision to it.
store()
{
	local blob link=$cache/snapshots/$1/$3 up=../..

	blob=$(sha256sum <"$2")
	blob=${blob%% *}
	[ -e "$cache/blobs/$blob" ] || cp "$2" "$cache/blobs/$blob"
	mkdir -p "$(dirname "$link")"
	[[ $3 != */* ]] || up=../../..
	ln -s "$up/blobs/$blob" "$link"
}

# make_revision REVISION CHECKPOINT
make_revision()
{
	store "$1" "$2" llm.pt
	store "$1" "$work/llm.pt" hift.pt
	echo "sample_rate: 24000 # $1" >"$work/yaml"
	store "$1" "$work/yaml" cosyvoice2.yaml
	echo "{\"revision\": \"$1\"}" >"$work/json"
	store "$1" "$work/json" CosyVoice-BlankEN/config.json
	printf %s "$1" >"$cache/refs/main"
}

make_revision aaaa "$work/llm.pt"
files=(llm.pt hift.pt cosyvoice2.yaml CosyVoice-BlankEN/config.json)

# check_files FOLDER: of the view of a snapshot, whose links are followed.
check_files()
{
	local name

	for name in "${files[@]}"; do
		expect "regular file" "$(stat -c %F "$1/$name")" "kind of $name"
	done
	expect_state converted "$1/llm.pt"
	expect_state passthrough "$1/hift.pt"
	same "$work/image.pt" "$1/llm.pt"
	for name in "${files[@]:1}"; do
		same "$cache/snapshots/aaaa/$name" "$1/$name"
	done
}

# check_links FOLDER: links as they are, which lead nowhere from there.
check_links()
{
	local name

	for name in "${files[@]}"; do
		expect "$(readlink "$cache/snapshots/aaaa/$name")" "$(readlink "$1/$name")" "$name"
		[ ! -e "$1/$name" ] || fail "$name leads somewhere: $(realpath "$1/$name")"
	done
}

# The snapshot alone, as from_pretrained() and snapshot_download() name it.
snapshot=$cache/snapshots/aaaa
mount_at "$snapshot" "$view"
expect_summary 1 3
check_files "$view"
unmount_view
mount_at "$snapshot" "$view" --symlinks follow
check_files "$view"
unmount_view
mount_at "$snapshot" "$view" --symlinks keep
check_links "$view"
unmount_view
if is_root; then
	mount_at "$snapshot" "$view" -o allow_other
	check_links "$view"
	unmount_view
	mount_at "$snapshot" "$view" -o allow_other,symlinks=follow
	check_files "$view"
	unmount_view
fi

# The whole cache: a link that stays inside is a link, unless it names a checkpoint.
check_cache()
{
	expect aaaa "$(cat "$view/refs/main")" "refs/main"
	for name in hift.pt cosyvoice2.yaml CosyVoice-BlankEN/config.json; do
		same "$snapshot/$name" "$view/snapshots/aaaa/$name"
	done
	for name in cosyvoice2.yaml CosyVoice-BlankEN/config.json; do
		[ -L "$view/snapshots/aaaa/$name" ] || fail "$name is not shown as a link"
	done
	diff -r "$cache/blobs" "$view/blobs" || fail "blobs are not shown as they are"
}

mount_at "$cache" "$view"
check_cache
expect_state converted "$view/snapshots/aaaa/llm.pt"
same "$work/image.pt" "$view/snapshots/aaaa/llm.pt"
unmount_view
mount_at "$cache" "$view" --symlinks keep
check_cache
same "$work/llm.pt" "$view/snapshots/aaaa/llm.pt"
unmount_view

# A new revision comes, and the old one is deleted while somebody reads it.
mount_at "$cache" "$view" -o timeout=0.2
exec 5<"$view/snapshots/aaaa/llm.pt"
head -c 1000 <&5 >"$work/read"
make_revision bbbb "$work/newer.pt"
sleep 0.3
expect bbbb "$(cat "$view/refs/main")" "refs/main after a download"
expect_state converted "$view/snapshots/bbbb/llm.pt"
same "$work/image.pt" "$view/snapshots/aaaa/llm.pt"
rm "$(realpath "$snapshot/llm.pt")"
rm -r "$snapshot"
sleep 0.3
[ ! -e "$view/snapshots/aaaa" ] || fail "a deleted revision is still there"
cat <&5 >>"$work/read"
same "$work/image.pt" "$work/read"
exec 5<&-
cp "$view/snapshots/bbbb/llm.pt" "$work/read"
unmount_view

# A source that is deleted under its view.
mount_at "$cache/snapshots/bbbb" "$view" -o timeout=0.2
same "$work/read" "$view/llm.pt"
rm -r "$cache"
sleep 0.3
[ -z "$(ls "$view" 2>/dev/null)" ] || fail "a deleted source still has files"
expect "$daemon" "$(status_of "$view" pid)" "the daemon of a deleted source"
unmount_view

# --- ModelScope -----------------------------------------------------------------

mkdir -p "$original/._____temp" "$original/asset/sub folder" "$original/CosyVoice-BlankEN"
cp "$work/llm.pt" "$original/llm.pt"
cp "$work/llm.pt" "$original/hift.pt"
head -c 100000 "$work/newer.pt" >"$original/._____temp/flow.pt"
head -c 3000 /dev/urandom >"$original/.msc"
printf 'Revision:master,CreatedAt:1734500000' >"$original/.mv"
echo '{"framework": "Pytorch"}' >"$original/configuration.json"
head -c 2000 /dev/urandom >"$original/asset/sub folder/图.png"

mount_view -o timeout=0.2
expect_summary 1 6
diff -rq "$original" "$view" >"$work/differing" || true
expect "Files $original/llm.pt and $view/llm.pt differ" "$(cat "$work/differing")" "differing files"
same "$work/image.pt" "$view/llm.pt"

# The download goes on, and is moved to its place.
cat "$work/newer.pt" >"$original/._____temp/flow.pt"
mv "$original/._____temp/flow.pt" "$original/flow.pt"
rmdir "$original/._____temp"
sleep 0.3
[ ! -e "$view/._____temp" ] || fail "the folder of a finished download is still there"
expect_state converted "$view/flow.pt"
unmount_view
