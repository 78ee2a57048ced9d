#!/bin/bash
# SPDX-License-Identifier: MIT
#
# No /dev/fuse, none that may be opened, one that is something else: each is said in
# one line. Needs root, to take the device away in a namespace of its own.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

is_root || skip "needs root, to take /dev/fuse away"
fixed "$original/fixed.pt"
mkdir "$work/dev"
# The user may not see the build.
install -m 755 "$CVQ_MOUNT" "$work/cvq-mount"

# refuses WHAT PREPARATION [COMMAND...]: in a namespace with a /dev of its own, run by
# COMMAND. There is no /dev/fuse in it unless PREPARATION makes one in $0/dev.
refuses()
{
	local what=$1 preparation=$2 status=0

	shift 2
	# shellcheck disable=SC2016 # the inner shell expands these
	unshare --mount --propagation private bash -ec "$forget_views"'
		mount -t tmpfs -o mode=755 tmpfs "$0/dev"
		mknod -m 666 "$0/dev/null" c 1 3
		mknod -m 666 "$0/dev/zero" c 1 5
		mknod -m 666 "$0/dev/urandom" c 1 9
		'"$preparation"'
		mount --bind "$0/dev" /dev
		"$@" && status=0 || status=$?
		grep -qF " $0/view " /proc/self/mountinfo && echo "$0/view: is mounted" >&2
		exit "$status"' "$work" "$@" timeout 60 "$work/cvq-mount" "$original" "$view" \
		>"$work/refused.out" 2>"$work/refused.err" </dev/null || status=$?
	expect 4 "$status" "exit code for $what ($(cat "$work/refused.err"))"
	expect "" "$(cat "$work/refused.out")" "stdout for $what"
	expect 1 "$(wc -l <"$work/refused.err")" "lines for $what ($(cat "$work/refused.err"))"
	[[ $(cat "$work/refused.err") =~ ^cvq-mount:\ .+:\ .+\ \(.+\)$ ]] ||
		fail "message for $what: $(cat "$work/refused.err")"
	wait_for 5 no_daemons || fail "$what: something is running"
	cat "$work/refused.err"
}

# shellcheck disable=SC2016 # the inner shell expands these
{
	refuses "no /dev/fuse" ''
	refuses "a /dev/fuse that is another device" 'mknod -m 666 "$0/dev/fuse" c 1 5'

	user=(setpriv --reuid nobody --regid nogroup --clear-groups)
	chown nobody "$view"
	refuses "a /dev/fuse for root only" 'mknod -m 600 "$0/dev/fuse" c 10 229' "${user[@]}"
	refuses "no fusermount3" 'mknod -m 666 "$0/dev/fuse" c 10 229
		mount --bind /dev/null "$(command -v fusermount3)"' "${user[@]}"
}
