#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A checkpoint cut off after any byte, an archive or a legacy stream, is passed through
# and says so, or is served right; so is what is no checkpoint at all. One mount survives
# them all.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_torch

for form in archive stream; do
	mkdir "$original/$form"
	torch broken_checkpoints make truncated "$form" "$original/$form"
done
: >"$original/empty.pt"
echo "just some text" >"$original/text.pt"
printf 'PK\003\004' >"$original/magic.pt"
printf 'PK\005\006%018d' 0 | tr 0 '\0' >"$original/no-entries.pt"
head -c 100000 /dev/zero >"$original/zeros.pt"
head -c 100000 "$CVQ_MOUNT" >"$original/program.pt"
truncate -s 3G "$original/hole.pt"
(cd "$work" && echo x >x && "$PYTHON" -m zipfile -c "$original/other.pt" x)
mkdir "$original/folder.pt"

mount_view
for file in empty text magic no-entries zeros program hole other; do
	expect_state passthrough "$view/$file.pt"
	[ -n "$(info_of "$view/$file.pt" reason)" ] || fail "$file.pt has no reason"
	expect "$(stat -c %s "$original/$file.pt")" "$(stat -c %s "$view/$file.pt")" "size of $file"
	echo "$file: $(info_of "$view/$file.pt" reason)"
done
[ -d "$view/folder.pt" ] || fail "folder.pt is no folder"
rm "$original/hole.pt"
for form in archive stream; do
	timeout 500 "$PYTHON" "$tests/torch/broken_checkpoints.py" check "$original/$form" \
		"$view/$form" || fail "a broken $form is served wrongly"
	[ -e "/proc/$daemon" ] || fail "the daemon died"
	expect_state converted "$view/$form/whole.pt"
done
unmount_view
