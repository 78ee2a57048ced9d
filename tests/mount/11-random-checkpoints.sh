#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Random checkpoints: what torch loads from the view, and that the same bytes come
# whatever is read first, in whatever ranges, by however many threads.
# CVQ_TEST_SEEDS, if set, names other seeds.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need unzip
need_torch

read -r -a seeds <<<"${CVQ_TEST_SEEDS:-1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16}"
for seed in "${seeds[@]}"; do
	torch random_checkpoints "$seed" "$original/$seed.pt"
done

list_archives()
{
	local file

	for file in "$view"/*.pt; do
		if [ "$(head -c 2 "$file")" = PK ]; then
			echo "$file"
		fi
	done
}

# all_ranges OPTION...: of every file; what they are compared with is in $work/copy.
all_ranges()
{
	local seed

	for seed in "${seeds[@]}"; do
		"$tools/read_ranges" -s "$seed" "$@" "$view/$seed.pt" "$work/copy/$seed.pt" ||
			fail "ranges of seed $seed differ"
	done
}

for options in "" --checksum=exact --checksum=none "--align=4096 --overflow=clamp"; do
	echo "options: ${options:-none}"
	rm -rf "$work/copy"

	# shellcheck disable=SC2086 # several words
	mount_view $options
	# shellcheck disable=SC2086
	compare --expect converted ${options/--align=4096/}
	cp -r "$view" "$work/copy"
	if [ "$options" != --checksum=none ]; then
		mapfile -t archives < <(list_archives)
		"$tools/zip_check" "${archives[@]}" || fail "libzip finds a fault"
		for file in "${archives[@]}"; do
			unzip -tqq "$file" || fail "unzip -t finds a fault in $file"
		done
	fi
	all_ranges -n 500
	unmount_view

	# shellcheck disable=SC2086
	mount_view $options
	all_ranges -r -n 500 -t 8
	unmount_view
done
