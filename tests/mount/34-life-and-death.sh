#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Life and death of a mount: it ends cleanly in every way that users end it, and a
# dead one is cleared away.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fixed "$original/llm.pt"
torch fixed_image "$work/image.pt"

# ended HOW
ended()
{
	wait_for 20 has_ended "$daemon" || fail "the daemon survives $1"
	! is_mounted "$view" || fail "the view survives $1"
	check_sanitizers
}

for signal in TERM INT; do
	mount_view
	kill -$signal "$daemon"
	ended "SIG$signal"

	# With a file open, and a folder as somebody's current one.
	mount_view
	exec 5<"$view/llm.pt"
	(cd "$view" && sleep 2) &
	wait_for 10 test "/proc/$!/cwd" -ef "$view" || fail "nobody is in the view"
	head -c 1000 <&5 >/dev/null
	kill -$signal "$daemon"
	wait_for 20 has_ended "$daemon" || fail "an open file makes the daemon survive SIG$signal"
	! is_mounted "$view" || fail "an open file makes the view survive SIG$signal"
	exec 5<&-
	wait
	ended "SIG$signal with a file open"
done

mount_view
umount "$view" || fail "umount fails"
ended umount

# In use it cannot be unmounted, lazily it can; what is open stays readable.
mount_view
exec 5<"$view/llm.pt"
! fusermount3 -u "$view" 2>/dev/null || fail "a view with an open file can be unmounted"
is_mounted "$view" || fail "a failed unmount took the view away"
fusermount3 -u -z "$view"
! is_mounted "$view" || fail "the view survives a lazy unmount"
cmp - "$work/image.pt" <&5 || fail "a file open before a lazy unmount cannot be read after"
exec 5<&-
ended "a lazy unmount"

# A daemon takes its own view away, and nothing that is at that place by then: a later
# view, while somebody has a file of the first one open,
mount_view
first=$daemon
exec 5<"$view/llm.pt"
fusermount3 -u -z "$view"
mount_view
kill -TERM "$first"
wait_for 20 has_ended "$first" || fail "a daemon with a file open survives SIGTERM"
is_mounted "$view" || fail "the end of a daemon takes the view of another away"
same "$work/image.pt" "$view/llm.pt"
exec 5<&-
unmount_view

# nor what lies over the view; that is dead then, and cleared by the next one.
if is_root; then
	mount_view
	mount -t tmpfs tmpfs "$view"
	touch "$view/file"
	kill -TERM "$daemon"
	wait_for 20 has_ended "$daemon" || fail "a daemon whose view is hidden survives SIGTERM"
	[ -e "$view/file" ] || fail "the end of a daemon takes away what is mounted over its view"
	umount "$view"
	mount_view
	expect 1 "$(list_mounts | grep -cxF "$view")" "mounts at the view after a hidden one died"
	unmount_view
fi

# In the foreground; what a shell starts in its background ignores SIGINT.
env --default-signal=INT "$CVQ_MOUNT" -f "$original" "$view" >"$work/mount.out" 2>"$work/mount.err" &
foreground=$!
wait_for 20 is_mounted "$view" || fail "-f does not mount"
wait_for 20 test -s "$work/mount.out" || fail "-f prints no summary"
expect "$foreground" "$(status_of "$view" pid)" "process of -f"
same "$work/image.pt" "$view/llm.pt"
kill -INT "$foreground"
status=0
wait "$foreground" || status=$?
expect 0 "$status" "exit code of -f after SIGINT"
daemon=$foreground
ended "SIGINT in the foreground"

# The daemon holds neither output nor folder of who started it.
summary=$(cd "$original" && timeout 60 "$CVQ_MOUNT" . "$view" 2>&1) ||
	fail "cvq-mount does not let go of its output"
[[ $summary == *" on $view: "* ]] || fail "the summary reads: $summary"
daemon=$(status_of "$view" pid)
expect / "$(readlink "/proc/$daemon/cwd")" "the daemon's folder"
for stream in 0 1 2; do
	expect /dev/null "$(readlink "/proc/$daemon/fd/$stream")" "the daemon's stream $stream"
