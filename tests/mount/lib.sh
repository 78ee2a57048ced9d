# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What every case of tests/mount starts with:
#
#	. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#
# A case is a bash script that ends with 0 if all was well, 77 if it cannot run
# here, else with a message. It works in $work, a folder of its own, on a source
# $original that it fills and a mountpoint $view. When it ends, nothing may be left
# mounted or running and no sanitizer may have reported anything.
#
# CVQ_MOUNT is the program under test, CVQ_BUILD the build directory. With
# CVQ_TEST_USER=NAME root runs the case as that user.
# shellcheck disable=SC2034 # the cases use these variables
set -euo pipefail

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
: "${CVQ_BUILD:?is not set to the build directory}"
: "${CVQ_MOUNT:=$CVQ_BUILD/cvq-mount}"
: "${PYTHON:=/usr/bin/python3}"
: "${CVQ:=$CVQ_BUILD/cvq}"
export CVQ_MOUNT CVQ
tools=${CVQ_TOOLS:-$CVQ_BUILD/tests/tools}
own_python=$PYTHON # for what is sent signals, has a terminal, or measures memory
if [ -n "${CVQ_TEST_PYTHON_SERVER-}" ]; then
	PYTHON=$tools/served_python # torch has been imported there already
fi
case_name=$(basename "$0" .sh)

fail()
{
	echo "FAILED: $*" >&2
	exit 1
}

# For the end of a pipe. grep -q ends at the first line found, and with pipefail the
# whole has failed if the side before it still has something to say.
matches()
{
	grep "$@" >/dev/null
}

# built_with PATTERN: whether the programs under test are, with libasan for example.
built_with()
{
	ldd "$CVQ_MOUNT" | matches -e "$1"
}

skip()
{
	echo "SKIPPED: $*"
	exit 77
}

# --- As an ordinary user --------------------------------------------------------

# To be run first in a new mount namespace: lets go of the views that others have
# mounted meanwhile, or their daemons would live on until this namespace ends.
# shellcheck disable=SC2016 # the inner shell expands these
forget_views='findmnt -rn -t fuse.cvq-mount -o TARGET | while IFS= read -r mounted; do
		umount -c -l "$(printf %b "$mounted")" || true
	done;'

