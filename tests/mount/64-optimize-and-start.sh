#!/bin/bash
# SPDX-License-Identifier: MIT
#
# packaging/optimize_and_start.sh starts what it is asked to, or CosyVoice's own
# program, on the model in FP16.
# shellcheck disable=SC2016 # the shells inside expand these
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

is_root || skip "an ordinary user does not see packaging/"
need_torch
torch models "$work/models" --model CosyVoice2-0.5B --scale shapes
model=$work/models/CosyVoice2-0.5B
mkdir "$work/CosyVoice"
cd "$work/CosyVoice"
export XDG_RUNTIME_DIR=$work/runtime
mkdir -m 700 "$XDG_RUNTIME_DIR"

# start EXPECTED ARGUMENT...
start()
{
	local expected=$1 status=0

	shift
	timeout 120 "$tests/../packaging/optimize_and_start.sh" "$@" >"$work/out" \
		2>"$work/start.err" </dev/null || status=$?
	expect "$expected" "$status" "exit code of $* ($(cat "$work/start.err"))"
}

start 2
start 2 "$model" # neither COMMAND nor a program here
grep -q webui.py "$work/start.err" || fail "it says: $(cat "$work/start.err")"
start 2 "$model" true
start 3 "$work/none" -- true
start 0 --help

# With {} or without, COMMAND sees the model in FP16, and what CosyVoice asks for.
load='import sys, torch
for tensor in torch.load(sys.argv[1] + "/llm.pt").values():
	assert tensor.dtype == torch.half'
for place in "$model" {}; do
	start 0 "$model" -- "$PYTHON" -c "$load" "$place"
done
start 7 "$model" -- sh -c 'echo "$COSYVOICE_FP16 $COSYVOICE_QUANTIZED"; exit 7'
expect "true true" "$(cat "$work/out")" "the environment"
COSYVOICE_FP16=false start 0 "$model" -- sh -c 'echo "$COSYVOICE_FP16"'
expect false "$(cat "$work/out")" "the environment that was set before"

# What is incomplete is not started.
mv "$model/campplus.onnx" "$work"
start 1 "$model" -- true
grep -q '✗.*campplus.onnx' "$work/start.err" || fail "it says: $(cat "$work/start.err")"
mv "$work/campplus.onnx" "$model"

# A second model on disk is what the service would take.
mkdir "$model-quantized"
start 0 "$model/" -- true
grep -q "$model-quantized is there" "$work/start.err" || fail "the second model goes unnoticed"
rmdir "$model-quantized"

# CosyVoice's own programs.
echo 'import sys; print("webui", sys.argv[1:])' >webui.py
start 0 "$model"
[[ $(cat "$work/out") == "webui ['--model_dir', '$XDG_RUNTIME_DIR/"*"/CosyVoice2-0.5B']" ]] ||
	fail "webui.py is started with $(cat "$work/out")"
printf '#!/bin/sh\necho fast "$CVQ_MODEL_DIR"\n' >start_fast.sh
chmod +x start_fast.sh
start 0 "$model"
expect "fast $model" "$(cat "$work/out")" "start_fast.sh"
