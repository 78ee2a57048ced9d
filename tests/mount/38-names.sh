#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Names of every kind: of files, folders, sources and mountpoints.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixed "$work/model"
torch fixed_image "$work/image.pt"

# shellcheck disable=SC2016 # none of them is to be expanded
odd=('模型 1,final' ' leading' 'trailing ' 'a,b' 'a\,b' $'two\nlines' $'tab\t' 'back\slash' '\040'
	$'red\e[31m' "it's" '"quoted"' '%s%n' '-o' '#hash' '$HOME `id` ;' '*?[a]' '!' 'a:b=c' $'\xff\xfe' $'mod\xe8le')

# --- Of files and folders -------------------------------------------------------

# longest LENGTH SUFFIX: a name of so many bytes.
longest()
{
	printf "%0$(($1 - ${#2}))d%s" 0 "$2"
}

for name in "${odd[@]}" "$(longest 252 '')"; do
	cp "$work/model" "$original/$name.pt"
	cp "$work/model" "$original/hift $(head -c 200 <<<"$name").pt"
	mkdir "$original/$name"
	cp "$work/model" "$original/$name/$name.pt"
	echo "$name" >"$original/$name/text"
done
cp "$work/model" "$original/.pt"
cp "$work/model" "$original/"$'\xfe.pt'
cp "$work/model" "$original/upper.PT"
mount_view --keep '*语音*' --keep $'*\xe9*'
diff <(cd "$original" && find . -print0 | sort -z | tr '\0\n' '\n?') \
	<(cd "$view" && find . -print0 | sort -z | tr '\0\n' '\n?') || fail "names differ"
for name in "${odd[@]}" "$(longest 252 '')"; do
	for path in "$name.pt" "$name/$name.pt"; do
		expect_state converted "$view/$path"
		same "$work/image.pt" "$view/$path"
	done
	same "$original/$name/text" "$view/$name/text"
done
for file in "$view/hift "*; do
	same "$work/model" "$file"
done
expect_state converted "$view/.pt"
[[ $(status_of "$view" options) == *'"*?*"'* ]] ||
	fail "a pattern is not in the options: $(status_of "$view" options)"
expect_state passthrough "$view/upper.PT"
[ ! -e "$view/$(longest 255 x)" ] || fail "a name that is not there is there"
! stat "$view/$(longest 256 x)" 2>"$work/stat" || fail "a name of 256 bytes is there"
grep -q "too long" "$work/stat" || fail "a name of 256 bytes: $(cat "$work/stat")"

# What is told about them is JSON whatever they are.
exec 5<"$view/"$'\xfe.pt'
touch "$original/"$'\xfe.pt'
! head -c 10 <&5 >"$work/head" 2>&1 || fail "a modified file is read"
exec 5<&-
[[ $(status_of "$view" last_error) == *"modified while it was open"* ]] ||
	fail "the last error is: $(status_of "$view" last_error)"
unmount_view
printf '[alias]\n\xfd.pt = .pt\n' >"$config"
mount_view
[[ $(status_of "$view" options) == *'"alias": {"?.pt": ".pt"}'* ]] ||
	fail "an alias is not in the options: $(status_of "$view" options)"
unmount_view
: >"$config"
rm -r "${original:?}"/* "$original/.pt"

# --- Of sources and mountpoints -------------------------------------------------

# check_mount MOUNTPOINT
check_mount()
{
	is_mounted "$1" || fail "nothing is mounted at '$1'"
	same "$work/image.pt" "$1/llm.pt"
	unmount "$1"
}

mkdir "$work/sources" "$work/views"
for name in "${odd[@]}" "$(longest 255 '')"; do
	mkdir "$work/sources/$name" "$work/views/$name"
	cp "$work/model" "$work/sources/$name/llm.pt"
	mount_at "$work/sources/$name" "$work/views/$name"
	expect 1 "$(wc -l <"$work/mount.out")" "lines of the summary ($summary)"
	! grep -q '[[:cntrl:]]' "$work/mount.out" || fail "a terminal obeys the summary: $summary"
	check_mount "$work/views/$name"
	(cd "$work/views" && "$CVQ_MOUNT" -o noauto,x-systemd.automount -- "../sources/$name" "$name") \
		>"$work/mount.out" || fail "'$name' cannot be mounted by a relative name"
	check_mount "$work/views/$name"
	# As mount(8) and fstab do it, which has a shell start cvq-mount.
	# A type with a second dot, here of a path, mount(8) does not hand on.
	if is_root && command -v mount.fuse3 >/dev/null; then
		by=mount
		[[ $CVQ_MOUNT != *.* ]] || by=mount.fuse3
		"$by" "$work/sources/$name" "$work/views/$name" -t "fuse.$CVQ_MOUNT" \
			-o user,nofail,dtype=fp16 >"$work/mount.out" ||
			fail "'$name' cannot be mounted by $by"
		check_mount "$work/views/$name"
	fi
done
cp "$work/model" "$original/a,b.pt"
mount_view -o 'keep=a\,*.pt,fsname=a\,b\\c'
expect_state passthrough "$view/a,b.pt"
unmount_view

# --- Paths as long as there can be ----------------------------------------------

# deep LENGTH: makes folders down to a path of so many bytes, and prints it.
deep()
{
	local path=$work/deep left name

	while left=$(($1 - ${#path} - 1)) && [ $left -gt 0 ]; do
		[ $left -le 201 ] || left=200
		name=$(longest $left d)
		path=$path/$name
		mkdir -p "$path"
	done
	printf %s "$path"
}

path=$(deep 4095)
expect 4095 ${#path} "length of a path"
cp "$work/model" "$work/deep/llm.pt"
mount_at "$work/deep" "$view"
(cd "$view" && find . -type d | tail -n 1) >"$work/last"
expect ".${path#"$work/deep"}" "$(cat "$work/last")" "deepest folder"
unmount_view
(cd "$path" && cp "$work/model" llm.pt)
mount_at "$path" "$view"
check_mount "$view"
(cd "$path" && rm llm.pt)
if is_root; then
	mount_at "$original" "$path"
	unmount "$path"
else # who could never unmount it again
	! "$CVQ_MOUNT" "$original" "$path" 2>"$work/mount.err" || fail "a mountpoint of 4,095 bytes"
	grep -q "its path is too long" "$work/mount.err" || fail "$(cat "$work/mount.err")"
	[ "$(wc -l <"$work/mount.err")" = 1 ] || fail "more than a line: $(cat "$work/mount.err")"
fi
path=$(deep 2900)
mount_at "$original" "$path"
unmount "$path"

# Beyond that there are files that have no path, and are not shown.
path=$(deep 4095)
(cd "$path" && mkdir -p "$(longest 200 e)/$(longest 200 f)" && cp "$work/model" "$(longest 200 e)/llm.pt")
mount_at "$work/deep" "$view"
! (cd "$view" && find . -name llm.pt >"$work/found" 2>"$work/find.err") || fail "find sees everything"
grep -q "too long" "$work/find.err" || fail "find says: $(cat "$work/find.err")"
same "$work/image.pt" "$view/llm.pt"
unmount_view
rm -r "$work/deep"
