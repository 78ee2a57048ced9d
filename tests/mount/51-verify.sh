#!/bin/bash
# SPDX-License-Identifier: MIT
#
# cvq verify proves a mount, a converted directory and what a mount would show, finds
# every fault that is put into a copy, and measures what the conversion costs.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_torch
"$PYTHON" -c 'import jsonschema' 2>/dev/null || skip "no jsonschema for $PYTHON"

# verify EXPECTED [ARGUMENT...]: of the exit code; its words are in $work/out and err.
verify()
{
	local expected=$1 status=0

	shift
	timeout 300 "$CVQ" verify "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
	expect "$expected" "$status" "exit code of verify $* ($(cat "$work/out" "$work/err"))"
}

# has PATTERN, says PATTERN: a line of what was printed; of what was said to be wrong.
has()
{
	grep -qE -e "$1" "$work/out" || fail "there is no '$1' in: $(cat "$work/out")"
}

says()
{
	grep -qE -e "$1" "$work/err" || fail "there is no '$1' in: $(cat "$work/err")"
}

silently()
{
	[ ! -s "$work/err" ] || fail "it complains of nothing: $(cat "$work/err")"
}

# verify_json EXPECTED [ARGUMENT...]
verify_json()
{
	verify "$1" --json "${@:2}"
	torch valid_json verify "$work/out" || fail "not as the schema has it: $(cat "$work/out")"
}

# --- What is as it must be ------------------------------------------------------

torch models "$original"
mkdir "$original/训练"
fixed "$original/训练/深 度.pt"
verify 0 --quiet "$original"
has '^训练/深 度\.pt +.* equal$'
passed=$(($(find "$original" -type f | wc -l) - 11))
has ": 11 files converted with [0-9]+ tensors, $passed passed through, all as they must be$"
for options in "" "--dtype bf16" "--overflow clamp --checksum exact" "--quantize-hift --align 4096"; do
	# shellcheck disable=SC2086 # several words
	mount_view $options
	# shellcheck disable=SC2086
	verify 0 $options "$original" "$view"
	[[ $options == *hift* ]] && hift=equal || hift=passed
	has "^CosyVoice2-0\.5B/hift\.pt .* $hift$"
	has '^llm\.model\.model\.embed_tokens\.weight .* equal$'
	silently
	unmount_view
	# shellcheck disable=SC2086
	verify 0 --quiet $options "$original"
	silently
done
"$CVQ" convert --quiet "$original" "$work/output"
verify_json 0 "$original" "$work/output"
verify 0 "$original/CosyVoice2-0.5B/llm.pt" "$work/output/CosyVoice2-0.5B/llm.pt"
verify 0 "$original/CosyVoice2-0.5B/llm.pt" "$work/output/CosyVoice2-0.5B"
has 'llm\.pt: 1 file converted with 295 tensors, 0 passed through, all as they must be'

# VIEW may lie in SOURCE.
"$CVQ" convert --quiet "$original/CosyVoice2-0.5B" "$work/half"
mv "$work/half" "$original/CosyVoice2-0.5B/half"
verify 0 "$original/CosyVoice2-0.5B" "$original/CosyVoice2-0.5B/half"
! grep -q half/ "$work/out" || fail "the view is verified against itself"
rm -r "$original/CosyVoice2-0.5B/half"

# --- What it costs --------------------------------------------------------------

for options in "" "--overflow clamp" "--dtype bf16" "--dtype bf16 --overflow clamp"; do
	# shellcheck disable=SC2086 # several words
	verify_json 0 $options "$original/训练/深 度.pt"
	torch accuracy "$original/训练/深 度.pt" "$work/out" || fail "$options: it measures wrong"
done
verify 0 "$original/训练/深 度.pt"
has '^special\.weight +1\.60e\+01 +1\.00e\+00 +[0-9.e+]+ +[0-9.]+ +7 +5 +6 +6 +equal$'
has '^rope\.inv_freq +kept$'

# --- What is not ----------------------------------------------------------------

# A copy of the view of the fixed checkpoint, which is damaged in one way after the other.
mkdir "$work/source" "$work/copy"
fixed "$work/source/llm.pt"
cp "$work/source/llm.pt" "$work/source/hift.pt"
echo text >"$work/source/config.yaml"
ln -s llm.pt "$work/source/link.pt"
mkdir "$work/source/folder"
mount_at "$work/source" "$view"
cp -a "$view/." "$work/copy"
unmount_view