done
unmount_view

# Nor does fusermount3, which stays with the daemon.
summary=$(timeout 60 bash -c '"$@" 2>&1 | cat' - "$CVQ_MOUNT" -o auto_unmount "$original" "$view") ||
	fail "cvq-mount does not let go of its output with auto_unmount"
[[ $summary == *" on $view: "* ]] || fail "the summary with auto_unmount reads: $summary"
unmount_view

# A signal that comes while it mounts: blocked here, it has come when the view is there.
status=0
"$PYTHON" - "$CVQ_MOUNT" "$original" "$view" >"$work/out" <<'END' || status=$?
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
os.execv(sys.argv[1], sys.argv[1:])
END
expect 143 "$status" "the end of a cvq-mount that got SIGTERM while it mounted"
expect "" "$(cat "$work/out")" "what it says"
! is_mounted "$view" || fail "the view survives SIGTERM while it is mounted"

# Nor one that comes while it waits to say so, here to a pipe that is full.
mkfifo "$work/full"
exec 6<>"$work/full"
dd if=/dev/zero of="$work/full" bs=4096 oflag=nonblock 2>"$work/dd" || true
"$CVQ_MOUNT" "$original" "$view" >"$work/full" 6<&- &
starter=$!
wait_for 20 is_mounted "$view" || fail "a full pipe keeps it from mounting"
wait_for 5 grep -q pipe_write "/proc/$starter/wchan" || true # a kernel may not tell
kill -TERM "$starter"
exec 6<&-
status=0
wait "$starter" || status=$?
expect 143 "$status" "the end of a cvq-mount that got SIGTERM while it spoke"
! is_mounted "$view" || fail "the view survives SIGTERM while cvq-mount speaks"

# With its streams closed from the start.
timeout 60 "$CVQ_MOUNT" "$original" "$view" <&- >&- 2>&- || fail "closed streams are too much"
same "$work/image.pt" "$view/llm.pt"
unmount_view

# A dead mount is cleared and replaced, once and again.
for _ in 1 2; do
	mount_view
	kill -KILL "$daemon"
	wait_for 20 has_ended "$daemon"
	! ls "$view" >/dev/null 2>&1 || fail "a view without a daemon can be read"
done
mount_view
expect 1 "$(list_mounts | grep -cxF "$view")" "mounts at the view after two died there"
same "$work/image.pt" "$view/llm.pt"

# Also for one who does not care what becomes of his children.
kill -KILL "$daemon"
wait_for 20 has_ended "$daemon"
timeout 60 env --ignore-signal=CHLD "$CVQ_MOUNT" "$original" "$view" ||
	fail "a dead mount is not replaced if SIGCHLD is ignored"
same "$work/image.pt" "$view/llm.pt"
unmount_view
[ -z "$(ls -A "$view")" ] || fail "something is left at the mountpoint"

# What another user has mounted may live, though nobody answers us: it stays.
if is_root; then
	exec 5<>/dev/fuse
	# By the system call, as newer ones of mount(8) give up what they may not look at.
	"$PYTHON" - "$view" <<-'END' || fail "nothing can be mounted for another user"
		import ctypes, os, sys
		libc = ctypes.CDLL(None, use_errno=True)
		options = b"fd=5,rootmode=40000,user_id=65534,group_id=65534"
		if libc.mount(b"none", os.fsencode(sys.argv[1]), b"fuse", 0, options):
		    sys.exit(os.strerror(ctypes.get_errno()))
	END
	exec 5<&-
	status=0
	"$CVQ_MOUNT" "$original" "$view" 2>"$work/refused" || status=$?
	expect 4 "$status" "exit code for a place where another user has mounted something"
	[[ $(cat "$work/refused") == "cvq-mount: $view: another user has mounted something there ("*"fusermount3 -u $view;"*")" ]] ||
		fail "of what another user has mounted it says: $(cat "$work/refused")"
	is_mounted "$view" || fail "what another user has mounted is taken away"
	umount -l "$view"
fi
