#!/bin/bash
# SPDX-License-Identifier: MIT
#
# cvq inspect says of each tensor and file what becomes of it, and why.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_torch
"$PYTHON" -c 'import jsonschema' 2>/dev/null || skip "no jsonschema for $PYTHON"
need script

# inspect EXPECTED [ARGUMENT...]: of the exit code; its words are in $work/out and err.
inspect()
{
	local expected=$1 status=0

	shift
	timeout 120 "$CVQ" inspect "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
	expect "$expected" "$status" "exit code of inspect $* ($(cat "$work/err"))"
}

# has PATTERN: a line of what was printed.
has()
{
	grep -qE -e "$1" "$work/out" || fail "there is no '$1' in: $(cat "$work/out")"
}

# field NAME.INDEX...: of what was printed as JSON.
field()
{
	"$PYTHON" -c 'import functools, json, sys
value = json.load(open(sys.argv[1]))
for part in sys.argv[2].split("."):
    value = value[int(part) if part.isdigit() else part]
print(value)' "$work/out" "$1"
}

is_valid()
{
	torch valid_json inspect "$work/out" || fail "not as the schema has it: $(cat "$work/out")"
}

# --- The tensors of a file ------------------------------------------------------

fixed "$original/llm.pt"
inspect 0 "$original/llm.pt"
has '^TENSOR +SHAPE +DTYPE +SIZE +IN VIEW +DECISION$'
has '^special\.weight +\[42\] +float32 +168 B +84 B +convert$'
has '^counter +\[\] +int64 +8 B +8 B +keep: not FP32$'
has "^rope\.inv_freq +\[16\] +float32 +64 B +64 B +keep: the pattern '\*inv_freq' keeps it$"
has '^double +\[3\] +float64 +24 B +24 B +keep: not FP32$'
has 'llm\.pt: 6 of 10 storages convert to fp16 '
inspect 0 --keep-tensor 'tied.*' --dtype bf16 "$original/llm.pt"
has "^tied\.weight .* keep: the pattern 'tied\.\*' keeps it$"
has "^layer\.weight .* keep: shares a storage with 'tied\.weight', which is kept$"
has '5 of 10 storages convert to bf16'

inspect 0 --json "$original/llm.pt"
is_valid
expect 280000 "$(field tensors.1.bytes)" "bytes of layer.weight"
expect 140000 "$(field tensors.1.view_bytes)" "its bytes in the view"
expect '[250, 280]' "$(field tensors.1.shape)" "its shape"
storage=$(field tensors.1.storage)
expect "$storage" "$(field tensors.4.storage)" "the storage of a tied tensor"
[ "$storage" != "$(field tensors.0.storage)" ] || fail "all tensors are on one storage"
mount_view
expect "$(stat -c %s "$view/llm.pt")" "$(field view_size)" "the size in the view"
unmount_view

# A storage that is more than its tensors.
"$PYTHON" -c 'import sys, torch
weight = torch.ones(3)
torch.save({"weight": weight, "raw": weight.storage(), "other": torch.ones(2)}, sys.argv[1])' \
	"$original/raw.pt" 2>/dev/null
inspect 0 "$original/raw.pt"
has '^weight .* keep: used by something other than plain tensors$'
has '^other .* convert$'

# A file is looked at whatever its name is, and told what its name does to it.
cp "$original/llm.pt" "$work/hift.pt"
cp "$original/llm.pt" "$work/llm.ckpt"
inspect 0 "$work/hift.pt"
has '^special\.weight .* convert$'
has "hift\.pt: in a directory it is passed through: it is kept by the pattern '\*hift\*'$"
inspect 0 "$work/llm.ckpt"
has 'llm\.ckpt: in a directory it is passed through: its name does not ask for conversion$'
inspect 0 --convert '*.ckpt' "$work/llm.ckpt"
! grep -q 'in a directory' "$work/out" || fail "its name does ask"
inspect 0 --json --quantize-hift "$work/hift.pt"
is_valid
expect None "$(field name_reason)" "what the name says against it"

# What is passed through shows what is known of it.
"$PYTHON" -c 'import sys, torch; torch.save({"steps": torch.arange(3)}, sys.argv[1])' \
	"$work/integers.pt"
inspect 0 "$work/integers.pt"
has '^steps +\[3\] +int64 +24 B +24 B +keep: not FP32$'
has 'integers\.pt: passed through: it holds no FP32 tensor to convert'
inspect 0 --json "$work/integers.pt"
is_valid
expect passthrough "$(field state)" "the state of integers"
head -c 5000 "$original/llm.pt" >"$work/cut.pt"
inspect 0 "$work/cut.pt"
has 'cut\.pt: passed through: its zip archive is cut off \(copy it again\)'
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 2023316821\n' >"$work/lfs.pt"
inspect 0 "$work/lfs.pt"
has 'lfs\.pt: passed through: it is what Git LFS has in its place \(fetch it with git lfs pull\)'
inspect 0 --json "$work/cut.pt"
is_valid
expect None "$(field format)" "the format of half a file"