# flipped KEY BIT...: of the copy's storage; altered STATEMENT: of what the copy holds.
flipped()
{
	cp "$work/copy/llm.pt" "$work/good.pt"
	torch flip_bits "$work/copy/llm.pt" "$@"
}

altered()
{
	cp "$work/copy/llm.pt" "$work/good.pt"
	torch alter "$work/copy/llm.pt" "$1"
}

mended()
{
	cp "$work/good.pt" "$work/copy/llm.pt"
	verify 0 --quiet "$work/source" "$work/copy"
}

# Two elements of layer.weight, on whose storage tied.weight lies as well, transposed.
flipped 1 $((16 * (3 * 280 + 17) + 9)) $((16 * (3 * 280 + 5)))
verify 1 "$work/source" "$work/copy"
has '^layer\.weight .* FAULT$'
has '^tied\.weight .* FAULT$'
has '^special\.weight .* equal$'
says "llm\.pt: 'layer\.weight' is [-0-9.e]+ \(0x[0-9a-f]{4}\) at \[3, 5\], not [-0-9.e]+ \(0x[0-9a-f]{4}\); 2 elements differ$"
says "llm\.pt: 'tied\.weight' is .* at \[5, 3\], not .*; 2 elements differ$"
has ': 1 file converted with 12 tensors, 2 passed through, 2 faults in 1 file$'
verify_json 1 "$work/source/llm.pt" "$work/copy/llm.pt"
"$PYTHON" - "$work/out" "$work/copy/llm.pt" "$work/good.pt" <<-'EOF' || fail "the JSON tells something else"
	import json, sys, torch
	found, good = (torch.load(path)["layer.weight"][3, 5] for path in sys.argv[2:])
	tensors = json.load(open(sys.argv[1]))["files"][0]["tensors"]
	(fault,) = [tensor["fault"] for tensor in tensors if tensor["name"] == "layer.weight"]
	assert fault["kind"] == "values" and fault["index"] == [3, 5] and fault["differing"] == 2
	for text, number in ((fault["found"], found), (fault["expected"], good)):
	    value, bits = text.split()
	    assert torch.tensor(float(value)).half() == number, (text, number)
	    assert int(bits[1:-1], 16) == number.view(torch.int16).item() & 0xffff, (text, number)
EOF
mended

# Of what is kept, one bit: an int64, and a kept float.
flipped 3 3
verify 1 "$work/source" "$work/copy"
says "'counter' is 123456797 \(0x000000000?75bcd1d\) at \[\], not 123456789 .*; 1 element differs$"
mended
flipped 4 31
verify 1 "$work/source" "$work/copy"
says "'rope\.inv_freq' is [-0-9.e]+ \(0x[0-9a-f]{8}\) at \[0\], not "
mended

# Another NaN than ours is a NaN all the same, but not one of the other sign.
flipped 0 $((16 * 6))
verify_json 0 "$work/source/llm.pt" "$work/copy/llm.pt"
grep -q '"other_nan": 1,' "$work/out" || fail "it does not count NaNs of other bits"
mended
flipped 0 $((16 * 6 + 15))
verify 1 "$work/source" "$work/copy"
says "'special\.weight' is -nan \(0xfe00\) at \[6\], not nan \(0x7e00\); 1 element differs$"
mended

altered 'del state["layer.bias"]'
verify 1 "$work/source" "$work/copy"
says "llm\.pt: 'layer\.bias' is missing$"
mended
altered 'state["surplus"] = torch.zeros(2)'
verify_json 1 "$work/source" "$work/copy"
says "llm\.pt: 'surplus' is not in the source$"
mended
altered 'state["layer.bias"] = state["layer.bias"].reshape(-1)'
verify 1 "$work/source" "$work/copy"
says "llm\.pt: 'layer\.bias' has the shape \[20\], not \[4, 5\]$"
mended

# What another program has converted, as it knows nothing of our defaults, must be exact.
cp "$work/copy/llm.pt" "$work/view.pt"
torch alter "$work/copy/llm.pt" 'state["rope.inv_freq"] = state["rope.inv_freq"].half()'
verify_json 0 "$work/source" "$work/copy"
says "llm\.pt: 'rope\.inv_freq' is converted, exactly, though the pattern '\*inv_freq' keeps it "
grep -q '"waived": "\*inv_freq"' "$work/out" || fail "the JSON does not tell of it"
mount_at "$work/copy" "$view"
verify 1 "$work/source" "$view"
says "'rope\.inv_freq' is float16, not float32 \(the pattern '\*inv_freq' keeps it\)$"
unmount_view
torch alter "$work/copy/llm.pt" 'state["rope.inv_freq"][3] += 1'
verify 1 "$work/source" "$work/copy"
says "'rope\.inv_freq' is [-0-9.e]+ \(0x[0-9a-f]{4}\) at \[3\], not .*; 1 element differs$"
torch alter "$work/copy/llm.pt" 'state["rope.inv_freq"] = state["rope.inv_freq"].float()'
verify 1 "$work/source" "$work/copy"
says "'rope\.inv_freq' is [-0-9.e]+ \(0x[0-9a-f]{8}\) at "
mv "$work/view.pt" "$work/good.pt"
mended