# In a mount namespace of its own, root shows the user this tree, the build and a
# /dev/fuse for all, wherever they lie and whatever their modes are.
run_as_user()
{
	local stage status=0

	stage=$(mktemp -d "${CVQ_TEST_TMP:-${TMPDIR:-/tmp}}/cvq-$case_name.user.XXXXXX")
	chmod 755 "$stage"
	mkdir "$stage/tests" "$stage/build" "$stage/node" "$stage/memory"
	mkdir -m 700 "$stage/tmp"
	chown "$1" "$stage/tmp"
	# shellcheck disable=SC2016 # the inner shell expands these
	unshare --mount --propagation private bash -ec "$forget_views"'
		user=$1 stage=$2 name=$3 tests=$4
		. "$tests/lib-private.sh"
		mount -t tmpfs tmpfs "$stage/node" # for /tmp may be mounted without devices
		CVQ_PRIVATE_NAMESPACE=1 open_fuse_to_users "$stage/node"
		mount --bind "$CVQ_BUILD" "$stage/build"
		mount --bind "$tests" "$stage/tests"
		export CVQ_MOUNT=$stage/build/${CVQ_MOUNT#"$CVQ_BUILD/"} CVQ_BUILD=$stage/build
		export CVQ_TEST_TMP=$stage/tmp TMPDIR=$stage/tmp
		mount -t tmpfs -o mode=1777 tmpfs "$stage/memory"
		export CVQ_TEST_MEMORY=$stage/memory
		unset CVQ_TEST_USER CVQ_TOOLS CVQ
		exec setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups \
			bash "$stage/tests/mount/$name.sh"' \
		bash "$1" "$stage" "$case_name" "$tests" || status=$?
	rm -rf --one-file-system "$stage"
	exit "$status"
}

is_root()
{
	[ "$(id -u)" = 0 ]
}

[ -x "$CVQ_MOUNT" ] || fail "$CVQ_MOUNT is not there"
if [ -n "${CVQ_TEST_USER-}" ]; then
	is_root || skip "not root: the case by its plain name already runs as an ordinary user"
	[ -u "$(command -v fusermount3)" ] || skip "fusermount3 is not setuid"
	case $CVQ_MOUNT in
	"$CVQ_BUILD"/*) ;;
	*) fail "$CVQ_MOUNT is not in $CVQ_BUILD" ;;
	esac
	run_as_user "$CVQ_TEST_USER"
fi

# --- A place of our own ---------------------------------------------------------

[ -c /dev/fuse ] || skip "no /dev/fuse"
work=$(mktemp -d "${CVQ_TEST_TMP:-${TMPDIR:-/tmp}}/cvq-$case_name.XXXXXX")
work=$(realpath "$work")
chmod 755 "$work"
original=$work/original
view=$work/view
mkdir "$original" "$view"
cd "$work" # programs that leave files behind leave them here

# Nobody's configuration (an empty one of ours hides this machine's), and reports of
# daemons where we find them.
export HOME=$work XDG_CONFIG_HOME=$work/config PYTHONDONTWRITEBYTECODE=1
config=$XDG_CONFIG_HOME/cvq/cvq.ini
mkdir -p "${config%/*}"
: >"$config"
reports=log_path=$work/sanitizer
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}$reports
export UBSAN_OPTIONS=${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}$reports:print_stacktrace=1
echo race:tzset_internal >"$work/suppressions" # glibc has a lock there of its own kind
echo leak:fuse_session_mount >"$work/leaks" # libfuse frees the path only if it unmounts it
export LSAN_OPTIONS=${LSAN_OPTIONS:+$LSAN_OPTIONS:}suppressions=$work/leaks:print_suppressions=0
export TSAN_OPTIONS=${TSAN_OPTIONS:+$TSAN_OPTIONS:}$reports:exitcode=66:suppressions=$work/suppressions

# --- What is mounted and running ------------------------------------------------

# All mountpoints in our folder, the last one first; blanks and \ in them as the
# kernel writes them.
list_mounts()
{
	awk -v work="$work/" 'index($5 "/", work) == 1 { list = $5 "\n" list }
		END { printf "%s", list }' /proc/self/mountinfo
}

is_mounted()
{
	local path=${1//\\/\\134}

	path=${path// /\\040}
	path=${path//$'\t'/\\011}
	list_mounts | matches -xF -- "${path//$'\n'/\\012}"
}

# The daemons of this case: cvq-mount processes that name our folder, or have it in their
# environment where they were given relative names.
list_daemons()
{
	local process

	for process in $(pgrep -x cvq-mount); do
		if grep -qsaF -- "$work/" "/proc/$process/"{cmdline,environ}; then
			echo "$process"
		fi
	done
}

# wait_for SECONDS COMMAND...: until the command is true.
wait_for()
{
	local tenths=$(($1 * 10))

	shift
	until "$@"; do
		[ $((tenths--)) -gt 0 ] || return 1
		sleep 0.1
	done
}

has_ended()
{
	[ ! -e "/proc/$1" ] || grep -q '^State:	Z' "/proc/$1/status" 2>/dev/null
}

no_daemons()
{
	[ -z "$(list_daemons)" ]
}

check_sanitizers()
{
	local report

	for report in "$work"/sanitizer.*; do
		[ -e "$report" ] || continue
		cat "$report" >&2
		fail "a sanitizer reported something"
	done
}

finish()
{
	local status=$? left process

	trap - EXIT
	set +e
	# shellcheck disable=SC2046 # one word a job
	kill $(jobs -p) 2>/dev/null
	[ -z "${in_memory-}" ] || umount "$in_memory"
	left=$(list_mounts)
	while IFS= read -r mounted && [ -n "$mounted" ]; do
		printf -v mounted %b "${mounted//\\/\\0}"
		umount -l "$mounted" 2>/dev/null || fusermount3 -u -z "$mounted" 2>/dev/null
	done <<<"$left"
	[ "$status" != 0 ] || [ -z "$left" ] || {
		echo "FAILED: left mounted: $left" >&2
		status=1
	}
	if ! wait_for 20 no_daemons; then
		process=$(list_daemons)
		echo "FAILED: left running: $process" >&2
		xargs kill -KILL <<<"$process"
		status=1
	fi
	(check_sanitizers) || status=1
	[ "$status" = 0 ] || [ "$status" = 77 ] || tail -n 20 "$work"/*.err >&2 2>/dev/null
	chmod -R u+rwX "$work" 2>/dev/null
	rm -rf --one-file-system "$work"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

# --- Mounting -------------------------------------------------------------------

# mount_at SOURCE MOUNTPOINT [OPTION...]: $daemon is its process, $summary its line.
mount_at()
{
	local source=$1 mountpoint=$2 status=0

	shift 2
	timeout 120 "$CVQ_MOUNT" "$@" "$source" "$mountpoint" >"$work/mount.out" \
		2>"$work/mount.err" </dev/null || status=$?
	[ "$status" = 0 ] ||
		fail "cvq-mount $* ended with $status: $(cat "$work/mount.err")"
	is_mounted "$mountpoint" || fail "cvq-mount returned before $mountpoint was mounted"
	summary=$(cat "$work/mount.out")
	daemon=$(status_of "$mountpoint" pid)
	[ -e "/proc/$daemon" ] || fail "user.cvq.status names no living process: $daemon"
}

# mount_view [OPTION...]
mount_view()
{
	mount_at "$original" "$view" "$@"
}

# unmount MOUNTPOINT: as a user does; its daemon has to end by itself.
unmount()
{
	local ending

	ending=$(status_of "$1" pid)
	fusermount3 -u "$1" || fail "$1 cannot be unmounted"
	! is_mounted "$1" || fail "$1 is still mounted"
	wait_for 30 has_ended "$ending" || fail "the daemon of $1 outlives its mount"
	check_sanitizers
}

unmount_view()
{
	unmount "$view"
}

# --- Looking --------------------------------------------------------------------

# attribute FILE NAME FIELD: of an extended attribute that holds JSON.
attribute()
{
	"$tools/json_attribute" "$@"
}

info_of()
{
	attribute "$1" user.cvq.info "$2"
}

status_of()
{
	attribute "$1" user.cvq.status "$2"
}

# expect EXPECTED ACTUAL WHAT
expect()
{
	[ "$1" = "$2" ] || fail "$3: expected '$1', got '$2'"
}

# expect_state STATE FILE
expect_state()
{
	local state

	state=$(info_of "$2" state)
	[ "$state" = "$1" ] || fail "$2 is $state, not $1: $(info_of "$2" reason)"
}

same()
{
	cmp -- "$1" "$2" || fail "$1 and $2 differ"
}

# expect_summary CONVERTED PASSED: the numbers of files in the last mount's line.  Where
# counting took too long it says "at least", and may say less.
expect_summary()
{
	local pattern=': (at least )?([0-9]+) files? converted .*, ([0-9]+) passed through$'

	[[ $summary =~ $pattern ]] || fail "the summary reads: $summary"
	if [ -n "${BASH_REMATCH[1]}" ]; then
		[ "${BASH_REMATCH[2]}" -le "$1" ] && [ "${BASH_REMATCH[3]}" -le "$2" ]
	else
		[ "${BASH_REMATCH[2]} ${BASH_REMATCH[3]}" = "$1 $2" ]
	fi || fail "the summary does not speak of $1 and $2 files: $summary"
}

# --- Making and comparing -------------------------------------------------------

# need PROGRAM...
need()
{
	local program

	for program; do
		command -v "$program" >/dev/null || skip "$program is not installed"
	done
}

need_torch()
{
	"$PYTHON" -c 'import torch' 2>/dev/null || skip "no torch for $PYTHON"
}

# torch SCRIPT [ARGUMENT...]: one of tests/torch.
torch()
{
	local script=$1

	shift
	"$PYTHON" "$tests/torch/$script.py" "$@"
}

# Has $original in memory from here on, if that can be arranged; it is empty then.
use_memory()
{
	if is_root; then
		mount -t tmpfs -o mode=755 tmpfs "$original" && in_memory=$original
	elif [ -n "${CVQ_TEST_MEMORY-}" ]; then
		original=$(mktemp -d "$CVQ_TEST_MEMORY/original.XXXXXX")
	fi
}

# fixed FILE...: the checkpoint that needs no torch.
fixed()
{
	local file

	for file; do
		torch fixed_checkpoint "$file"
	done
}

# await_readers PROCESS...: programs that compare what they read, and that run at once.
await_readers()
{
	local reader

	for reader; do
		wait "$reader" || fail "one of $# readers at once read something else"
	done
}

# damage_entry ARCHIVE: the largest of its entries, in the middle of its payload.
damage_entry()
{
	"$PYTHON" - "$1" <<-'EOF'
		import sys, zipfile
		with zipfile.ZipFile(sys.argv[1]) as archive:
		    entry = max(archive.infolist(), key=lambda entry: entry.compress_size)
		with open(sys.argv[1], "r+b") as file:
		    file.seek(entry.header_offset + entry.compress_size // 2)
		    file.write(b"damage!!")
	EOF
}

# compare [OPTION...]: all checkpoints of the view with the source's.
compare()
{
	torch compare "$original" "$view" "$@" || fail "the view is not what .half() makes"
}
