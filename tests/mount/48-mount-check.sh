#!/bin/bash
# SPDX-License-Identifier: MIT
#
# cvq-mount --check mounts complete packages, and refuses all others before anything is
# mounted: in one line, with the first fault and what to do.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_torch
torch models "$original" --scale shapes
second=$original/CosyVoice2-0.5B third=$original/Fun-CosyVoice3-0.5B

# refuses SOURCE SENTENCE [OPTION...]
refuses()
{
	local source=$1 sentence=$2 status=0

	shift 2
	timeout 60 "$CVQ_MOUNT" "$@" "$source" "$view" >"$work/out" 2>"$work/err" </dev/null ||
		status=$?
	expect 1 "$status" "exit code of cvq-mount $* $source ($(cat "$work/err"))"
	expect "" "$(cat "$work/out")" "stdout of cvq-mount $*"
	expect "cvq-mount: $source: $sentence (cvq check $source says more)" "$(cat "$work/err")" \
		"stderr of cvq-mount $*"
	[ -z "$(list_mounts)" ] || fail "something is mounted"
	wait_for 5 no_daemons || fail "something is running"
}

mounts()
{
	mount_at "$@"
	unmount "$2"
}

for model in "$original"/*; do
	mounts "$model" "$view" --check
	mounts "$model" "$view" -o check
done

# In place, and again over the dead view of a killed daemon.
mount_at "$second" "$second" --check -o nonempty
"$CVQ" check "$second" >"$work/out" || fail "the view in place is not complete"
kill -KILL "$daemon"
wait_for 10 has_ended "$daemon" || fail "the daemon survives SIGKILL"
mounts "$second" "$second" --check -o nonempty

# A fault; without --check it does not matter.
mv "$second/campplus.onnx" "$work"
refuses "$second" "campplus.onnx is missing" --check
refuses "$second" "campplus.onnx is missing" -o ro,check
mounts "$second" "$view"

# A CosyVoice2 as it was once shipped.
mv "$work/campplus.onnx" "$second"
mv "$second/cosyvoice2.yaml" "$second/cosyvoice.yaml"
refuses "$second" "cosyvoice.yaml describes a CosyVoice2, which AutoModel does not expect under this name" --check

# Weights without a yaml.
mv "$second/cosyvoice.yaml" "$work"
refuses "$second" "there is no cosyvoice.yaml, cosyvoice2.yaml or cosyvoice3.yaml, so the weights cannot be checked" --check
mounts "$second" "$view"

# What counts is what the view shows: llm.pt is there under another name.
rm "$third/llm.pt"
refuses "$third" "llm.pt is missing" --check
printf '[alias]\nllm.pt = llm.rl.pt\n' >"$work/alias.ini"
mount_at "$third" "$view" --check --config "$work/alias.ini"
"$CVQ" check "$view" >"$work/out" || fail "the view is not complete: $(cat "$work/out")"
unmount_view
printf '[alias]\nllm.pt = flow.pt\n' >"$work/alias.ini"
refuses "$third" "llm.pt has 330 keys such as 'input_embedding.weight', which the network does not have: strict loading refuses that" --check --config "$work/alias.ini"
