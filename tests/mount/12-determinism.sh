#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The same bytes for ever: SHA-256 of the image of the fixed checkpoint, on every
# machine, with every processor. tests/torch/fixed_image.py arrives at the same
# bytes on another way.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixed "$original/fixed.pt"
expect 322079c0c9422333c5774ebd53968a8909ecab6f386d1071a784c07ed69b4717 \
	"$(sha256sum <"$original/fixed.pt" | cut -d ' ' -f 1)" "the fixed checkpoint itself"

while read -r sum options; do
	# shellcheck disable=SC2086 # several words
	mount_view $options
	expect_state converted "$view/fixed.pt"
	# shellcheck disable=SC2086
	torch fixed_image "$work/expected.pt" $options
	cmp "$view/fixed.pt" "$work/expected.pt" || fail "not the image that $options must give"
	expect "$sum" "$(sha256sum <"$view/fixed.pt" | cut -d ' ' -f 1)" "image with '$options'"
	unmount_view
done <<'END'
ca3e7d6d890cde76d1bbab9096cbf6ade9a62f6f3fdf82839f87b61b94a36795
dae8aedb1dc03f8fdf218e7d563f988eade9bf03cbd1f346e45422ec0d5989f7 --checksum exact
4d6b28f87e1ed26500483116c46629042e364dd953ff4f527cada5188ef89583 --checksum none
bdfd83a696b3138f47cb847c8eaa56ab2c4d843a5def0fba07f9488c190cce18 --dtype bf16
87128bc31ded2b9f84626f6edf137cfe6bbeaaa6a29d13d00b4aa24315884759 --dtype bf16 --overflow clamp --checksum exact
c17b7ce8c7391f4bbc63555bdc3b661ea467d30a8463f34095c0bfd6a1acc8da --overflow clamp
ae5a11140cfe98d0bb5b6221b7dc0df7898d67db7194c5e430e8b71f2e6e4daa --align 4096
50207aee6c1a8cf23597f2fcdc4c2a1391a784d964bdf0ed391e172e6d8a5ead --align 16 --checksum exact
END
