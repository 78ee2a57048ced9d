#!/bin/bash
# SPDX-License-Identifier: MIT
#
# cvq verify compares tensors by their names and elements by their indices: what another
# program wrote, or a file of another format, is as good as a view.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_torch

# verify [ARGUMENT...]
verify()
{
	timeout 300 "$CVQ" verify --quiet "$@" >"$work/out" 2>"$work/err" </dev/null ||
		fail "verify $* ended with $?: $(cat "$work/out" "$work/err")"
}

# --- The script that cvq replaces -----------------------------------------------

torch models "$original"
for model in CosyVoice-300M-SFT CosyVoice2-0.5B Fun-CosyVoice3-0.5B; do
	torch simple_quantize write "$original/$model" "$work/$model"
	verify --keep 'training/*' "$original/$model" "$work/$model"
	grep -qE '^llm-latest\.pt .* equal$' "$work/out" ||
		fail "the copy of what a symlink leads to is not compared: $(cat "$work/out")"
done

# It knows nothing of tensors that should stay FP32, which is told and no fault. (This is
# the last model.)
expect "cvq: $work/$model/flow.pt: 'decoder.estimator.rotary_embed.inv_freq' is converted, exactly, though the pattern '*inv_freq' keeps it (a view has it in FP32)" \
	"$(cat "$work/err")" "what is told of a rotary phase in FP16"
grep -q ', all exact, 1 tensor converted though a pattern keeps it$' "$work/out" ||
	fail "the summary reads: $(cat "$work/out")"
printf '[tensors]\nkeep = none.such\n' >"$work/as-the-script.ini"
verify --config "$work/as-the-script.ini" --keep 'training/*' "$original/$model" "$work/$model"
[ ! -s "$work/err" ] || fail "by the script's rules it tells of $(cat "$work/err")"

# --- Every form of file on either side ------------------------------------------

# pack FILE ARCHIVE: as an ordinary zip program packs it.
pack()
{
	rm -rf "$work/packed"
	mkdir "$work/packed"
	(cd "$work/packed" && unzip -q "$1" && zip -qr9 "$2" .)
}

torch tensor_forms "$work/forms"
pack "$work/forms/single/turned.pt" "$work/forms/single/packed.pt"
pack "$work/forms/half/zip.pt" "$work/forms/half/packed.pt"
pairs=0
for source in "$work"/forms/single/*; do
	verify "$source"
	for half in "$work"/forms/half/*; do
		verify --json "$source" "$half"
		pairs=$((pairs + 1))
	done
	[[ $source == *.safetensors ]] || torch accuracy "$source" "$work/out" ||
		fail "$source: it measures wrong"
done

expect 36 "$pairs" "pairs that were compared"

# The first difference is that with the lowest index, however the tensor lies.
"$PYTHON" - "$work/forms" "$CVQ" <<-'EOF' || fail "a difference is found at another place"
	import json, os, random, subprocess, sys, torch
	forms, cvq = sys.argv[1:]
	good = torch.load(os.path.join(forms, "half", "contiguous.pt"))
	draw = random.Random(5)
	for name in ("plain", "transposed", "columns", "strided", "permuted", "channels_last"):
	    shape = good[name].shape
	    places = sorted(tuple(draw.randrange(size) for size in shape) for _ in range(5))
	    bad = {key: value.clone() for key, value in good.items()}
	    for place in places:
	        bad[name][place] += 64
	    path = os.path.join(forms, "bad.pt")
	    torch.save(bad, path)
	    for source in ("zip.pt", "turned.pt", "legacy.pt"):
	        run = subprocess.run([cvq, "verify", "--json", os.path.join(forms, "single", source), path],
	                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
	        assert run.returncode == 1
	        faults = {tensor["name"]: tensor["fault"] for tensor in
	                  json.loads(run.stdout)["files"][0]["tensors"] if not tensor["equal"]}
	        assert set(faults) == {name}, (name, source, faults)
	        fault = faults[name]
	        assert fault["differing"] == len(set(places)), (name, source, fault)
	        assert tuple(fault["index"]) == places[0], (name, source, fault, places)
	        bits = int(fault["expected"].split("0x")[1].rstrip(")"), 16)
	        assert bits == good[name][places[0]].view(torch.int16).item() & 0xffff, fault
EOF

# Numbers of the other byte order.
fixed "$work/little.pt"
torch fixed_checkpoint "$work/big.pt" --big-endian
! cmp -s "$work/little.pt" "$work/big.pt" || fail "both have one byte order"
mkdir "$work/mixed"
cp "$work/big.pt" "$work/mixed/a.pt"
cp "$work/little.pt" "$work/mixed/b.pt"
mount_at "$work/mixed" "$view"
for source in big little; do
	verify "$work/$source.pt"
	verify "$work/$source.pt" "$view/a.pt"
	verify "$work/$source.pt" "$view/b.pt"
done
unmount_view
"$CVQ" verify --json --keep-tensor 'layer.*' "$work/little.pt" "$work/big.pt" \
	>"$work/out" 2>/dev/null || true
"$PYTHON" - "$work/out" <<-'EOF' || fail "what is kept is not the same in the other byte order"
	import json, sys
	tensors = json.load(open(sys.argv[1]))["files"][0]["tensors"]
	kept = [tensor["name"] for tensor in tensors if not tensor["converted"]]
	equal = [tensor["name"] for tensor in tensors if tensor["equal"]]
	assert len(kept) >= 6 and set(kept) <= set(equal), (kept, equal)
EOF

# --- Every kind of checkpoint ---------------------------------------------------

# What is broken in the source cannot be read in the view either, and nothing else.
torch kinds "$work/kinds" >"$work/out" || fail "the kinds cannot be written: $(cat "$work/out")"
mount_at "$work/kinds" "$view"
for arguments in "$work/kinds" "$work/kinds $view"; do
	# shellcheck disable=SC2086 # one or two words
	"$CVQ" verify --json $arguments >"$work/out" 2>"$work/err" || [ $? = 1 ] ||
		fail "verify $arguments: $(cat "$work/err")"
	"$PYTHON" - "$work/kinds/expectations.json" "$work/out" <<-'EOF' || fail "verify $arguments: $(cat "$work/err")"
		import json, sys
		expected, found = (json.load(open(path)) for path in sys.argv[1:])
		found = {file["path"]: file for file in found["files"]}
		for name, expectation in expected.items():
		    file = found[name]
		    assert file["state"] == expectation["state"], file
		    assert file["equal"] == (not expectation["unreadable"]), file
		    assert file["equal"] or "cannot be read" in file["fault"], file
	EOF
done
unmount_view
