#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A big-endian source is the same model: with true checksums, the very same image.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixed "$original/little.pt"
torch fixed_checkpoint "$original/big.pt" --big-endian
! cmp -s "$original/little.pt" "$original/big.pt" || fail "both byte orders are the same"
mount_view --checksum exact
expect_state converted "$view/big.pt"
same "$view/little.pt" "$view/big.pt"
unmount_view
