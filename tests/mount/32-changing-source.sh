#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A source that changes under its readers: who has a file open sees one version of it,
# whole, or an error; who opens it anew sees the new one.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for number in 1 2; do
	torch versions make "$work/$number.pt" $number
done

# --- Readers --------------------------------------------------------------------

# start_reader HOW FILE: see tests/torch/versions.py.
declare -A readers=()
start_reader()
{
	rm -f "$work/seen.$1"
	"$own_python" "$tests/torch/versions.py" read "$1" "$2" >"$work/seen.$1" &
	readers[$1]=$!
	wait_for 20 test -s "$work/seen.$1" || fail "the $1 reader does not start"
}

# seen HOW: what that reader saw, in order.
seen()
{
	paste -sd ' ' "$work/seen.$1"
}

has_seen()
{
	[[ $(seen "$1") =~ $2 ]]
}

stop_readers()
{
	kill "${readers[@]}"
	wait "${readers[@]}" 2>/dev/null || true
	readers=()
}

# expect_seen WHAT HOW=PATTERN...: in the end, that is what each of the readers saw.
expect_seen()
{
	local what=$1 one

	shift
	for one; do
		wait_for 10 has_seen "${one%%=*}" "^(${one#*=})$" || break
	done
	sleep 0.3 # in which they read on
	for one; do
		has_seen "${one%%=*}" "^(${one#*=})$" ||
			fail "$what: the ${one%%=*} reader saw '$(seen "${one%%=*}")', not '${one#*=}'"
	done
	stop_readers
}

# put NUMBER FILE: as one should, by renaming.
put()
{
	cp "$work/$1.pt" "$original/.new"
	mv "$original/.new" "$original/$2"
}

# read_by FILE HOW...
read_by()
{
	local file=$1 how

	shift
	for how; do
		start_reader "$how" "$view/$file"
	done
}

# --- Replaced -------------------------------------------------------------------

mkdir "$original/folder" "$original/inside"
for name in {replaced,deleted,turning,kind,place,cached,early,grown,cut}.pt folder/moved.pt inside/link.1; do
	put 1 "$name"
done
put 2 inside/link.2
ln -s inside/link.1 "$original/link.pt"
mount_view -o timeout=0.2

read_by replaced.pt opening holding mapping waiting
put 2 replaced.pt
kill -USR1 "${readers[waiting]}"
expect_seen "replaced" holding=1 mapping=1 waiting="open 1" opening="1 2"

read_by deleted.pt opening holding mapping waiting
rm "$original/deleted.pt"
kill -USR1 "${readers[waiting]}"
expect_seen "deleted" opening="1 ENOENT" holding=1 mapping=1 waiting="open 1"

read_by appearing.pt opening
put 1 appearing.pt
expect_seen "new" opening="ENOENT 1"

read_by turning.pt opening holding
echo "no checkpoint" >"$original/.new"
mv "$original/.new" "$original/turning.pt"
wait_for 10 has_seen opening "^1 other$" || fail "a checkpoint that became none: $(seen opening)"
put 2 turning.pt
expect_seen "a checkpoint that was none for a while" opening="1 other 2" holding=1

read_by kind.pt opening holding
mv "$original/kind.pt" "$original/.old"
mkdir "$original/kind.pt"
wait_for 10 has_seen opening "EISDIR$" || fail "a file that became a folder: $(seen opening)"
rmdir "$original/kind.pt"
put 2 kind.pt
expect_seen "a file that was a folder for a while" \
	opening="1( ENOENT)? EISDIR( ENOENT)? 2" holding=1

read_by folder/moved.pt opening holding
mv "$original/folder" "$original/elsewhere"
expect_seen "in a folder that moved" opening="1 ENOENT" holding=1
read_by elsewhere/moved.pt opening
expect_seen "in the moved folder" opening=1

read_by link.pt opening holding
ln -s inside/link.2 "$original/.new"
mv -T "$original/.new" "$original/link.pt"
expect_seen "a link that leads elsewhere" opening="1 2" holding=1

# --- Modified in place ----------------------------------------------------------

# What the kernel has in its cache may still come, and then errors; nothing else. Only
# who opens the file while it is being written finds what the source then is, or that
# it does not hold still (ESTALE). Where the kernel reads by itself what is no
# checkpoint just then, it sees the file grow.
by_kernel=
[[ $(status_of "$view" options) != *'"passthrough": true'* ]] || by_kernel="| SIZE| MIXED"
read_by place.pt opening holding mapping
dd if="$work/2.pt" of="$original/place.pt" bs=64K conv=notrunc status=none
expect_seen "overwritten" opening="1( EIO| ESTALE| MIXED$by_kernel)* 2" holding="1 EIO" mapping="1 SIGBUS"

