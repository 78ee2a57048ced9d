#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Installs what the tests need, builds, and runs them all. The last line of the
# output is the sum: "N passed, N failed", and ", N skipped" if any were.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

usage()
{
	cat <<'END'
Usage: tests/run.sh [--quick] [--brief] [--no-install] [STEP...]

Steps; all of them if none is named:
  release   everything ctest has, on a release build with warnings as errors
  asan      unit and mount tests but the slow ones, briefly, under AddressSanitizer and UBSan
  tsan      the same under ThreadSanitizer
  fuzz      the fuzz targets for some seconds each, on a build by clang
  style     formatting, clang-tidy, shellcheck, the order of the rooms
  debian13  the release step, briefly, in a Debian 13 tree (only on Debian 12, as root)

  --quick       leave out the tests labelled slow
  --brief       leave out the benchmark, and of the second runs as an ordinary user all
                but those that go other ways than root's
  --no-install  install nothing

CVQ_BUILD_ROOT, if set, is where build/, build-asan/, ... are made.
END
}

# --- What was asked -------------------------------------------------------------

all_steps=(release asan tsan fuzz style debian13)
steps=()
install=true
quick=false
brief=false
for argument; do
	case $argument in
	-h | --help)
		usage
		exit 0
		;;
	--quick) quick=true ;;
	--brief) brief=true ;;
	--no-install) install=false ;;
	release | asan | tsan | fuzz | style | debian13) steps+=("$argument") ;;
	*)
		echo "run.sh: $argument: no such step or option (see --help)" >&2
		exit 2
		;;
	esac
