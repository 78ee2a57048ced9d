#!/bin/bash
# SPDX-License-Identifier: MIT
#
# cvq check: the packages of all three kinds are complete, in less than a second, and
# for each of its checks there is a package that fails it, and is told so.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_torch
torch models "$original" --scale shapes
first=CosyVoice-300M-SFT second=CosyVoice2-0.5B third=Fun-CosyVoice3-0.5B
package=$work/package
export LC_ALL=C.UTF-8
failed="" # the checks that failed so far
limit=1000 # milliseconds
! built_with 'lib[at]san' || limit=10000

# --- Helpers --------------------------------------------------------------------

# take MODEL: a package of our own to break. Its files are links: never write into one.
take()
{
	rm -rf "$package"
	cp -al "$original/$1" "$package"
}

# put FILE [TEXT]: a new file with that text, or with what is on stdin.
put()
{
	local file=$package/$1

	shift
	rm -rf "$file"
	if [ $# -gt 0 ]; then
		printf '%s' "$1" >"$file"
	else
		cat >"$file"
	fi
}

# edit FILE SCRIPT: with sed, which must change something.
edit()
{
	sed "$2" "$package/$1" >"$work/edited"
	! cmp -s "$work/edited" "$package/$1" || fail "sed '$2' changes nothing in $1"
	mv "$work/edited" "$package/$1"
}

alter()
{
	local file=$package/$1

	shift
	torch alter "$file" "$@"
}

# check EXPECTED DIRECTORY: the exit code; the table is in $work/out.
check()
{
	local status=0

	timeout 60 "$CVQ" check "$2" >"$work/out" 2>"$work/err" </dev/null || status=$?
	[ "$status" = "$1" ] ||
		fail "check $2 ended with $status, not $1: $(cat "$work/out" "$work/err")"
	[ ! -s "$work/err" ] || fail "check $2 writes to stderr: $(cat "$work/err")"
}

# shows MARK CHECK FILE SENTENCE: one line of the table.
shows()
{
	grep -F -- "$4" "$work/out" | matches "^$1 $2 *  ${3//./\\.}  " ||
		fail "no line '$1 $2 $3 ... $4 ...' in: $(cat "$work/out")"
}

# faulty CHECK FILE SENTENCE: the package fails that check, and is told so.
faulty()
{
	check 1 "$package"
	shows ✗ "$@"
	tail -n 1 "$work/out" | matches ' is no complete .*: [0-9]* faults\?$' ||
		fail "the last line is: $(tail -n 1 "$work/out")"
	! grep '^✗' "$work/out" | grep -v ' (.*)$' || fail "a fault without what to do"
	failed+=" $1"
}

# complete DIRECTORY KIND
complete()
{
	local started=$EPOCHREALTIME ended milliseconds

	check 0 "$1"
	ended=$EPOCHREALTIME
	milliseconds=$(((${ended/./} - ${started/./}) / 1000))
	[ "$milliseconds" -lt "$limit" ] || fail "check $1 took $milliseconds ms"
	expect "$1 is a complete $2" "$(tail -n 1 "$work/out")" "the verdict"
	! grep '^✗' "$work/out" || fail "$1 is complete, but has faults"
}

# --- Complete packages ----------------------------------------------------------

complete "$original/$first" CosyVoice
checks=$(awk '$1 != "'"$original/$first"'" { print $2 }' "$work/out")
complete "$original/$second" CosyVoice2
complete "$original/$third" CosyVoice3
checks+=$(awk '/^[✓•]/ { print "\n" $2 }' "$work/out")

# So are their views, whatever is converted.
mount_view
complete "$view/$first" CosyVoice
complete "$view/$second" CosyVoice2
complete "$view/$third" CosyVoice3
unmount_view
mount_view --quantize-hift --dtype bf16 --checksum exact --convert '*.pt' --convert '*.safetensors'
complete "$view/$second" CosyVoice2
unmount_view

# Weight norms under their old names, and the generator of a GAN.
take "$first"
alter hift.pt 'state = {"generator." + name.replace("parametrizations.weight.original0",
	"weight_g").replace("parametrizations.weight.original1", "weight_v"): tensor
	for name, tensor in state.items()}'