# What says what the tensors are has to be what was written; torch may have been told to
# compute no checksums, and writes 0 then.
"$PYTHON" - "$original/llm.pt" "$work/altered.pt" "$work/unsummed.pt" <<'END'
import struct, sys, zipfile
source, altered, unsummed = sys.argv[1:]
data = bytearray(open(source, "rb").read())
with zipfile.ZipFile(source) as archive:
    entry = next(entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl"))
at = data.index(b"special", entry.header_offset)
data[at] ^= 32
open(altered, "wb").write(data)
data[at] ^= 32
crc = struct.pack("<I", entry.CRC)
assert data.count(crc) >= 2
open(unsummed, "wb").write(data.replace(crc, bytes(4)))
END
inspect 0 "$work/altered.pt"
has "altered\.pt: passed through: its entry '.*/data.pkl' is damaged \(its CRC-32 is wrong\)"
inspect 0 "$work/unsummed.pt"
has '^special\.weight .* convert$'

# The other formats.
torch tensor_forms "$work/forms"
for form in legacy.pt model.safetensors; do
	inspect 0 "$work/forms/single/$form"
	has '^permuted +\[6, 3, 7, 50, 40\] +float32 +984.4 KiB +492.2 KiB +convert$'
	has '^brain +\[20\] +bfloat16 +40 B +40 B +keep: not FP32$'
	inspect 0 --json "$work/forms/single/$form"
	is_valid
done
expect safetensors "$(field format)" "the format of safetensors"

# --- The files of a directory ---------------------------------------------------

rm "$original"/*
torch models "$original" --model CosyVoice-300M-SFT
model=$original/CosyVoice-300M-SFT
inspect 0 "$model"
has '^FILE +STATE +SIZE +IN VIEW +STORAGES +REASON$'
has '^llm\.pt +converted +2\.6 MiB +1\.4 MiB +401/401 *$'
has "^hift\.pt +passed +([0-9.]+ MiB) +\1 +- it is kept by the pattern '\*hift\*'$"
has '^training/epoch_4_whole\.pt +converted .* 1/3 *$'
files=$(find "$model" -type f | wc -l)
has "^3 files converted \(.* -> .*\), $((files - 3)) passed through$"
inspect 0 --json "$model"
is_valid
expect 3 "$(field files_converted)" "files that convert"
expect "$files" "$(field files | grep -o "'path'" | wc -l)" "files"
mount_at "$model" "$view"
expect "$(cat "$view"/{flow,llm}.pt "$view"/training/*.pt | wc -c)" "$(field view_bytes)" \
	"their bytes in the view"
unmount_view

# --- How it is drawn ------------------------------------------------------------

"$PYTHON" -c 'import sys, torch
torch.save({"中文女.embedding": torch.ones(1), "b" * 200 + "." + "权重" * 40: torch.ones(1),
            "tab\tand\033[31mred": torch.ones(1)}, sys.argv[1])' "$work/names.pt"

# Where the column of the shapes begins in each line, as the terminal counts.
shape_columns()
{
	"$PYTHON" -c 'import sys, unicodedata
text = open(sys.argv[1], encoding="utf-8", newline="").read().replace("\r", "")
for line in text.splitlines():
    if " [1] " in line or " SHAPE " in line:
        before = line[:line.rindex(" [1] " if " [1] " in line else " SHAPE ")]
        print(sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in before))' "$1"
}

for locale in C.UTF-8 C; do
	LC_ALL=$locale inspect 0 "$work/names.pt"
	expect 4 "$(shape_columns "$work/out" | wc -l)" "lines in $locale"
	expect 1 "$(shape_columns "$work/out" | sort -u | wc -l)" "columns in which shapes begin in $locale"
	has "b{200}" # whole, as it is no terminal
	! grep -q $'\033' "$work/out" || fail "a name reaches the terminal as it is"
done
! LC_ALL=C grep -qP '[^\x00-\x7f]' "$work/out" || fail "more than ASCII in an ASCII locale"
has '\\xe4\\xb8\\xad\\xe6\\x96\\x87\\xe5\\xa5\\xb3\.embedding'

# On a terminal it fits.
for locale in C.UTF-8 C; do
	LC_ALL=$locale script -qec "stty cols 70; '$CVQ' inspect '$work/names.pt'" /dev/null \
		</dev/null >"$work/out"
	expect 1 "$(shape_columns "$work/out" | sort -u | wc -l)" "columns in which shapes begin in $locale"
	[ "$(shape_columns "$work/out" | sed -n 1p)" -lt 50 ] || fail "it does not fit: $(cat "$work/out")"
done
has 'b\.\.\.' # the last one was ASCII
LC_ALL=C.UTF-8 script -qec "stty cols 70; '$CVQ' inspect '$work/names.pt'" /dev/null \
	</dev/null >"$work/out"
has 'b….*权重 '

# However long a name is, it takes a moment.
"$PYTHON" -c 'import sys, torch
torch.save({"b" * 40000: torch.ones(1), "权" * 13000: torch.ones(1)}, sys.argv[1])' "$work/long.pt"
LC_ALL=C.UTF-8 timeout 5 "$CVQ" inspect "$work/long.pt" >"$work/out" || fail "a long name takes long"
expect 2 "$(awk 'length > 13000' "$work/out" | grep -c ' convert$')" "names that are written whole"
LC_ALL=C.UTF-8 timeout 5 script -qec "stty cols 70; '$CVQ' inspect '$work/long.pt'" /dev/null \
	</dev/null >"$work/out" || fail "a long name takes long on a terminal"
has '^b+…b+ .* convert'

# --- What goes wrong ------------------------------------------------------------

inspect 3 "$work/none"
inspect 3 /dev/null
inspect 2
inspect 2 "$model" "$model"
inspect 2 --no-such-option "$model"
grep -q 'there is no such option (see cvq inspect --help)' "$work/err" ||
	fail "it reads: $(cat "$work/err")"
[ ! -e /dev/full ] || {
	status=0
	"$CVQ" inspect "$model" >/dev/full 2>"$work/err" || status=$?
	expect 5 "$status" "exit code with nowhere to print"
}
"$CVQ" inspect --help | matches '^  cvq inspect pretrained_models' || fail "the help has no example"
