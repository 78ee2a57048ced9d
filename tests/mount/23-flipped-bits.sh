#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Flipped bits anywhere in a checkpoint's headers or pickle: it is passed through and
# says so, or what torch loads from it is .half() of what torch loads from the source.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_torch

torch broken_checkpoints make flipped "$original"
mount_view
timeout 1100 "$PYTHON" "$tests/torch/broken_checkpoints.py" check "$original" "$view" ||
	fail "a broken checkpoint is served wrongly"
[ -e "/proc/$daemon" ] || fail "the daemon died"
expect_state converted "$view/whole.pt"
unmount_view