complete "$package" CosyVoice

# A package of links, as in a Hugging Face cache.
rm -rf "$package"
cp -as "$original/$second" "$package"
complete "$package" CosyVoice2

# A yaml that was saved by an editor of Windows.
take "$second"
edit cosyvoice2.yaml '1s/^/\xef\xbb\xbf/; s/$/\r/'
complete "$package" CosyVoice2

# A tokenizer in one file, in place of two.
take "$second"
rm "$package/CosyVoice-BlankEN/vocab.json" "$package/CosyVoice-BlankEN/merges.txt"
put CosyVoice-BlankEN/tokenizer.json '{"version": "1.0"}'
complete "$package" CosyVoice2

# --- Which kind -----------------------------------------------------------------

rm -rf "$package"
mkdir "$package"
faulty kind . "there is neither a yaml nor llm.pt, flow.pt or hift.pt"

# AutoModel looks for cosyvoice.yaml first.
take "$second"
cp "$original/$first/cosyvoice.yaml" "$package"
faulty names llm.pt "has the names of a CosyVoice2's tensors, while cosyvoice.yaml is a CosyVoice's"
shows ✓ kind cosyvoice.yaml "is what AutoModel finds first, so this is a CosyVoice"

# Weights without a yaml are not broken: they cannot be checked.
take "$third"
rm "$package/cosyvoice3.yaml"
check 1 "$package"
shows • kind . "there is no cosyvoice.yaml, cosyvoice2.yaml or cosyvoice3.yaml"
shows ✓ file llm.pt "is there, and is a checkpoint"
shows • names llm.pt "has the names of a CosyVoice3's tensors"
expect "$package cannot be checked: it has weights but no yaml" "$(tail -n 1 "$work/out")" verdict
head -c 1000 "$original/$third/flow.pt" | put flow.pt
faulty file flow.pt "is not understood"

# --- Every file -----------------------------------------------------------------

needs()
{
	local model=$1 file

	shift
	for file; do
		take "$model"
		rm "$package/$file"
		faulty file "$file" "is missing (copy it from the package that the yaml is from)"
	done
}

needs "$first" campplus.onnx speech_tokenizer_v1.onnx llm.pt flow.pt hift.pt
for model in "$second" "$third"; do
	needs "$model" campplus.onnx llm.pt flow.pt hift.pt CosyVoice-BlankEN/{config.json,vocab.json} \
		CosyVoice-BlankEN/{merges.txt,model.safetensors}
done
needs "$second" speech_tokenizer_v2.onnx
needs "$third" speech_tokenizer_v3.onnx
take "$second"
rm -r "$package/CosyVoice-BlankEN"
faulty file CosyVoice-BlankEN/config.json "is missing"

# spoiled FILE SENTENCE: the file is no longer what it was.
spoiled()
{
	faulty file "$1" "$2"
	take "$second"
}

take "$second"
put campplus.onnx ""
spoiled campplus.onnx "is empty (copy it from the package again)"
head -c 500000 "$original/$second/campplus.onnx" | put campplus.onnx
spoiled campplus.onnx "is cut off"
head -c 500000 /dev/urandom | { printf '\377\377' && cat; } | put campplus.onnx
spoiled campplus.onnx "no ONNX model"
put campplus.onnx "<!DOCTYPE html>"
spoiled campplus.onnx "no ONNX model"
put speech_tokenizer_v2.onnx "version https://git-lfs.github.com/spec/v1
oid sha256:d43342aa12163a80bf07bffb94c9de2e120a8df2f9917cd2f642e7f4219c6f71
size 496082973
"
spoiled speech_tokenizer_v2.onnx "is not the file but what Git LFS has in its place (fetch it with git lfs pull)"
rm "$package/llm.pt"
mkdir "$package/llm.pt"
spoiled llm.pt "is no regular file"
rm "$package/llm.pt"
mkfifo "$package/llm.pt"
spoiled llm.pt "is no regular file"
ln -sf nowhere "$package/llm.pt"
spoiled llm.pt "is missing"
if ! is_root; then
	put llm.pt "secret"
	chmod 000 "$package/llm.pt"
	spoiled llm.pt "cannot be read: Permission denied"
