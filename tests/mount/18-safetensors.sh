#!/bin/bash
# SPDX-License-Identifier: MIT
#
# safetensors are converted for who asks for it by name, and only for him.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

torch safetensors_files write "$original/model.safetensors"

mount_view
expect_state passthrough "$view/model.safetensors"
same "$original/model.safetensors" "$view/model.safetensors"
unmount_view

mount_view --convert '*.pt' --convert '*.safetensors'
expect_state converted "$view/model.safetensors"
torch safetensors_files compare "$original/model.safetensors" "$view/model.safetensors"
unmount_view
