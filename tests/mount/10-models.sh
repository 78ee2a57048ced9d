#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The three CosyVoice models, all files with their true names, dimensions cut down:
# every tensor of the view is, bit for bit, .half() of the source's.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_torch

torch models "$original"
mount_view
[[ $summary =~ ^"$original on $view: "(10|at least [0-9]+)" files converted ("[^\)]+' -> '[^\)]+"), "[0-9]+' passed through'$ ]] ||
	fail "the summary reads: $summary"
expect 1 "$(wc -l <"$work/mount.out")" "lines of the summary"
compare

for model in CosyVoice-300M-SFT CosyVoice2-0.5B Fun-CosyVoice3-0.5B; do
	expect_state converted "$view/$model/llm.pt"
	expect_state converted "$view/$model/flow.pt"
	expect_state converted "$view/$model/training/epoch_4_whole.pt"
	expect_state passthrough "$view/$model/hift.pt"
done
expect_state converted "$view/Fun-CosyVoice3-0.5B/llm.rl.pt"
expect_state passthrough "$view/CosyVoice-300M-SFT/spk2info.pt"
unmount_view

# The vocoder, where that is asked for.
mount_view --quantize-hift
expect_state converted "$view/CosyVoice2-0.5B/hift.pt"
expect_state passthrough "$view/CosyVoice-300M-SFT/spk2info.pt"
compare --quantize-hift
unmount_view

# The other forms.
mount_view --dtype bf16 --checksum exact
compare --dtype bf16 --checksum exact
unmount_view