fi
head -c 100000 "$original/$second/llm.pt" | put llm.pt
spoiled llm.pt "is not understood: "
cp --remove-destination "$original/$second/CosyVoice-BlankEN/model.safetensors" "$package/hift.pt"
spoiled hift.pt "holds safetensors, which torch.load does not read"
alter flow.pt 'state = list(state.values())'
spoiled flow.pt "it holds no dict of names to tensors"
rm "$package/hift.pt"
"$PYTHON" -c 'import sys, torch
torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), sys.argv[1])' "$package/hift.pt"
spoiled hift.pt "is not understood: it is a TorchScript"
put spk2info.pt <"$original/$first/spk2info.pt"
alter spk2info.pt 'import fractions' 'state["x"] = {"rate": fractions.Fraction(1, 2)}'
faulty file spk2info.pt "holds a fractions.Fraction, which torch.load(weights_only=True) refuses"
! grep ' speakers ' "$work/out" || fail "a file that cannot be loaded has good speakers"
take "$second"
put CosyVoice-BlankEN/config.json "{"
spoiled CosyVoice-BlankEN/config.json "is no JSON: line 1"
put CosyVoice-BlankEN/generation_config.json "no"
spoiled CosyVoice-BlankEN/generation_config.json "is no JSON"
{
	printf '['
	seq 1000000 | sed 's/.*/{},/'
	printf '0]'
} | put CosyVoice-BlankEN/generation_config.json
spoiled CosyVoice-BlankEN/generation_config.json "has more values than any package's"
put CosyVoice-BlankEN/merges.txt < <(printf 'a\0b')
spoiled CosyVoice-BlankEN/merges.txt "is no text"
head -c 5000 "$original/$second/CosyVoice-BlankEN/model.safetensors" |
	put CosyVoice-BlankEN/model.safetensors
spoiled CosyVoice-BlankEN/model.safetensors "is not understood: its safetensors header is cut off"
put CosyVoice-BlankEN/model.safetensors <"$original/$second/hift.pt"
spoiled CosyVoice-BlankEN/model.safetensors "holds no safetensors"

# --- The yaml -------------------------------------------------------------------

edit cosyvoice2.yaml 's/^llm_input_size:/ llm_input_size:/'
spoiled cosyvoice2.yaml "cannot be loaded: line "
edit cosyvoice2.yaml 's/<spk_embed_dim>/<speaker_dim>/'
spoiled cosyvoice2.yaml "refers to 'speaker_dim', which is not there"
edit cosyvoice2.yaml 's/^llm_output_size/llm_input_size/'
spoiled cosyvoice2.yaml "the key 'llm_input_size' is there twice"
edit cosyvoice2.yaml 's/^get_tokenizer:/get_the_tokenizer:/'
faulty model cosyvoice2.yaml "lacks the key 'get_tokenizer'"
take "$second"
edit cosyvoice2.yaml "s/^qwen_pretrain_path: .*//; s/<qwen_pretrain_path>/<sample_rate>/"
faulty model cosyvoice2.yaml "lacks the key 'qwen_pretrain_path'"
take "$second"
edit cosyvoice2.yaml 's/^hift: !new:/hift: !name:/'
faulty model cosyvoice2.yaml "makes no object of 'hift'"
take "$second" # where a network is missing, nothing fits it
edit cosyvoice2.yaml 's/^flow: !new:/flowing: !new:/'
faulty model cosyvoice2.yaml "lacks the key 'flow'"
! grep -e 'mel bands' -e 'fit flow' "$work/out" || fail "it says what fits a flow that is not there"
take "$second"
edit cosyvoice2.yaml 's/llm.Qwen2LM/llm.LlamaLM/'
faulty model cosyvoice2.yaml "describes no model that CosyVoice knows: LlamaLM, CausalMasked"
take "$second" # CosyVoice2 was once shipped so
mv "$package/cosyvoice2.yaml" "$package/cosyvoice.yaml"
faulty model cosyvoice.yaml "describes a CosyVoice2, which AutoModel does not expect under this name (give the yaml the name of its kind)"
expect "$package is no complete CosyVoice2: 1 fault" "$(tail -n 1 "$work/out")" "the verdict"
take "$second"
edit cosyvoice2.yaml 's/speech_token_size: .*/speech_token_size: many/'
faulty network cosyvoice2.yaml \
	"does not describe the network of llm.pt: llm.speech_token_size is 'many', which is no number"