# More elements than memory: of one tensor they can be compared, of all together never.
# ThreadSanitizer would take minutes for so many.
if ! built_with libtsan; then
	"$PYTHON" -c 'import sys, torch
base = torch.zeros(70000)
torch.save({str(i): torch.as_strided(base, (1 << 15, 1 << 15), (1, 1)) for i in range(1000)}, sys.argv[1])' \
		"$work/shared.pt"
	verify 1 --quiet "$work/shared.pt"
	says "'1' has too many elements that share their memory to be compared$"
	says '989 more of its tensors are not equal '
fi

# Other rules than the copy was made by, and nothing converted at all.
verify 1 --dtype bf16 "$work/source" "$work/copy"
says "llm\.pt: 'layer\.weight' is float16, not bfloat16$"
verify 1 --keep-tensor 'layer.*' "$work/source" "$work/copy"
says "llm\.pt: 'layer\.bias' is float16, not float32 \(the pattern 'layer\.\*' keeps it\)$"
says "llm\.pt: 'tied\.weight' is float16, not float32 \(shares a storage with 'layer\.weight', which is kept\)$"
verify_json 1 "$work/source" "$work/source"
says "llm\.pt: 'layer\.weight' is float32, not float16$"
verify 1 --overflow clamp "$work/source" "$work/copy"
says "'special\.weight' is inf \(0x7c00\) at \[4\], not 65504 \(0x7bff\)"

# No whole file.
cp "$work/copy/llm.pt" "$work/good.pt"
truncate -s -100 "$work/copy/llm.pt"
verify 1 "$work/source" "$work/copy"
says 'copy/llm\.pt: it cannot be understood: its? .*zip archive'
mended
mv "$work/copy/llm.pt" "$work/good.pt"
verify_json 1 "$work/source" "$work/copy"
says 'copy/llm\.pt: it is missing$'
mkdir "$work/copy/llm.pt"
verify 1 "$work/source" "$work/copy"
says 'copy/llm\.pt: it is no file$'
rmdir "$work/copy/llm.pt"
mended

# What is passed through.
printf '\0' | dd of="$work/copy/hift.pt" bs=1 seek=1234 conv=notrunc status=none
verify 1 "$work/source" "$work/copy"
says "copy/hift\.pt: it differs from the source at byte 1234 \(it is to be passed through: it is kept by the pattern '\*hift\*'\)$"
cp "$work/source/hift.pt" "$work/copy"
echo more >>"$work/copy/config.yaml"
verify 1 "$work/source" "$work/copy"
says 'copy/config\.yaml: it has 10 bytes, not 5 '
rm "$work/copy/config.yaml"
verify 1 "$work/source" "$work/copy"
says 'copy/config\.yaml: it is missing$'
cp "$work/source/config.yaml" "$work/copy"
ln -sfn hift.pt "$work/copy/link.pt"
verify 1 "$work/source" "$work/copy"
says "copy/link\.pt: it leads to 'hift\.pt', not to 'llm\.pt'$"
rm "$work/copy/link.pt"
cp "$work/copy/llm.pt" "$work/copy/link.pt" # as programs do that follow links
verify 0 "$work/source" "$work/copy"
rmdir "$work/copy/folder"
verify 1 "$work/source" "$work/copy"
says 'copy/folder: it is missing$'
mkdir "$work/copy/folder"
verify 0 "$work/source" "$work/copy"
echo text | tee "$work/source/spoiled.pt" >"$work/copy/spoiled.pt"
verify 0 --quiet "$work/source" "$work/copy"
says 'copy/spoiled\.pt: it cannot be converted and is passed through: it is no checkpoint: '
rm "$work/source/spoiled.pt" "$work/copy/spoiled.pt"

