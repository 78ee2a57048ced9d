#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Checks the style of the sources. Each check counts as one test.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

if [ $# -gt 1 ] || [ "${1-}" = --help ]; then
	echo "Usage: tests/check-style.sh [BUILD_DIR]    (its compile_commands.json is needed)"
	exit 2
fi
build=${1:-build}
passed=0 failed=0 skipped=0

# check NAME COMMAND...: passed unless it fails; 77 says that it cannot be done here.
check()
{
	local name=$1 status

	shift
	"$@"
	status=$?
	case $status in
	0) passed=$((passed + 1)) && echo "ok    $name" ;;
	77) skipped=$((skipped + 1)) && echo "skip  $name" ;;
	*) failed=$((failed + 1)) && echo "FAIL  $name" ;;
	esac
}

# find_files PATTERN...: all files of the project with such names.
find_files()
{
	local names=() pattern

	for pattern; do
		names+=(-o -name "$pattern")
	done
	find . -path './build*' -prune -o -path ./.git -prune -o \
		-type f \( "${names[@]:1}" \) -print | sort
}

# has PROGRAM: says so if this system lacks it.
has()
{
	command -v "$1" >/dev/null || {
		echo "      $1 is not installed"
		return 1
	}
}

check_format()
{
	has clang-format-14 || return 77
	find_files '*.c' '*.h' '*.cc' | xargs clang-format-14 --dry-run -Werror
}

check_tidy()
{
	local log status

	has clang-tidy-14 || return 77
	[ -f "$build/compile_commands.json" ] || {
		echo "      $build is no build directory (cmake --preset release -DCVQ_TESTS=ON)"
		return 1
	}
	log=$(mktemp) || return 1
	sed -n 's/^ *"file": "\(.*\)",\?$/\1/p' "$build/compile_commands.json" | sort -u |
		xargs -P "$(nproc)" -n 1 clang-tidy-14 -p "$build" --quiet >"$log" 2>&1
	status=$?
	grep -v 'warnings\? generated\.$' "$log"
	rm -f "$log"
	return "$status"
}

check_scripts()
{
	has shellcheck || return 77
	{
		find_files '*.sh' '*.bash'
		echo .ci/run
	} | xargs shellcheck --external-sources --source-path=SCRIPTDIR --source-path=.
}

# The first lines of every source and script name the licence.
check_licence()
{
	local file missing=0

	while IFS= read -r file; do
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT' || {
			echo "      $file: no SPDX line"
			missing=1
		}
	done < <(find_files '*.c' '*.h' '*.cc' '*.sh' '*.py' CMakeLists.txt)
	return "$missing"
}

# A room includes headers of itself and of the rooms below it only.
rooms=(base numeric pickle policy checkpoint image view cosyvoice mount cli)
declare -A below=(
	[base]="" [numeric]="base" [pickle]="base numeric" [policy]="base numeric"
	[checkpoint]="base numeric pickle policy"
	[image]="base numeric pickle policy checkpoint"
	[view]="base numeric pickle policy checkpoint image"
	[cosyvoice]="base numeric pickle policy checkpoint"
	[mount]="base numeric pickle policy checkpoint image view cosyvoice"
	[cli]="base numeric pickle policy checkpoint image view cosyvoice"
)

check_rooms()
{
	local room included line wrong=0

	for room in "${rooms[@]}"; do
		while IFS= read -r line; do
			included=${line##*\"}
			included=${included%%/*}
			[[ " $room cvq ${below[$room]} " == *" $included "* ]] || {
				echo "      ${line%%:*}: $room must not include $included/"
				wrong=1
			}
		done < <(grep -ro '^#include "[^"]*/' "src/$room")
	done
	for room in src/*/; do
		room=${room#src/}
		[[ -v below[${room%/}] ]] || {
			echo "      src/$room: which rooms it may include is not written down"
			wrong=1
		}
	done
	return "$wrong"
}

check "formatting (clang-format)" check_format
check "clang-tidy" check_tidy
check "scripts (shellcheck)" check_scripts
check "a licence in every file" check_licence
check "the order of the rooms" check_rooms

printf '%d passed, %d failed' "$passed" "$failed"
[ "$skipped" = 0 ] || printf ', %d skipped' "$skipped"
printf '\n'
[ "$failed" = 0 ]