take "$second"
edit CosyVoice-BlankEN/config.json '/num_hidden_layers/d'
faulty network cosyvoice2.yaml "CosyVoice-BlankEN/config.json has no sensible 'num_hidden_layers'"

# --- The weights ----------------------------------------------------------------

take "$second"
alter llm.pt 'state["epoch"] = 4' 'state["step"] = 70000'
faulty keys llm.pt "has 2 keys such as 'epoch', as training leaves them: strict loading refuses that"
take "$first"
alter hift.pt 'state["discriminator.mpd.weight"] = torch.zeros(3)'
faulty keys hift.pt "has 1 key such as 'discriminator.mpd.weight', the half that only training needs"
take "$third"
alter flow.pt 'state["decoder.extra"] = torch.zeros(3)'
faulty keys flow.pt "has 1 key such as 'decoder.extra', which the network does not have"
alter flow.pt 'state = {"module": dict(state)}' # as DeepSpeed wraps it
faulty keys flow.pt "has 1 key such as 'module'"
shows ✗ names flow.pt "lacks 330 of the 330 tensors"

take "$third"
alter llm.pt 'del state["llm.model.model.layers.23.mlp.up_proj.weight"]'
faulty names llm.pt "lacks 1 of the 293 tensors that cosyvoice3.yaml asks for, such as 'llm.model.model.layers.23.mlp.up_proj.weight'"
take "$third"
alter llm.pt 'state["llm_decoder.weight"] = 1'
faulty names llm.pt "lacks 1 of the 293 tensors that cosyvoice3.yaml asks for, such as 'llm_decoder.weight'"
take "$third"
cp --remove-destination "$original/$second/flow.pt" "$package"
faulty names flow.pt "has the names of a CosyVoice2's tensors, while cosyvoice3.yaml is a CosyVoice3's"

take "$second"
alter llm.pt 'state["llm_decoder.bias"] = torch.zeros(6761)'
faulty shapes llm.pt "has 'llm_decoder.bias' as [6761], where cosyvoice2.yaml asks for [6564]"
take "$second"
edit cosyvoice2.yaml 's/pre_lookahead_len/# &/; s/linear_units: 2048/linear_units: 1024/'
faulty shapes flow.pt "has 'encoder.encoders.0.feed_forward.w_1.weight' as [2048, 512], where cosyvoice2.yaml asks for [1024, 512]; 29 more differ"
take "$second"
cp --remove-destination "$original/$third/hift.pt" "$package"
faulty shapes hift.pt "[512, 80, 5], where cosyvoice2.yaml asks for [512, 80, 7]"
take "$second"
edit CosyVoice-BlankEN/config.json 's/4864/4096/'
faulty shapes CosyVoice-BlankEN/model.safetensors "[4864, 896], where config.json asks for [4096, 896]"
shows ✗ shapes llm.pt "[4864, 896], where cosyvoice2.yaml asks for [4096, 896]"

# A real change of the yaml with the weights to it is no fault.
take "$second"
edit cosyvoice2.yaml 's/\[16, 11, 7\]/[16, 11, 9]/'
alter hift.pt 'state["ups.2.parametrizations.weight.original1"] = torch.zeros(128, 64, 9)'
complete "$package" CosyVoice2

# --- Across files ---------------------------------------------------------------