# More faults than one wants to read.
verify 1 --quiet "$original/CosyVoice2-0.5B" "$original/CosyVoice2-0.5B"
expect 10 "$(grep -c 'flow\.pt: .* is float32' "$work/err")" "faults that are named"
says 'flow\.pt: 1111 more of its tensors are not equal \(--json names them\)$'

# --- The rules of a mount -------------------------------------------------------

mount_view --dtype bf16 --keep 'flow*'
verify 2 "$original" "$view"
says 'view: it is mounted with dtype bf16, not fp16 \(add --dtype bf16\)$'
verify 2 --dtype bf16 "$original" "$view"
says "view: it is mounted with --keep 'flow\*' \(add that\)$"
verify 2 --dtype bf16 --keep 'flow*' --keep-tensor '*bias' "$original" "$view"
says "view: it is mounted without --keep-tensor '\*bias' \(give the options "
verify 0 --quiet --dtype bf16 --keep 'flow*' "$original" "$view"
verify 2 "$original/CosyVoice2-0.5B" "$view/CosyVoice2-0.5B"
verify 2 "$original/CosyVoice2-0.5B/llm.pt" "$view/CosyVoice2-0.5B/llm.pt"
unmount_view

# --- What cannot be read --------------------------------------------------------

# pack FILE ARCHIVE: as an ordinary zip program packs it.
pack()
{
	rm -rf "$work/packed"
	mkdir "$work/packed"
	(cd "$work/packed" && unzip -q "$1" && zip -qr9 "$2" .)
}

# Compressed on both sides, and no room to inflate on one of them.
pack "$work/source/llm.pt" "$work/source/packed.pt"
pack "$work/copy/llm.pt" "$work/copy/packed.pt"
verify 0 --quiet "$work/source" "$work/copy"
(
	ulimit -f 64
	mount_at "$work/source" "$view"
)
verify 1 "$work/source" "$view"
says "view/packed\.pt: .*cannot be read: Input/output error$"
has '^llm\.pt .* equal$'
unmount_view
status=0
(
	ulimit -f 64
	exec "$CVQ" verify --quiet "$work/source/packed.pt" "$work/copy/llm.pt"
) >"$work/out" 2>"$work/err" || status=$?
expect 3 "$status" "exit code without room to inflate the source"
says 'packed\.pt: it cannot be read: there is no space in TMPDIR to inflate it '

# Damaged where it is compressed: of a tensor, and the others are compared all the same.
damage_entry "$work/copy/packed.pt"
verify_json 1 "$work/source/packed.pt" "$work/copy/packed.pt"
says "packed\.pt: 'layer\.weight' cannot be read: its compressed data is damaged$"
! grep -q special "$work/err" || fail "the other tensors suffer: $(cat "$work/err")"

# --- What cannot be done --------------------------------------------------------

verify 3 "$work/none"
verify 3 "$work/source" "$work/none"
says 'none: there is nothing of that name \(check its path\)$'
verify 2 "$work/source" "$work/copy/llm.pt"
if ! is_root; then
	cp -r "$work/copy" "$work/closed"
	chmod 000 "$work/closed/llm.pt"
	verify 3 "$work/source/llm.pt" "$work/closed/llm.pt"
	chmod 000 "$work/closed"
	verify 3 "$work/source" "$work/closed"
	says 'closed: you may not read it \(ask its owner, or run as root\)$'
	chmod 111 "$work/closed"
	verify 1 "$work/source" "$work/closed"
	says 'closed/llm\.pt: it cannot be opened: Permission denied$'
fi
verify 3 /dev/null
verify 2
mkdir "$work/empty"
verify 3 "$work/empty"
says 'no checkpoint is in it, nothing is verified'
verify 3 --keep '*.pt' "$work/source" "$work/copy"
says "no checkpoint in it converts, nothing is verified \('hift\.pt': it is kept by the pattern "
echo text >"$work/source/spoiled.pt" # tells more
verify 3 --keep '[lp]*.pt' "$work/source"
says "nothing is verified \('spoiled\.pt': it is no checkpoint: "
rm "$work/source/spoiled.pt"
verify 3 "$work/source/hift.pt"
says "hift\.pt: it does not convert, nothing is verified: it is kept by the pattern '\*hift\*'$"
verify 0 "$work/source/hift.pt" "$work/copy/hift.pt"
verify 1 "$work/source/hift.pt" "$work/copy/llm.pt"
cp "$work/source/llm.pt" "$work/source.ckpt"
verify 0 "$work/source.ckpt" "$work/copy/llm.pt"
"$CVQ" verify --help | matches '^  cvq verify pretrained_models' || fail "the help has no example"
