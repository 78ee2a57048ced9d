#!/bin/bash
# SPDX-License-Identifier: MIT
#
# cvq convert writes what a mount with checksum=exact shows, in one pass, and leaves
# no half file whatever happens.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_torch
torch models "$original"
chmod 750 "$original"
mkdir "$original/文件 夹"
fixed "$original/文件 夹/深 度.pt"
ln -s llm.pt "$original/CosyVoice2-0.5B/link.pt"
mkfifo "$original/fifo"
chmod 640 "$original/CosyVoice2-0.5B/llm.pt"
touch -d 2024-02-29 "$original/CosyVoice2-0.5B/llm.pt"
output=$work/output

# convert EXPECTED [ARGUMENT...]: of the exit code; its words are in $work/out and err.
convert()
{
	local expected=$1 status=0

	shift
	timeout 120 "$CVQ" convert "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
	expect "$expected" "$status" "exit code of convert $* ($(cat "$work/err"))"
}

no_half_files()
{
	[ -z "$(find "$work" -name '.cvq-*')" ] || fail "$1 leaves a half file"
}

# --- The same as the view -------------------------------------------------------

find "$original" -type f -exec sha256sum {} + >"$work/before"
convert 0 "$original" "$output"
sha256sum --quiet -c "$work/before" || fail "the source was touched"
no_half_files "converting"
mount_view --checksum exact
diff -r --no-dereference --exclude QUANTIZED_INFO.txt --exclude fifo "$view" "$output" ||
	fail "what is written is not what is mounted"
unmount_view
torch compare "$original" "$output" --expect converted --checksum exact ||
	fail "what is written is not what .half() makes"
expect "640 $(date -d 2024-02-29 +%s)" \
	"$(stat -c '%a %Y' "$output/CosyVoice2-0.5B/llm.pt")" "mode and time"
expect 750 "$(stat -c %a "$output")" "the mode of the directory"
expect llm.pt "$(readlink "$output/CosyVoice2-0.5B/link.pt")" "a link"
[ ! -e "$output/fifo" ] || fail "a fifo was written"
grep -q '^converted: 文件 夹/深 度.pt$' "$output/QUANTIZED_INFO.txt" ||
	fail "QUANTIZED_INFO.txt does not name what was converted"
grep -q "files converted, .* copied as they are, 1 special file left out$" "$work/out" ||
	fail "the summary reads: $(cat "$work/out")"
grep -q "^as it is: .*hift.pt (it is kept by the pattern '\*hift\*')" "$work/out" ||
	fail "the summary does not say what was not converted, and why"

# --- The same as the script that it replaces ------------------------------------

printf '[tensors]\nkeep =\n' >"$work/as-the-script.ini"
for model in CosyVoice-300M-SFT CosyVoice2-0.5B Fun-CosyVoice3-0.5B; do
	convert 0 --quiet --config "$work/as-the-script.ini" "$original/$model" \
		"$work/$model"
	[ ! -s "$work/out" ] || fail "--quiet is not quiet"
	torch simple_quantize compare "$original/$model" "$work/$model" ||
		fail "convert and simple_quantize.py differ"
done

# --- One pass over the source ---------------------------------------------------

mkdir "$work/large"
torch sparse_checkpoint "$work/large/llm.pt" 30000000
size=$(stat -c %s "$work/large/llm.pt")
if is_root; then # the kernel tells nobody else what an ended process has read
	"$PYTHON" "$tests/torch/bytes_read.py" "$CVQ" convert "$work/large" "$work/once" \
		>"$work/read" || fail "a large file does not convert"
	[ "$(cat "$work/read")" -lt $((size + size / 20)) ] ||
		fail "$(cat "$work/read") bytes were read of $size"
else
	convert 0 "$work/large" "$work/once"
fi
unzip -tq "$work/once/llm.pt" || fail "a checksum is wrong"

# On a terminal there is a bar with the rate and the time that is left, in one line.
# shellcheck disable=SC2016 # the shell in the terminal expands it
in_terminal='stty cols "$0" && exec "$@"'
for columns in 80 40; do
	"$PYTHON" -c 'import pty, sys; pty.spawn(["sh", "-c", *sys.argv[1:]])' "$in_terminal" \
		"$columns" "$CVQ" convert --force "$work/large" "$work/once" >"$work/bar" </dev/null
	tr '\r' '\n' <"$work/bar" | sed 's/\x1b\[K//g' | grep '^\[' >"$work/lines" ||
		fail "there is no bar on $columns columns: $(cat "$work/bar")"
	! grep -E ".{$columns}" "$work/lines" || fail "the bar wraps on $columns columns"
	[ "$columns" = 40 ] || grep -q '^\[.*\] .*% .*/s .* left' "$work/lines" ||
		fail "the bar reads: $(cat "$work/bar")"
done

# --- What goes wrong ------------------------------------------------------------

