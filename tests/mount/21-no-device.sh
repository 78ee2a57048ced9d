#!/bin/bash
# SPDX-License-Identifier: MIT
#
# No /dev/fuse, none that may be opened, one that is something else: each is said in
# one line. Needs root, to take the device away in a namespace of its own.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

is_root || skip "needs root, to take /dev/fuse away"
fixed "$original/fixed.pt"

# refuses WHAT PREPARATION [COMMAND...]: in a namespace prepared so, run by COMMAND.
refuses()
{
	local what=$1 preparation=$2 status=0

	shift 2
	# shellcheck disable=SC2016 # the inner shell expands these
	unshare --mount --propagation private bash -ec "$preparation"'
		"$@" && status=0 || status=$?
		grep -qF " $0/view " /proc/self/mountinfo && echo "$0/view: is mounted" >&2
		exit "$status"' "$work" "$@" timeout 60 "$CVQ_MOUNT" "$original" "$view" \
		>"$work/refused.out" 2>"$work/refused.err" </dev/null || status=$?
	expect 4 "$status" "exit code for $what ($(cat "$work/refused.err"))"
	expect "" "$(cat "$work/refused.out")" "stdout for $what"
	expect 1 "$(wc -l <"$work/refused.err")" "lines for $what ($(cat "$work/refused.err"))"
	[[ $(cat "$work/refused.err") =~ ^cvq-mount:\ .+:\ .+\ \(.+\)$ ]] ||
		fail "message for $what: $(cat "$work/refused.err")"
	wait_for 5 no_daemons || fail "$what: something is running"
	cat "$work/refused.err"
}

# The rest of /dev stays, for the sanitizers' and libc's sake.
# shellcheck disable=SC2016
hide='mkdir "$0/dev"
	for node in null zero full random urandom tty; do
		touch "$0/dev/$node"
		mount --bind "/dev/$node" "$0/dev/$node"
	done
	mount --rbind "$0/dev" /dev;'
refuses "no /dev/fuse" "$hide"
refuses "a /dev/fuse that is another device" 'mount --bind /dev/zero /dev/fuse;'

user=(setpriv --reuid nobody --regid nogroup --clear-groups)
if "${user[@]}" test -x "$CVQ_MOUNT"; then
	chown -R nobody "$view"
	# shellcheck disable=SC2016
	refuses "a /dev/fuse for root only" 'mknod -m 600 "$0/fuse" c 10 229
		mount --bind "$0/fuse" /dev/fuse; rm "$0/fuse";' "${user[@]}"
	# shellcheck disable=SC2016
	refuses "no fusermount3" '. '"$tests"'/lib-private.sh
		CVQ_PRIVATE_NAMESPACE=1 open_fuse_to_users "$0"
		mount --bind /dev/null "$(command -v fusermount3)";' "${user[@]}"
	chown -R root "$view"
fi
