#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Measures cvq beside what a user would take instead: see bench.py, which is given
# all arguments, and results.md, which says what came of it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${CVQ_BUILD:=$PWD/build-bench}"
export CVQ_BUILD

cmake --preset release -B "$CVQ_BUILD" -DCVQ_TESTS=ON >/dev/null
cmake --build "$CVQ_BUILD" -j "$(nproc)" \
	--target cvq-mount cvq-program null_fs read_rate kernel_rate cached_bytes >/dev/null

# libfuse's own example of a file system, where its package brings it along.
example=/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c
rival=$CVQ_BUILD/tests/bench/passthrough_ll
if [ -e "$example" ] && [ ! -e "$rival" ]; then
	# shellcheck disable=SC2046 # several words
	cc -O2 -w -D_GNU_SOURCE "$example" -o "$rival" $(pkg-config --cflags --libs fuse3)
fi
exec "${PYTHON:-/usr/bin/python3}" tests/bench/bench.py "$@"