convert 5 "$original" "$output"
grep -q -e --force "$work/err" || fail "it does not say how to write over: $(cat "$work/err")"
printf 'old' >"$output/CosyVoice2-0.5B/llm.pt"
convert 0 --force "$original" "$output"
[ "$(stat -c %s "$output/CosyVoice2-0.5B/llm.pt")" -gt 3 ] || fail "--force writes nothing"

convert 2 "$original" "$original/inside"
convert 2 "$original/CosyVoice2-0.5B" "$original"
convert 2 --force "$original/CosyVoice2-0.5B" "$original/CosyVoice2-0.5B/../../original"
convert 5 "$original" "$work/none/such"
convert 3 "$work/none" "$work/new"
convert 3 "$original/fifo" "$work/new"
mkdir "$work/empty" "$work/integers"
convert 3 "$work/empty" "$work/new"
grep -q 'no checkpoint is in it' "$work/err" || fail "it reads: $(cat "$work/err")"
"$PYTHON" -c 'import torch, sys; torch.save(torch.arange(3), sys.argv[1])' \
	"$work/integers/steps.pt"
convert 3 "$work/integers" "$work/new"
grep -q 'steps.pt.*no FP32' "$work/err" || fail "it reads: $(cat "$work/err")"
[ ! -e "$work/new" ] || fail "something was written though there is nothing to convert"

# What cannot be converted is named, for it is not what its reader hopes for.
cp "$work/large/llm.pt" "$work/integers"
echo text >"$work/integers/flow.pt"
convert 0 --quiet "$work/integers" "$work/mixed"
[[ $(cat "$work/err") == "cvq: $work/integers: 'flow.pt' cannot be converted and is copied as it \
is: it is no checkpoint: "* ]] || fail "it reads: $(cat "$work/err")"
expect 1 "$(wc -l <"$work/err")" "files named"
cmp "$work/integers/flow.pt" "$work/mixed/flow.pt" || fail "flow.pt is not copied as it is"

# A full disk, as far as a test can have one.
status=0
(
	ulimit -f 1000
	"$CVQ" convert --quiet "$work/large" "$work/full"
) 2>"$work/err" || status=$?
expect 5 "$status" "exit code without room"
no_half_files "a full disk"
[ ! -e "$work/full/llm.pt" ] || fail "a full disk leaves half of a file"

# Without room to inflate, it is not the destination's disk that is full.
mkdir "$work/loose" "$work/packed" "$work/spill"
fixed "$work/fixed.pt"
(cd "$work/loose" && unzip -q "$work/fixed.pt" && zip -qr9 "$work/packed/llm.pt" .)
no_room_to_inflate()
{
	grep -qF "cvq: $work/packed: 'llm.pt' cannot be read: there is no space to inflate it \
(set TMPDIR to a folder with more)" "$work/err" || fail "it reads: $(cat "$work/err")"
	no_half_files "no room to inflate"
	[ ! -e "$work/unpacked" ] || fail "a directory is left in which nothing was written"
}
status=0
(
	ulimit -f 64
	"$CVQ" convert --quiet "$work/packed" "$work/unpacked"
) 2>"$work/err" || status=$?
expect 3 "$status" "exit code without room to inflate"
no_room_to_inflate
if is_root; then
	mount -t tmpfs -o size=64k tmpfs "$work/spill"
	TMPDIR=$work/spill convert 3 "$work/packed" "$work/unpacked"
	no_room_to_inflate
	umount "$work/spill"
fi
convert 0 "$work/packed" "$work/unpacked"

mkdir "$work/two"
fixed "$work/two/llm.pt"
echo "any text" >"$work/two/a.txt"

# What has the temporary name already stays as it is, wherever it is from.
echo "somebody else's" >"$work/elses"
mkdir "$work/shared"
status=0
(
	ln "$work/elses" "$work/shared/.cvq-$BASHPID.part"
	echo $BASHPID >"$work/pid"
	exec "$CVQ" convert --quiet --force "$work/two" "$work/shared"
) 2>"$work/err" || status=$?
expect 0 "$status" "exit code with a temporary name in the way ($(cat "$work/err"))"
expect "somebody else's" "$(cat "$work/elses")" "a file that the temporary name leads to"
same "$work/elses" "$work/shared/.cvq-$(cat "$work/pid").part"
rm "$work/shared/.cvq-$(cat "$work/pid").part"
no_half_files "a temporary name in the way"

# What cannot be read is found out before anything is written.
if ! is_root; then
	cp -r "$original/CosyVoice2-0.5B" "$work/secret"
	chmod 000 "$work/secret/llm.pt"
	convert 3 "$work/secret" "$work/new"
	grep -q "'llm.pt' cannot be read: Permission denied" "$work/err" ||
		fail "it reads: $(cat "$work/err")"
	[ ! -e "$work/new" ] || fail "something was written though a file cannot be read"
fi

