#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Options, as words of their own and behind -o; and what they do.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir "$original/below"
fixed "$original/llm.pt" "$original/hift.pt" "$original/MyHiFiGAN.pt" "$original/spk2info-2.pt" \
	"$original/llm.ckpt" "$original/below/flow.pt" "$original/UPPER.PT"

# states: which files are converted, in one line.
states()
{
	local file names=()

	while IFS= read -r file; do
		[ "$(info_of "$view/$file" state)" != converted ] || names+=("$file")
	done < <(cd "$view" && find . -type f -printf '%P\n' | LC_ALL=C sort)
	echo "${names[*]}"
}

# check EXPECTED OPTION...
check()
{
	local expected=$1

	shift
	mount_view "$@"
	expect "$expected" "$(states)" "what '$*' converts"
	unmount_view
}

check "below/flow.pt llm.pt"
check "MyHiFiGAN.pt below/flow.pt hift.pt llm.pt" --quantize-hift
check "MyHiFiGAN.pt below/flow.pt hift.pt llm.pt" -o quantize_hift
check "below/flow.pt" --keep 'llm*'
check "" --keep 'llm*' --keep=flow.pt
check "" -o 'keep=llm*,keep=below/*'
check "llm.ckpt" --convert '*.ckpt'
check "below/flow.pt llm.ckpt llm.pt" --convert '*.ckpt' --convert '*.pt'
# What a generic mount option, fstab or systemd adds is no business of cvq's.
check "below/flow.pt llm.pt" -o ro,noauto,nofail,user,nosuid,nodev,noatime,_netdev,x-systemd.automount
check "below/flow.pt llm.pt" -o ro -o quantize_hift,keep='*hift*',keep='*HiFi*',align=4096 -o timeout=0.5

# converted_storages OPTION...: of llm.pt
converted_storages()
{
	mount_view "$@"
	info_of "$view/llm.pt" converted_storages
	unmount_view
}

all=$(converted_storages)
fewer=$(converted_storages --keep-tensor 'special.*' --keep-tensor noise)
expect $((all - 2)) "$fewer" "converted storages with two kept"
# A kept tensor keeps what shares its storage.
expect $((all - 1)) "$(converted_storages -o keep_tensor=tied.weight)" "with a tied one kept"

mount_view -o dtype=bf16,checksum=none,overflow=clamp
expect bf16 "$(info_of "$view/llm.pt" dtype)" "dtype"
torch fixed_image "$work/expected.pt" --dtype bf16 --checksum none --overflow clamp
same "$work/expected.pt" "$view/llm.pt"
unmount_view

# Options may follow the names, as mount(8) puts them.
timeout 60 "$CVQ_MOUNT" "$original" "$view" -o ro,checksum=none >"$work/mount.out"
torch fixed_image "$work/expected.pt" --checksum none
same "$work/expected.pt" "$view/llm.pt"
[ -n "$(status_of "$view" version)" ] || fail "the status has no version"
expect "$original" "$(status_of "$view" source)" "source in the status"
unmount_view
