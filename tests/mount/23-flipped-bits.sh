#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Flipped bits anywhere in the headers or the pickle of an archive or a legacy stream: it
# is passed through and says so, or what torch loads from it is .half() of what torch
# loads from the source.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_torch

for form in archive stream; do
	mkdir "$original/$form"
	torch broken_checkpoints make flipped "$form" "$original/$form"
done
mount_view
for form in archive stream; do
	timeout 550 "$PYTHON" "$tests/torch/broken_checkpoints.py" check "$original/$form" \
		"$view/$form" || fail "a broken $form is served wrongly"
	[ -e "/proc/$daemon" ] || fail "the daemon died"
	expect_state converted "$view/$form/whole.pt"
done
unmount_view