take "$second"
edit cosyvoice2.yaml 's/speech_token_size: 6561/speech_token_size: 4096/'
faulty tokens cosyvoice2.yaml "has llm.speech_token_size = 4096 but flow.vocab_size = 6561, which must be equal"
take "$second"
edit cosyvoice2.yaml 's/output_size: 80/output_size: 100/'
faulty mel cosyvoice2.yaml "has flow.output_size = 100 but hift.in_channels = 80"
shows ✗ mel cosyvoice2.yaml "has flow.output_size = 100 but hift.f0_predictor.in_channels = 80"
take "$second"
edit CosyVoice-BlankEN/config.json 's/"hidden_size": 896/"hidden_size": 1536/'
faulty hidden CosyVoice-BlankEN/config.json "has hidden_size = 1536 but cosyvoice2.yaml has llm.llm_input_size = 896"
take "$first"
alter spk2info.pt 'state["中文女"]["embedding"] = torch.zeros(1, 256)'
faulty speakers spk2info.pt "has '中文女.embedding' of the size 256, while cosyvoice.yaml has flow.spk_embed_dim = 192"
take "$first" # speakers may be numbers: nothing asks load_state_dict() to take them
alter spk2info.pt 'state = dict(enumerate(state.values()))'
complete "$package" CosyVoice
shows ✓ speakers spk2info.pt "has vectors of speakers that fit flow: 4"
alter spk2info.pt 'state[3]["embedding"] = torch.zeros(1, 256)'
faulty speakers spk2info.pt "has '3.embedding' of the size 256"
alter flow.pt 'state[0] = torch.zeros(1)'
faulty file flow.pt "its dict has keys that are no strings"

# Loads, but is larger than it need be.
take "$second"
alter llm.pt 'state["llm.model.lm_head.weight"] = torch.zeros(1).expand(151936, 896)'
complete "$package" CosyVoice2
shows • tied llm.pt "stores lm_head and embed_tokens twice"
failed+=" tied"

# What programs would write.
take "$second"
put flow.decoder.estimator.fp32.mygpu.plan ""
complete "$package" CosyVoice2
for name in spk2info.pt flow.decoder.estimator.{fp32,fp16}.mygpu.plan vllm; do
	shows • writes "$name" "is not there yet: "
done
failed+=" writes"
mkdir "$package/vllm"
put spk2info.pt <"$original/$first/spk2info.pt"
put flow.decoder.estimator.fp32.mygpu.plan "plan"
put flow.decoder.estimator.fp16.mygpu.plan "plan"
complete "$package" CosyVoice2
for name in spk2info.pt flow.decoder.estimator.{fp32,fp16}.mygpu.plan vllm; do
	shows ✓ writes "$name" "is there already"
done

# Nothing was left out.
for name in $checks; do
	[[ " $failed " == *" $name "* ]] || fail "no package fails the check '$name'"
done

# --- The program ----------------------------------------------------------------

LC_ALL=C "$CVQ" check "$original/$first" >"$work/out" || fail "check fails in ASCII"
grep -q '^ok    kind ' "$work/out" || fail "no table in ASCII"
! LC_ALL=C grep -q '[^ -~]' "$work/out" || fail "more than ASCII"

# refuses CODE WORD ARGUMENT...
refuses()
{
	local code=$1 word=$2 status=0

	shift 2
	"$CVQ" check "$@" >"$work/out" 2>"$work/err" || status=$?
	expect "$code" "$status" "exit code of check $*"
	[[ $(cat "$work/err") =~ ^cvq:\ .*"$word".*\(.+\)$ ]] || fail "the message: $(cat "$work/err")"
	[ ! -s "$work/out" ] || fail "check $* prints $(cat "$work/out")"
}

refuses 2 "DIR is missing"
refuses 2 surplus "$original/$first" surplus
refuses 2 --nonsense --nonsense "$original/$first"
refuses 2 --force --force "$original/$first"
refuses 3 "$work/none" "$work/none"
refuses 3 directory "$original/$first/llm.pt"
"$CVQ" check --help | matches 'cvq check ' || fail "no help"
