#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Numbers of the other byte order: the view of a big-endian file is that of its
# little-endian twin.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

torch fixed_checkpoint "$original/big.pt" --big-endian
torch fixed_checkpoint "$original/little.pt"
! cmp -s "$original/little.pt" "$original/big.pt" || fail "both have one byte order"
mount_view --checksum exact
expect_state converted "$view/big.pt"
same "$view/little.pt" "$view/big.pt"
unmount_view

mount_view
unzip -tq "$view/big.pt" || fail "a checksum is wrong"
unmount_view
