#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Ordinary readers: zip programs, copying, mmap. None of them sees anything odd.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need unzip rsync
need_torch

torch models "$original" --model CosyVoice2-0.5B
fixed "$original/fixed.pt"
mapfile -t checkpoints < <(cd "$original" && find . -name '*.pt' -type f)
mount_view

# Zip programs read every record to its end and compare its CRC-32.
for file in "${checkpoints[@]}"; do
	unzip -tqq "$view/$file" || fail "unzip -t finds a fault in $file"
	"$tools/zip_check" "$view/$file" || fail "libzip finds a fault in $file"
	"$PYTHON" -m zipfile -t "$view/$file" >"$work/zipfile.out" || fail "zipfile fails: $file"
	! grep -q corrupted "$work/zipfile.out" || fail "zipfile: $(cat "$work/zipfile.out")"
done

# Copies are the view, however they are made; the second time from the page cache.
cp -r "$view" "$work/copy"
diff -r "$view" "$work/copy" || fail "cp -r made something else"
rsync -a "$view/" "$work/synced/"
differences=$(rsync -acni "$view/" "$work/synced/")
expect "" "$differences" "what rsync -c finds"
torch compare "$original" "$work/copy" --expect converted ||
	fail "the copy is not what .half() makes"

# A mapped file has the bytes of a file that is read.
"$PYTHON" - "$view/fixed.pt" "$work/copy/fixed.pt" <<'END' || fail "mmap gives other bytes"
import mmap, sys
with open(sys.argv[1], "rb") as view, open(sys.argv[2], "rb") as copy:
    with mmap.mmap(view.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        backwards = [mapped[at:at + 999] for at in range(len(mapped) // 999 * 999, -1, -999)]
        sys.exit(b"".join(reversed(backwards)) != copy.read())
END

# What is passed through is the source's, to the byte.
while IFS= read -r file; do
	[ -n "$(info_of "$view/$file" state)" ] || fail "$file has no state"
	if [ "$(info_of "$view/$file" state)" = passthrough ]; then
		same "$original/$file" "$view/$file"
		echo "$file: $(info_of "$view/$file" reason)"
	fi
done < <(cd "$original" && find . -type f)
unmount_view
