#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Starts CosyVoice on a model in FP16, in one command: what the script of this name
# did, without a second model on disk and without waiting for it.
set -euo pipefail

usage()
{
	cat <<'END'
Usage: packaging/optimize_and_start.sh MODEL_DIR [-- COMMAND...]

Checks that MODEL_DIR is a complete CosyVoice model, and runs COMMAND on an FP16 view
of it that lasts as long as COMMAND. Nothing is written.

If a word of COMMAND has {} in it, that becomes the path of the view; otherwise COMMAND
sees the view in the place of MODEL_DIR. COSYVOICE_FP16 and COSYVOICE_QUANTIZED are set
to true unless they are set already.

Without COMMAND: ./start_fast.sh if the current directory has it, else
"python3 webui.py --model_dir {}". So start it in the directory of CosyVoice:

  cd CosyVoice
  .../packaging/optimize_and_start.sh pretrained_models/Fun-CosyVoice3-0.5B-2512

CVQ in the environment names the program cvq; otherwise it is the one of this tree,
which is built if need be, or an installed one.
END
}

die()
{
	echo "optimize_and_start.sh: $*" >&2
	exit 2
}

# --- What was asked -------------------------------------------------------------

case ${1-} in
-h | --help)
	usage
	exit 0
	;;
"" | --) die "MODEL_DIR is missing (see --help)" ;;
-*) die "$1: no such option (see --help)" ;;
esac
model=$1
shift
if [ $# -gt 0 ]; then
	[ "$1" = -- ] || die "$1: put -- before COMMAND (see --help)"
	shift
fi
if [ $# -eq 0 ]; then
	if [ -x ./start_fast.sh ]; then
		set -- ./start_fast.sh
	elif [ -f ./webui.py ]; then
		set -- python3 webui.py --model_dir '{}'
	else
		die "neither start_fast.sh nor webui.py is here (start it in the directory of CosyVoice, or give -- COMMAND)"
	fi
fi

# --- cvq ------------------------------------------------------------------------

# In a subshell: COMMAND is to start where we were started.
build_cvq()
(
	cd "$tree"
	packaging/install-dependencies.sh build
	echo "Building $tree/build/cvq"
	mkdir -p build
	log=build/optimize_and_start.log
	{ cmake --preset release && cmake --build build --parallel "$(nproc)" \
		--target cvq-mount cvq-program; } >"$log" 2>&1 || {
		tail -n 30 "$log"
		echo "optimize_and_start.sh: building failed (all of the output: $tree/$log)"
		exit 1
	}
) >&2

tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cvq=${CVQ-}
if [ -z "$cvq" ] && [ ! -x "$tree/build/cvq" ]; then
	cvq=$(command -v cvq) || build_cvq
fi
: "${cvq:=$tree/build/cvq}"

# --- Check and start ------------------------------------------------------------

report=$("$cvq" check "$model" 2>&1) || {
	code=$?
	printf '%s\n' "$report" >&2
	echo "optimize_and_start.sh: COMMAND was not started (correct that; to start it all the same: cvq run MODEL_DIR -- COMMAND)" >&2
	exit "$code"
}
in_place=(--in-place)
for word; do
	[[ $word != *'{}'* ]] || in_place=()
done
if [ -d "${model%/}-quantized" ] && [ ${#in_place[@]} -gt 0 ]; then
	echo "optimize_and_start.sh: ${model%/}-quantized is there: a program that looks for it will take it, not the view" >&2
fi
export COSYVOICE_FP16="${COSYVOICE_FP16:-true}" COSYVOICE_QUANTIZED="${COSYVOICE_QUANTIZED:-true}"
exec "$cvq" run "${in_place[@]}" "$model" -- "$@"
