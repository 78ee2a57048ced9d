#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Aliases: a name of the view that shows another file of the source, in every respect
# but its name.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_torch

torch models "$original" --model Fun-CosyVoice3-0.5B
mv "$original"/*/* "$original"
rmdir "$original/Fun-CosyVoice3-0.5B"
cp "$original/flow.pt" "$original/flow.bin"

cat >"$config" <<'END'
[alias]
llm.pt             = llm.rl.pt
flow-again.pt      = flow.bin
training/flow.pt   = flow.pt
training/notes.txt = cosyvoice3.yaml
flow.txt           = flow.pt
other_hift.pt      = llm.pt
END

# --- What an alias shows --------------------------------------------------------

# shows NAME FILE: every attribute but size and number is the source's FILE's.
shows()
{
	local format='%f %u %g %h %Y %Z'

	expect "$(stat -c "$format" "$original/$2")" "$(stat -c "$format" "$view/$1")" \
		"attributes of $1"
	expect "$2" "$(info_of "$view/$1" alias_of)" "alias_of of $1"
}

mount_view
expect "" "$(cat "$work/mount.err")" "warnings"
expect_state converted "$view/llm.pt"
shows llm.pt llm.rl.pt
torch compare "$original/llm.rl.pt" "$view/llm.pt" --expect converted ||
	fail "llm.pt is not what .half() makes of llm.rl.pt"
same "$view/llm.pt" "$view/llm.rl.pt"
! cmp -s "$original/llm.pt" "$original/llm.rl.pt" || fail "both models are the same"

# Its name decides, not that of the file.
shows flow-again.pt flow.bin
torch compare "$original/flow.bin" "$view/flow-again.pt" --expect converted ||
	fail "flow-again.pt is not what .half() makes of flow.bin"
same "$original/flow.bin" "$view/flow.bin"
for name in flow.txt other_hift.pt; do
	expect_state passthrough "$view/$name"
	echo "$name: $(info_of "$view/$name" reason)"
done
same "$original/flow.pt" "$view/flow.txt"
# What the view shows as llm.pt is not what an alias of llm.pt shows.
same "$original/llm.pt" "$view/other_hift.pt"
shown=$(info_of "$view/flow.pt" alias_of)
expect "" "$shown" "alias_of of a file"

# In a folder.
shows training/flow.pt flow.pt
same "$view/flow.pt" "$view/training/flow.pt"
shows training/notes.txt cosyvoice3.yaml
same "$original/cosyvoice3.yaml" "$view/training/notes.txt"

# Programs take equal numbers for one file, whatever they have read of it.
cp -aL "$view" "$work/copied"
diff -r "$view" "$work/copied" || fail "cp -aL takes a file for another"
rm -r "$work/copied"

# Both names at once, like those of a hard link.
"$PYTHON" - "$view/llm.pt" "$view/llm.rl.pt" <<'END' || fail "two names of one file disturb each other"
import mmap, sys
files = [open(path, "rb") for path in sys.argv[1:]]
maps = [mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) for file in files]
size = len(maps[0])
for at in range(size // 4096 * 4096, -1, -4096):
    first, second = (one[at:at + 4096] for one in (maps if at % 8192 else maps[::-1]))
    assert first == second, at
END

# The source's own attributes come along.
if setfattr -n user.note -v "of flow" "$original/flow.pt" 2>/dev/null; then
	expect "of flow" "$(getfattr --only-values -n user.note "$view/training/flow.pt")" \
		"user.note of an alias"
fi

# --- Listing --------------------------------------------------------------------

# listing DIRECTORY: every name and what it is.
listing()
{
	(cd "$1" && find . -mindepth 1 -printf '%P %y\n' | LC_ALL=C sort)
}

expected=$({
	listing "$original"
	printf '%s f\n' flow-again.pt training/flow.pt training/notes.txt flow.txt other_hift.pt
} | LC_ALL=C sort)
expect "$expected" "$(listing "$view")" "the names of the view"
expect_summary 6 $(($(grep -c ' f$' <<<"$expected") - 6))
cp -r "$view" "$work/copy"
diff -r "$view" "$work/copy" || fail "cp -r made something else"
unmount_view

# In a large folder, which takes many calls to list, also from the middle.
mkdir "$original/large"
for i in {1..2000}; do
	: >"$original/large/file-with-a-name-of-some-length-$i"
done
{
	echo '[alias]'
	for i in {1..100}; do
		echo "large/alias-$i = flow.pt"
		echo "large/file-with-a-name-of-some-length-$((20 * i)) = flow.pt"
	done
} >"$work/large.ini"
mount_view --config "$work/large.ini"
expect 2100 "$(find "$view/large" -type f | sort -u | wc -l)" "names in a large folder"
expect 2100 "$(find "$view/large" -type f | wc -l)" "names in a large folder, however often"
expect 200 "$(find "$view/large" -type f -size +1k | wc -l)" "aliases in a large folder"
[ ! -e "$view/large/alias-101" ] || fail "an alias that nobody gave"
unmount_view
rm -r "$original/large"

# --- Changes --------------------------------------------------------------------

mount_view
size=$(stat -c %s "$view/llm.pt")
cp "$original/flow.pt" "$original/new"
exec 3<"$view/llm.pt"
mv "$original/new" "$original/llm.rl.pt"
sleep 1.2
shows llm.pt llm.rl.pt
same "$view/flow.pt" "$view/llm.pt"
expect "$size" "$(wc -c <&3)" "bytes of the old version, which was open"
exec 3<&-
mv "$original/llm.rl.pt" "$original/away"
sleep 1.2
[ ! -e "$view/llm.pt" ] || fail "an alias outlives its file"
names=$(find "$view" -name llm.pt)
expect "" "$names" "an alias that shows nothing in the listing"
mv "$original/away" "$original/llm.rl.pt"
sleep 1.2
same "$view/flow.pt" "$view/llm.pt"
expect_state converted "$view/llm.pt"
unmount_view

# Over its own source.
mount_at "$original" "$original"
expect flow.bin "$(info_of "$original/flow-again.pt" alias_of)" "an alias in place"
cmp -s "$original/flow.pt" "$original/flow-again.pt" || fail "an alias in place shows another file"
unmount "$original"

# --- Links ----------------------------------------------------------------------

mkdir "$work/blobs"
mv "$original/llm.pt" "$work/blobs/0a1b2c"
ln -s ../blobs/0a1b2c "$original/outside.pt"
ln -s flow.pt "$original/inside.pt"
cat >"$config" <<'END'
[alias]
training/outside.pt = outside.pt
training/inside.pt  = inside.pt
END
mount_view
for name in outside inside; do
	expect "regular file" "$(stat -c %F "$view/training/$name.pt")" "kind of $name.pt"
	expect_state converted "$view/training/$name.pt"
done
same "$view/outside.pt" "$view/training/outside.pt"
same "$view/flow.pt" "$view/training/inside.pt"
unmount_view
# Where links are not followed it is the link.
mount_view --symlinks keep
expect ../blobs/0a1b2c "$(readlink "$view/training/outside.pt")" "an alias of a link"
unmount_view
if is_root; then
	mount_view -o allow_other
	[ -L "$view/training/outside.pt" ] || fail "for all users, an alias follows a link outside"
	unmount_view
fi

# --- Of nothing -----------------------------------------------------------------

cat >"$config" <<'END'
[alias]
flow.pt      = none.pt
; A folder is no file, and none is made.
folder.pt    = training
none/flow.pt = flow.pt
new.pt       = flow.bin
END
mount_view
expect 3 "$(wc -l <"$work/mount.err")" "warnings"
for place in "2: [alias] flow.pt" "4: [alias] folder.pt" "5: [alias] none/flow.pt"; do
	grep -qF "cvq-mount: $config:$place: " "$work/mount.err" ||
		fail "no warning of $place: $(cat "$work/mount.err")"
done
for name in flow.pt folder.pt none none/flow.pt; do
	[ ! -e "$view/$name" ] || fail "$name is there, but an alias of nothing"
done
names=$(find "$view" -name flow.pt -o -name folder.pt -o -name none)
expect "" "$names" "aliases of nothing in the listing"
expect_state converted "$view/new.pt"
unmount_view

# --- Wrong ones -----------------------------------------------------------------

for line in 'a.pt = ../a.pt' 'a.pt = /etc/passwd' '../a.pt = b.pt' 'a.pt =' 'a.pt: b.pt'; do
	printf '[alias]\nx.pt = flow.bin\n%s\n' "$line" >"$config"
	status=0
	"$CVQ_MOUNT" "$original" "$view" 2>"$work/refused.err" || status=$?
	expect 2 "$status" "exit code for the alias '$line'"
	grep -qF "cvq-mount: $config:3: " "$work/refused.err" ||
		fail "'$line' is not named: $(cat "$work/refused.err")"
done