done
[ ${#steps[@]} -gt 0 ] || steps=("${all_steps[@]}")

# --- A place of our own ---------------------------------------------------------

# shellcheck source=tests/lib-private.sh
. tests/lib-private.sh
if [ "$(id -u)" = 0 ]; then
	enter_private_namespace tests/run.sh "$@"
fi

build_root=${CVQ_BUILD_ROOT:-$PWD}
jobs=$(nproc)
scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/cvq-run.XXXXXX") || exit 1
chmod 755 "$scratch"
trap 'clear_leftovers >&2; end_python_server; rm -rf --one-file-system "$scratch"' EXIT
trap 'exit 130' INT TERM
if [ "$(id -u)" = 0 ]; then
	open_fuse_to_users "$scratch"
fi

# --- Counting -------------------------------------------------------------------

table=()
total_passed=0 total_failed=0 total_skipped=0

# result STEP PASSED FAILED SKIPPED NOTE
result()
{
	total_passed=$((total_passed + $2))
	total_failed=$((total_failed + $3))
	total_skipped=$((total_skipped + $4))
	table+=("$(printf '%-10s %7d %7d %8d %6ds  %s' "$1" "$2" "$3" "$4" \
		$((SECONDS - step_start)) "$5")")
}

print_sum()
{
	printf '\n%-10s %7s %7s %8s %7s\n' step passed failed skipped time
	printf '%s\n' "${table[@]}"
	printf '\n%d passed, %d failed' "$total_passed" "$total_failed"
	[ "$total_skipped" = 0 ] || printf ', %d skipped' "$total_skipped"
	printf '\n'
}

# --- What a step leaves behind --------------------------------------------------

# Views anywhere, and whatever is mounted below our own folder.
list_mounts()
{
	findmnt -rn -o FSTYPE,TARGET |
		awk -v ours="$scratch/tmp/" '$1 == "fuse.cvq-mount" || index($2, ours) == 1 { print $2 }' |
		sort
}

# Every process that a test started has this in its environment.
marker="CVQ_TEST_RUN=$$.$(date +%s%N)"

list_processes()
{
	local environment process

	for environment in /proc/[0-9]*/environ; do
		process=${environment#/proc/}
		process=${process%/environ}
		if grep -qzsxF "$marker" "$environment"; then
			echo "$process"
		fi
	done
}

# A daemon ends a moment after its view is gone.
await_processes()
{
	for _ in {1..30}; do
		[ -n "$(list_processes)" ] || break
		sleep 0.1
	done
}

# Ends and removes what should not be there any more, and counts it.
leftovers=0
clear_leftovers()
{
	local mounts process path

	leftovers=0
	[ -d "$scratch/tmp" ] || return
	mapfile -t mounts < <(list_mounts | comm -13 "$scratch/mounts" -)
	for path in "${mounts[@]}"; do
		path=$(printf %b "$path") # findmnt writes a space as \x20
		echo "left mounted: $path"
		umount -l "$path" 2>/dev/null || fusermount3 -uz "$path"
		leftovers=$((leftovers + 1))
	done
	for process in $(list_processes); do
		echo "left running: $process $(tr '\0' ' ' <"/proc/$process/cmdline")"
		kill -KILL "$process" 2>/dev/null
		leftovers=$((leftovers + 1))
	done
	# ThreadSanitizer makes a file as a program starts, and removes it at once: unless a
	# test kills the program just then.
	while IFS= read -r -d '' path; do
		echo "left behind: $path"
		leftovers=$((leftovers + 1))
	done < <(find "$scratch/tmp" -mindepth 1 -maxdepth 1 ! -name 'tsan.rodata.*' -print0)
	rm -rf --one-file-system "$scratch/tmp"
}

# --- A Python that all tests share ------------------------------------------------

python_server=
start_python_server()
{
	local socket=$scratch/python.socket

	# Who names a Python means that one.
	[ -z "${PYTHON-}${CVQ_TEST_PYTHON_SERVER-}" ] || return 0
	TMPDIR=$scratch PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 \
		tests/tools/python_server.py "$socket" </dev/null 9>&- &
	python_server=$!
	until [ -S "$socket" ]; do
		kill -0 "$python_server" 2>/dev/null || return
		sleep 0.1
	done
	export CVQ_TEST_PYTHON_SERVER=$socket
}

end_python_server()
{
	[ -n "$python_server" ] || return
	kill "$python_server" && wait "$python_server"
	python_server=
} 2>/dev/null

# --- ctest ----------------------------------------------------------------------

# quietly NAME COMMAND...: shows the output only if the command fails.
quietly()
{
	local log=$scratch/$1.log

	shift
	"$@" >"$log" 2>&1 && return
	cat "$log"
	return 1
}

# build PRESET FOLDER [TARGET...]
build()
{
	local preset=$1 folder=$build_root/$2

	shift 2
	quietly "configure-$preset" cmake --preset "$preset" -B "$folder" \
		-DCVQ_TESTS=ON -DCVQ_WERROR=ON &&
		quietly "build-$preset" cmake --build "$folder" --parallel "$jobs" ${1:+--target "$@"}
}

# attribute NAME FILE: of the test suite in ctest's JUnit file.
attribute()
{
	tr '\n\t' '  ' <"$2" | grep -o '<testsuite [^>]*>' | grep -o " $1=\"[0-9]*\"" |
		grep -o '[0-9]*' || echo 0
}

# ctest_step STEP FOLDER COMMAND...: the command is ctest, or something that starts it.
ctest_step()
{
	local step=$1 folder=$2 junit=$scratch/$1.xml report status
	local tests=0 failed=0 skipped=0 notes=()

	shift 2
	start_python_server
	$quick && set -- "$@" -LE slow
	mkdir -m 1777 "$scratch/tmp" "$scratch/sanitizer-$step"
	chmod 1777 "$scratch/tmp" "$scratch/sanitizer-$step"
	list_mounts >"$scratch/mounts"

	# A daemon's stderr leads nowhere, so sanitizers write to files.
	local reports="log_path=$scratch/sanitizer-$step/report"
	env "$marker" TMPDIR="$scratch/tmp" PYTHONDONTWRITEBYTECODE=1 \
		ASAN_OPTIONS="$reports" UBSAN_OPTIONS="$reports:print_stacktrace=1" \
		TSAN_OPTIONS="$reports:second_deadlock_stack=1" \
		"$@" --test-dir "$build_root/$folder" --output-junit "$junit" \
		--parallel "$jobs" --timeout 1200 --output-on-failure --no-tests=error </dev/null
	status=$?
	await_processes

	if [ -s "$junit" ]; then
		tests=$(attribute tests "$junit")
		failed=$(attribute failures "$junit")
		skipped=$(($(attribute skipped "$junit") + $(attribute disabled "$junit")))
	fi
	local passed=$((tests - failed - skipped))
	if [ "$status" != 0 ] && [ "$failed" = 0 ]; then
		failed=1
		notes+=("ctest ended with $status")
	fi
	for report in "$scratch/sanitizer-$step"/*; do
		[ -f "$report" ] || continue
		echo "--- a sanitizer's report of $step"
		cat "$report"
		failed=$((failed + 1))
		notes+=("a sanitizer's report")
	done
	clear_leftovers
	if [ "$leftovers" -gt 0 ]; then
		failed=$((failed + leftovers))
		notes+=("$leftovers left behind")
	fi
	result "$step" "$passed" "$failed" "$skipped" "${notes[*]-}"
}

# --- The steps ------------------------------------------------------------------

# The cases whose second runs are not left out: models, readers, wrong usage, changes,
# places, ends, the page cache, permissions.
brief_users='(10|13|20|32|33|34|42|43)'
brief_tests="^((unit|slow)/|mount/([^/]*|$brief_users-[^/]*/user)$)"

step_release()
{
	local selection=()

	$brief && selection=(--tests-regex "$brief_tests")
	if build release build; then
		ctest_step release build ctest "${selection[@]}"
	else
		result release 0 1 0 "does not build"
	fi
}

step_asan()
{
	if build asan build-asan; then
		ctest_step asan build-asan ctest --tests-regex "$brief_tests" -LE slow
	else
		result asan 0 1 0 "does not build"
	fi
}

# ThreadSanitizer's runtime cannot cope with much randomness in addresses.
step_tsan()
{
	local fixed=()

	setarch -R true 2>/dev/null && fixed=(setarch -R)
	if build tsan build-tsan; then
		ctest_step tsan build-tsan "${fixed[@]}" ctest --tests-regex "$brief_tests" -LE slow
	else
		result tsan 0 1 0 "does not build"
	fi
}

step_fuzz()
{
	local targets

	mapfile -t targets < <(find tests/fuzz -name 'fuzz_*.c' -exec basename {} .c \;)
	if ! command -v clang-14 >/dev/null; then
		result fuzz 0 0 1 "no clang-14 here"
	elif build fuzz build-fuzz "${targets[@]}"; then
		ctest_step fuzz build-fuzz ctest --tests-regex '^fuzz/'
	else
		result fuzz 0 1 0 "does not build"
	fi
}

step_style()
{
	if [ ! -f "$build_root/build/compile_commands.json" ]; then
		quietly configure-style cmake --preset release -B "$build_root/build" -DCVQ_TESTS=ON
	fi
	counted_step style bash tests/check-style.sh "$build_root/build"
}

step_debian13()
{
	local arguments=()

	# shellcheck source=/dev/null
	if (. /etc/os-release && [ "$ID$VERSION_ID" != debian12 ]); then
		result debian13 0 0 1 "this is not Debian 12, the release step ran right here"
		return
	elif [ "$(id -u)" != 0 ]; then
		result debian13 0 0 1 "needs root"
		return
	fi
	$quick && arguments=(--quick)
	counted_step debian13 bash tests/debian13.sh "${arguments[@]}"
}

# counted_step STEP COMMAND...: the command's last line is a sum like ours.
counted_step()
{
	local step=$1 log=$scratch/$1.log status numbers note=

	shift
	"$@" 2>&1 | tee "$log"
	status=${PIPESTATUS[0]}
	read -r -a numbers < <(tail -n 1 "$log" |
		sed -nE 's/^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$/\1 \2 \4/p')
	if [ "${#numbers[@]}" = 0 ] || { [ "$status" != 0 ] && [ "${numbers[1]}" = 0 ]; }; then
		numbers=("${numbers[0]-0}" 1 "${numbers[2]-0}")
		note="ended with $status"
	fi
	result "$step" "${numbers[0]}" "${numbers[1]}" "${numbers[2]-0}" "$note"
}

if $install; then
	sets=(test)
	for step in "${steps[@]}"; do
		case $step in
		release) $quick || sets+=(arm package) ;;
		fuzz | style | debian13) sets+=("$step") ;;
		esac
	done
	step_start=$SECONDS
	if ! packaging/install-dependencies.sh "${sets[@]}"; then
		result install 0 1 0 "what the tests need could not be installed"
		print_sum
		exit 1
	fi
fi
for step in "${steps[@]}"; do
	printf '\n=== %s\n' "$step"
	step_start=$SECONDS
	"step_$step"
done
print_sum
[ "$total_failed" = 0 ]
