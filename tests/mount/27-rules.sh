#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Every rule on checkpoints of the real torch: what it does, and that the
# configuration and the command line do the same.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need unzip
need_torch

mkdir "$original/old"
for file in model.pt old/model.pt other.pt model.ckpt; do
	torch rules_checkpoint "$original/$file"
done
fixed "$original/fixed.pt" # which says how it is aligned, as torch 2.7 does

# sums: of everything in the view.
sums()
{
	(cd "$view" && find . -type f -exec sha256sum {} + | sort)
}

# rule CHECK CONFIG OPTION...: runs CHECK on the view that CONFIG makes, and demands
# that the options make the same.
rule()
{
	local check=$1 configured

	printf '%b' "$2" >"$config"
	shift 2
	mount_view
	$check
	configured=$(sums)
	unmount_view
	: >"$config"
	mount_view "$@"
	expect "$configured" "$(sums)" "what '$*' makes, and what the configuration does"
	unmount_view
	echo "ok: $*"
}

# converted FILE...: these are, and nothing else is.
converted()
{
	local file state

	for file in fixed.pt model.ckpt model.pt old/model.pt other.pt; do
		[ -e "$original/$file" ] || continue
		state=passthrough
		[[ " $* " != *" $file "* ]] || state=converted
		expect_state "$state" "$view/$file"
		[ "$state" = converted ] || same "$original/$file" "$view/$file"
	done
}

# types FILE EXPECTED KEY...: of some of its tensors.
types()
{
	local file=$1 expected=$2

	shift 2
	expect "$expected" "$(torch tensor_types "$view/$file" "$@" | paste -sd ,)" \
		"types of $*"
}

# --- Which files ----------------------------------------------------------------

check_keep()
{
	converted fixed.pt model.pt
	compare
}
rule check_keep '[files]\nkeep = old/*.pt OTHER.pt *hift* *hifigan* spk2info*.pt\n' \
	--keep 'old/*.pt' --keep OTHER.pt

check_convert()
{
	converted model.ckpt old/model.pt
	torch compare "$original/model.ckpt" "$view/model.ckpt" --expect converted ||
		fail "model.ckpt is not what .half() makes"
}
rule check_convert '[files]\nconvert = *.ckpt\n  old/*\n' --convert '*.ckpt' --convert 'old/*'

# One of them will do for the rest.
rm -r "$original/old" "$original/other.pt"

# --- Which tensors --------------------------------------------------------------

# A storage is kept with any tensor on it, and stays shared.
check_keep_tensor()
{
	types model.pt "embed.weight float32,layer.weight float16,layer.bias float32,rope.inv_freq float32,count int64,head.weight float32 = embed.weight" \
		embed.weight layer.weight layer.bias rope.inv_freq count head.weight
	"$PYTHON" - "$original/model.pt" "$view/model.pt" <<'END' || fail "a kept tensor is another"
import sys, torch
source, view = (torch.load(path) for path in sys.argv[1:])
for key in "embed.weight", "head.weight", "layer.bias", "rope.inv_freq":
    assert torch.equal(source[key], view[key]), key
assert torch.equal(source["layer.weight"].half(), view["layer.weight"])
assert torch.equal(source["optimizer"]["state"][0]["exp_avg"],
                   view["optimizer"]["state"][0]["exp_avg"])
END
}
rule check_keep_tensor \
	'[tensors]\nkeep = *inv_freq optimizer.* optimizer_states.*\n  head.* *.bias\n' \
	--keep-tensor 'head.*' --keep-tensor '*.bias'

# A list of one's own is all there is: the rotary phases convert now.
printf '[tensors]\nkeep = optimizer.*\n' >"$config"
mount_view
types model.pt "rope.inv_freq float16" rope.inv_freq
unmount_view

# --- Which numbers --------------------------------------------------------------

# extremes EXPECTED: the numbers that do not fit, as the view has them.
extremes()
{
	expect "$1" "$("$PYTHON" -c 'import sys, torch
print(*("%.5g" % x for x in torch.load(sys.argv[1])["extremes"].tolist()[:11]))' \
		"$view/model.pt")" "extreme numbers"
}

check_inf()
{
	extremes "65504 65504 inf -inf inf -inf inf -inf inf -inf nan"
	compare
}
rule check_inf '[format]\noverflow = inf\n' --overflow inf

check_clamp()
{
	extremes "65504 65504 65504 -65504 65504 -65504 65504 -65504 65504 -65504 nan"
	compare --overflow clamp
}
rule check_clamp '[format]\noverflow = clamp\n' --overflow clamp

check_bf16()
{
	types model.pt "layer.weight bfloat16,rope.inv_freq float32" layer.weight rope.inv_freq
	extremes "65536 65536 65536 -65536 9.9942e+05 -9.9692e+37 inf -inf inf -inf nan"
	compare --dtype bf16
}
rule check_bf16 '[format]\ndtype = bf16\n' --dtype bf16

check_bf16_clamp()
{
	extremes "65536 65536 65536 -65536 9.9942e+05 -9.9692e+37 3.3895e+38 -3.3895e+38 3.3895e+38 -3.3895e+38 nan"
	compare --dtype bf16 --overflow clamp
}
rule check_bf16_clamp '[format]\noverflow = clamp\ndtype = bf16\n' \
	-o dtype=bf16,overflow=clamp

# --- Which archive --------------------------------------------------------------

# check_archives [OPTION...]: what the files themselves say.
check_archives()
{
	local file

	for file in model.pt fixed.pt; do
		torch check_archive "$original/$file" "$view/$file" "$@" ||
			fail "the archive of $file is not as $* promises"
	done
}

valid_zip()
{
	unzip -tqq "$view/model.pt" || fail "unzip -t finds a fault"
	"$tools/zip_check" "$view/model.pt" || fail "libzip finds a fault"
}

check_align()
{
	check_archives --align 4096
	valid_zip
	compare
	expect 4096 "$(unzip -p "$view/fixed.pt" '*/.storage_alignment')" ".storage_alignment"
}
rule check_align '[format]\nalign = 4096\n' --align 4096

check_align_least()
{
	check_archives --align 16
	compare
}
rule check_align_least '[format]\nalign = 16 ; bytes\n' --align 16

check_seal()
{
	check_archives
	valid_zip
	compare
}
rule check_seal '[format]\nchecksum = seal\nalign = source\n' --checksum seal --align source

check_exact()
{
	check_archives --checksum exact
	valid_zip
	compare --checksum exact
}
rule check_exact '[format]\nchecksum = exact\n' --checksum exact

check_none()
{
	check_archives --checksum none
	compare --checksum none
}
rule check_none '[format]\nchecksum = none\n' --checksum none

# --- All together ---------------------------------------------------------------

check_all()
{
	converted model.ckpt
	torch check_archive "$original/model.ckpt" "$view/model.ckpt" --align 65536 \
		--checksum exact || fail "the archive of model.ckpt is not as promised"
	types model.ckpt "layer.weight bfloat16,layer.bias float32" layer.weight layer.bias
}
rule check_all '[files]
convert = *
keep = *.pt
[tensors]
keep = *inv_freq *.bias optimizer.* optimizer_states.*
[format]
dtype = bf16
overflow = clamp
checksum = exact
align = 65536
[view]
symlinks = keep
timeout = 0
' -o 'convert=*,keep=*.pt,keep_tensor=*.bias,dtype=bf16,overflow=clamp,checksum=exact' \
	-o align=65536,symlinks=keep,timeout=0
