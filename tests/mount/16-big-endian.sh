#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A big-endian source is not converted: it is passed through as it is, and says so.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

torch fixed_checkpoint "$original/big.pt" --big-endian
mount_view
expect_state passthrough "$view/big.pt"
same "$original/big.pt" "$view/big.pt"
unmount_view
