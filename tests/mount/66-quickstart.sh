#!/bin/bash
# SPDX-License-Identifier: MIT
#
# packaging/quickstart.sh builds a fresh checkout and mounts: a sample, or the model that
# it is given, and again where it did so before. With everything there that the build
# needs, it installs nothing.
# Label: slow
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

is_root || skip "an ordinary user does not see packaging/"
need cmake gcc dpkg-query apt-get findmnt
project=$(realpath "$tests/..")
checkout=$work/checkout
mkdir "$checkout" "$work/bin"
tar -C "$project" --exclude='./build*' --exclude=./.git -c . | tar -C "$checkout" -x
printf '#!/bin/sh\necho "it installs: $*" >&2\nexit 1\n' >"$work/bin/apt-get"
chmod +x "$work/bin/apt-get"
PATH=$work/bin:$PATH

# quickstart EXPECTED ARGUMENT...
quickstart()
{
	local expected=$1 status=0

	shift
	"$checkout/packaging/quickstart.sh" "$@" >"$work/out" 2>"$work/quickstart.err" \
		</dev/null || status=$?
	expect "$expected" "$status" "exit code of quickstart.sh $*"
}

says()
{
	grep -qF -- "$1" "$work/out" || fail "it does not say '$1': $(cat "$work/out")"
}

# --- Without a model ------------------------------------------------------------

quickstart 0
sample=$checkout/build/sample-model
shown=$checkout/build/quantized/sample-model
is_mounted "$shown" || fail "the sample is not mounted"
expect_state converted "$shown/llm.pt"
expect_state converted "$shown/flow.pt"
expect_state passthrough "$shown/hift.pt"
"$checkout/build/cvq" verify --quiet "$sample" "$shown" >"$work/verified" ||
	fail "the sample: $(cat "$work/verified")"
says "$sample on $shown: 2 files converted"
says "fusermount3 -u $shown"
unmount "$shown"

# Where there is a torch, it loads the sample, which was made without.
if "$PYTHON" -c 'import torch' 2>/dev/null; then
	"$PYTHON" -c 'import sys, torch
assert torch.load(sys.argv[1])["llm_decoder.weight"].shape == (6564, 896)' "$sample/llm.pt" ||
		fail "torch does not load the sample"
fi
gcc -O2 -Wall -Wextra -Werror -o "$work/make-sample" "$project/packaging/make-sample.c" -lz ||
	fail "make-sample.c has warnings"

# --- With a model, again and again ----------------------------------------------

mkdir "$work/a model"
fixed "$work/a model/llm.pt"
quickstart 0 "a model" "its view"
expect_state converted "$work/its view/llm.pt"
says "$work/a model on $work/its view: 1 file converted"
says 'its\ view'
first=$(status_of "$work/its view" pid)
quickstart 0 "a model" "its view"
says "Replacing the earlier view"
expect_state converted "$work/its view/llm.pt"
wait_for 30 has_ended "$first" || fail "the daemon of the earlier view lives on"
unmount "$work/its view"

# --- Without what it needs ------------------------------------------------------

quickstart 1 "$work/none"
quickstart 1 "a model/llm.pt"
quickstart 1 "a model" "its view" more
quickstart 0 --help