# An alias that shows nothing.
printf '[alias]\nx.pt = none.pt\n' >"$work/alias.ini"
convert 0 --quiet --config "$work/alias.ini" "$work/large" "$work/aliased"
grep -q '\[alias\] x.pt: ' "$work/err" || fail "an alias of nothing is not told of"

# A directory that was converted once says so itself.
mkdir "$work/told"
cp "$work/large/llm.pt" "$work/told"
echo "of its own" >"$work/told/QUANTIZED_INFO.txt"
convert 0 "$work/told" "$work/told-again"
same "$work/told/QUANTIZED_INFO.txt" "$work/told-again/QUANTIZED_INFO.txt"

# Names that a terminal would take for orders.
mkdir "$work/names"
cp "$work/large/llm.pt" "$work/names/"$'\e[31m.pt'
convert 0 "$work/names" "$work/named"
for file in "$work/out" "$work/named/QUANTIZED_INFO.txt"; do
	grep -qF '?[31m.pt' "$file" || fail "$file does not have the name"
	! grep -q $'\e' "$file" || fail "a name is printed as it is"
done

# By another path the source is the source all the same, and so is a folder of it.
if is_root; then
	mkdir -p "$work/source/folder" "$work/elsewhere/folder" "$work/again"
	fixed "$work/source/llm.pt" "$work/source/folder/flow.pt"
	find "$work/source" -type f -exec sha256sum {} + >"$work/before"
	mount --bind "$work/source" "$work/again"
	for place in "$work/again" "$work/again/new" "$work/again/folder"; do
		convert 2 --force "$work/source" "$place"
	done
	convert 2 --force "$work/again/folder" "$work/source"
	umount "$work/again"
	mount --bind "$work/source/folder" "$work/elsewhere/folder"
	convert 2 --force "$work/source" "$work/elsewhere"
	grep -q "elsewhere: 'folder' in it is a folder of SOURCE" "$work/err" ||
		fail "it reads: $(cat "$work/err")"
	umount "$work/elsewhere/folder"
	sha256sum --quiet -c "$work/before" || fail "the source was touched"
	expect 2 "$(find "$work/source" "$work/elsewhere" -type f | wc -l)" "files beside it"
	convert 0 --force "$work/source" "$work/elsewhere"
else
	mkdir "$work/closed"
	chmod 500 "$work/closed"
	convert 5 "$work/large" "$work/closed/new"
	grep -q 'new: it cannot be made: Permission denied (choose a place' "$work/err" ||
		fail "it reads: $(cat "$work/err")"
fi

touch "$work/plain-file"
convert 5 --force "$work/large" "$work/plain-file"
grep -q 'is no directory' "$work/err" || fail "it reads: $(cat "$work/err")"
convert 5 "$work/large" ""

# Written over itself, it needs room for one file at a time.
if is_root; then
	mkdir "$work/small" "$work/three"
	for number in 1 2 3; do
		cp "$work/large/llm.pt" "$work/three/$number.pt"
	done
	needed=$(stat -c %s "$work/once/llm.pt")
	mount -t tmpfs -o size=$((needed * 4 + 1000000)) tmpfs "$work/small"
	convert 0 "$work/three" "$work/small/three"
	convert 0 --force "$work/three" "$work/small/three"
	head -c $((needed * 3 / 2)) /dev/zero >"$work/small/other" || true
	convert 5 --force "$work/three" "$work/small/three"
	grep -q ' are needed and .* are free ' "$work/err" || fail "it reads: $(cat "$work/err")"
	umount "$work/small"
fi

# stopped_by SIGNAL ARGUMENT...: sent while the first file is converted.
stopped_by()
{
	local signal=$1 status=0

	shift
	env --default-signal="$signal" "$CVQ" convert --quiet "$@" 2>"$work/err" &
	wait_for 20 test -e "$work/stopped/.cvq-$!.part" || fail "it does not begin"
	kill -"$signal" $!
	wait $! || status=$?
	expect $((128 + $(kill -l "$signal"))) "$status" "exit code after SIG$signal"
	no_half_files "SIG$signal"
	[ ! -e "$work/stopped/llm.pt" ] || fail "SIG$signal leaves half of a file"
}

# Ctrl-C and the like, while it converts: what it has made is gone, but nothing else.
torch sparse_checkpoint "$work/large/llm.pt" 1000000000
for signal in INT TERM HUP QUIT; do
	stopped_by $signal "$work/large" "$work/stopped"
	expect "cvq: $work/stopped: stopped, nothing was written (convert again)" \
		"$(cat "$work/err")" "what it says after SIG$signal"
	[ ! -e "$work/stopped" ] || fail "SIG$signal leaves a directory in the way"
done
mkdir "$work/stopped"
stopped_by INT --force "$work/large" "$work/stopped"
grep -q 'stopped; the files that are there are whole (go on with --force)$' "$work/err" ||
	fail "it reads: $(cat "$work/err")"
[ -d "$work/stopped" ] || fail "a directory is gone that was there before"
