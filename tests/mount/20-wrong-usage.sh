#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Wrong usage: one line that says what is wrong and what to do, the documented exit
# code, and nothing mounted.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixed "$original/fixed.pt"
touch "$work/file"

# check_refusal CODE WORD STATUS: what is in $work/refused.* after cvq-mount.
check_refusal()
{
	local line

	expect "$1" "$3" "exit code for $2 ($(cat "$work/refused.err"))"
	expect "" "$(cat "$work/refused.out")" "stdout for $2"
	expect 1 "$(wc -l <"$work/refused.err")" "lines on stderr for $2 ($(cat "$work/refused.err"))"
	line=$(cat "$work/refused.err")
	[[ $line =~ ^cvq-mount:\ .+\ \(.+\)$ ]] ||
		fail "the message does not say what is wrong (and what to do): $line"
	[[ $line == *"$2"* ]] || fail "the message does not name $2: $line"
	[ -z "$(list_mounts)" ] || fail "$2 was refused but something is mounted"
	wait_for 5 no_daemons || fail "$2 was refused but something is running"
	echo "$line"
}

# refuses CODE WORD ARGUMENT...: and names WORD in the message.
refuses()
{
	local code=$1 word=$2 status=0

	shift 2
	timeout 60 "$CVQ_MOUNT" "$@" >"$work/refused.out" 2>"$work/refused.err" </dev/null ||
		status=$?
	check_refusal "$code" "$word" "$status"
}

# The source.
refuses 3 "$work/none" "$work/none" "$view"
refuses 3 "$work/file" "$work/file" "$view"
if ! is_root; then
	mkdir -m 000 "$work/locked"
	refuses 3 "$work/locked" "$work/locked" "$view"
	rmdir "$work/locked"
fi

# The mountpoint.
refuses 4 "$work/none" "$original" "$work/none"
refuses 4 "$work/file" "$original" "$work/file"
mkdir "$work/full"
touch "$work/full/file"
refuses 4 "$work/full" "$original" "$work/full"
rm -r "$work/full"
if ! is_root; then
	refuses 4 /proc "$original" /proc
	mkdir -m 555 "$work/readonly"
	refuses 4 "$work/readonly" "$original" "$work/readonly"
	rmdir "$work/readonly"
fi

# Words.
refuses 2 SOURCE
refuses 2 MOUNTPOINT "$original"
refuses 2 surplus "$original" "$view" surplus
refuses 2 --frobnicate --frobnicate "$original" "$view"
refuses 2 frobnicate -o frobnicate "$original" "$view"
refuses 2 frobnicate -o ro,frobnicate=1,noauto "$original" "$view"
refuses 2 -x -x "$original" "$view"
for option in dtype overflow checksum align symlinks timeout; do
	refuses 2 "$option" "--$option=nonsense" "$original" "$view"
	refuses 2 "$option" -o "$option=nonsense" "$original" "$view"
done
for value in 0 8 15 48 131072 -64 64k; do
	refuses 2 align "--align=$value" "$original" "$view"
done
refuses 2 timeout --timeout=-1 "$original" "$view"
refuses 2 quantize --quantize-hift=yes "$original" "$view"
refuses 2 keep --keep "" "$original" "$view"

# A place that has a view already keeps that view.
mount_view
before=$(list_mounts)
status=0
timeout 60 "$CVQ_MOUNT" "$original" "$view" >"$work/refused.out" 2>"$work/refused.err" ||
	status=$?
expect 4 "$status" "exit code for a busy mountpoint"
expect 1 "$(wc -l <"$work/refused.err")" "lines for a busy mountpoint"
expect "" "$(cat "$work/refused.out")" "stdout for a busy mountpoint"
expect "$before" "$(list_mounts)" "mounts after a busy mountpoint was refused"
expect_state converted "$view/fixed.pt"
expect 1 "$(list_daemons | wc -l)" "daemons after a busy mountpoint was refused"
unmount_view

# Asking is not wrong.
for option in -h --help; do
	"$CVQ_MOUNT" $option >"$work/help" 2>"$work/help.err" || fail "$option fails"
	[ ! -s "$work/help.err" ] || fail "$option writes to stderr"
	for word in SOURCE MOUNTPOINT --quantize-hift --dtype --overflow --checksum --align --keep \
		--convert --keep-tensor --config --version; do
		grep -qE -e "$word( |$)" "$work/help" || fail "$option says nothing of $word"
	done
done
for option in -V --version; do
	[[ $("$CVQ_MOUNT" $option) =~ [0-9]+\.[0-9]+\.[0-9]+ ]] || fail "$option names no version"
done

# --- Not refused, but named -----------------------------------------------------

# says WORDS [OPTION...]: on stderr, in one line, while the view of $work/bare is mounted.
says()
{
	local words=$1

	shift
	mount_at "$work/bare" "$view" "$@"
	[[ $summary == *": 0 files converted "* ]] || fail "the summary: $summary"
	expect 1 "$(wc -l <"$work/mount.err")" "lines on stderr ($(cat "$work/mount.err"))"
	grep -qF -- "$words" "$work/mount.err" || fail "no '$words': $(cat "$work/mount.err")"
	unmount_view
}

mkdir "$work/bare"
says "no checkpoint is in it (give the directory that holds *.pt files)"
says "no checkpoint is in it (give the directory that holds *.ckpt files)" --convert '*.ckpt'
cp "$original/fixed.pt" "$work/bare/hift.pt"
says "no checkpoint converts ('hift.pt': it is kept by the pattern '*hift*')"
echo text >"$work/bare/flow.pt" # tells more, in whatever order they are listed
says "no checkpoint converts ('flow.pt': it is no checkpoint"
rm "$work/bare/flow.pt"

# Beside one that converts, only what cannot be converted is worth a word.
named()
{
	mount_at "$work/mixed" "$view"
	expect_summary 1 "$1"
	expect "$2" "$(cat "$work/mount.err")" "stderr after mounting"
	unmount_view
}
mkdir "$work/mixed"
cp "$original/fixed.pt" "$work/mixed/llm.pt"
cp "$original/fixed.pt" "$work/mixed/hift.pt"
head -c -30 "$original/fixed.pt" >"$work/mixed/flow.pt"
cut="'flow.pt': its zip archive is cut off (copy it again)"
named 2 "cvq-mount: $work/mixed: a checkpoint cannot be converted, $cut"
mv "$work/mixed/flow.pt" "$work/mixed/spk2info.pt"
named 2 ""
cp "$work/mixed/spk2info.pt" "$work/mixed/flow.pt"
cp "$work/mixed/flow.pt" "$work/mixed/flow.pt.pt"
mount_at "$work/mixed" "$view"
grep -qE "^cvq-mount: $work/mixed: 2 checkpoints cannot be converted, one is 'flow.*: its zip archive \
is cut off \(copy it again\) \(cvq inspect $work/mixed says it of all\)$" "$work/mount.err" ||
	fail "it reads: $(cat "$work/mount.err")"
unmount_view

ln -s "$original/fixed.pt" "$work/bare/llm.pt"
says "('llm.pt': it is a link, and shown as one (-o symlinks=follow" --symlinks keep
