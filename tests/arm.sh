#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Checks the kernels of AArch64: compiles them with Debian's cross compiler and runs
# tests/slow/test_convert_all.c in an emulator.  Exits with 77 where these are missing
# (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ $# -gt 1 ] || [ "${1-}" = --help ]; then
	echo "Usage: tests/arm.sh [N]    (every Nth block of values; 1 for all, which takes long)"
	exit 2
fi
stride=${1:-61}
compiler=${CC_AARCH64:-aarch64-linux-gnu-gcc}
emulator=$(command -v qemu-aarch64 || command -v qemu-aarch64-static || true)

if ! command -v "$compiler" >/dev/null || [ -z "$emulator" ]; then
	echo "no cross compiler or no emulator for AArch64 here"
	exit 77
fi

program=$(mktemp)
trap 'rm -f "$program" "$program.out"' EXIT
# Static, so that the emulator needs no AArch64 libraries.
"$compiler" -std=gnu17 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -Iinclude -Isrc -static \
	tests/slow/test_convert_all.c src/numeric/convert.c src/base/threads.c -o "$program" -pthread -lm
"$emulator" "$program" "$stride" | tee "$program.out"
# The portable kernel is there in any case.
grep -q ' neon: ' "$program.out" || {
	echo "the kernel of AArch64 is not in it"
	exit 1
}