read_by place.pt opening holding mapping
cat "$work/1.pt" >"$original/place.pt"
expect_seen "emptied and written" opening="2( EIO| ESTALE| other$by_kernel)* 1" holding="2 EIO" mapping="2 SIGBUS"

# Pages in the kernel's cache stay those of the version that they were read from.
read_by cached.pt cached
truncate -s 100000 "$original/cached.pt"
expect_seen "cut off, but in the cache" cached="1( EIO)?"

# Not a single page of the new version goes to who opened the old one.
read_by early.pt waiting
dd if="$work/2.pt" of="$original/early.pt" bs=64K conv=notrunc status=none
kill -USR1 "${readers[waiting]}"
expect_seen "overwritten before the first read" waiting="open EIO"

read_by grown.pt opening holding mapping
echo "more than a checkpoint" >>"$original/grown.pt"
expect_seen "grown" opening="1( EIO| ESTALE$by_kernel)* fp32:1" holding="1 EIO" mapping="1 SIGBUS"
same "$original/grown.pt" "$view/grown.pt"

read_by cut.pt opening holding mapping
truncate -s 100000 "$original/cut.pt"
expect_seen "cut off" opening="1( EIO| ESTALE| other$by_kernel)* other" holding="1 EIO" mapping="1 SIGBUS"
same "$original/cut.pt" "$view/cut.pt"

[ "$(status_of "$view" errors)" -gt 0 ] || fail "the status counts no errors"
[[ $(status_of "$view" last_error) == *.pt:*"modified while it was open"* ]] ||
	fail "the last error is: $(status_of "$view" last_error)"
expect "$daemon" "$(status_of "$view" pid)" "the daemon"

# --- Passed through -------------------------------------------------------------

put 1 model.bin
read_by model.bin opening holding mapping
put 2 model.bin
expect_seen "replaced, passed through" opening="fp32:1 fp32:2" holding=fp32:1 mapping=fp32:1

read_by model.bin opening holding
dd if="$work/1.pt" of="$original/model.bin" bs=64K conv=notrunc status=none
if [ -n "$by_kernel" ]; then
	# The kernel reads the source by itself, for better or for worse.
	expect_seen "overwritten, passed by the kernel" \
		opening="fp32:2( EIO| ESTALE| MIXED)* fp32:1" holding="fp32:2( MIXED)* fp32:1"
else
	expect_seen "overwritten, passed through" opening="fp32:2( EIO| ESTALE| MIXED)* fp32:1" \
		holding="fp32:2 EIO"
fi
unmount_view

# --- Names and sizes within the timeout -----------------------------------------

for timeout in 0 0.2 1; do
	put 1 sized.pt
	rm -rf "$original/new"
	mount_view -o timeout=$timeout
	size=$(stat -c %s "$view/sized.pt")
	[ ! -e "$view/new" ] || fail "a folder is there too early"
	torch fixed_checkpoint "$original/.new"
	mv "$original/.new" "$original/sized.pt"
	mkdir "$original/new"
	chmod 600 "$original/inside/link.1"
	sleep $timeout
	[ -d "$view/new" ] || fail "a new folder does not show after $timeout s"
	[ "$(stat -c %s "$view/sized.pt")" != "$size" ] || fail "the old size after $timeout s"
	expect "$(wc -c <"$view/sized.pt")" "$(stat -c %s "$view/sized.pt")" "size and bytes"
	expect 600 "$(stat -c %a "$view/inside/link.1")" "mode after $timeout s"
	chmod 644 "$original/inside/link.1"
	unmount_view
done

# --- Under a lease --------------------------------------------------------------

# Who has a lease on a file, as file servers do, is asked for it, and that takes a moment.
mount_view
torch fixed_checkpoint "$original/leased.pt"
size=$("$PYTHON" - "$original/leased.pt" "$view/leased.pt" <<'END'
import fcntl, os, signal, subprocess, sys
source, shown = sys.argv[1:]
file = os.open(source, os.O_RDWR)
signal.signal(signal.SIGIO, lambda *_: fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK))
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print(len(subprocess.run(["cat", shown], stdout=subprocess.PIPE, check=True).stdout))
END
) || fail "a leased file cannot be read"
expect_state converted "$view/leased.pt"
expect "$(stat -c %s "$view/leased.pt")" "$size" "bytes of a leased file"

# --- Deleted --------------------------------------------------------------------

# Who has only looked at a file does not keep it on the disk.
is_let_go()
{
	ls "$view" >"$work/list"
	! find "/proc/$daemon/fd" -printf "%l\n" | matches -F "$original/gone.pt"
}

put 1 gone.pt
stat "$view/gone.pt" >"$work/stat"
rm "$original/gone.pt"
wait_for 10 is_let_go || fail "the daemon still has a deleted file open"
unmount_view
