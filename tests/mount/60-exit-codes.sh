#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The exit codes of both programs, as the manuals have them, in one table.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export PATH=${CVQ_MOUNT%/*}:${CVQ%/*}:$PATH
export XDG_RUNTIME_DIR=$work/runtime
mkdir -m 700 "$XDG_RUNTIME_DIR"
mkdir "$work/empty" "$work/other" "$work/place" "$work/dead"
fixed "$original/llm.pt" "$work/place/llm.pt" "$work/other/llm.pt"
touch "$work/file"
echo 'nonsense' >"$work/wrong.ini"
printf '#!/bin/sh\nexit 42\n' >"$work/answer"
chmod +x "$work/answer"
# Some weights are others.
head -c 64 /dev/zero | tr '\0' A | dd of="$work/other/llm.pt" bs=1 seek=100000 conv=notrunc status=none
mount_at "$work/empty" "$work/dead"
kill -KILL "$daemon"
mount_view
mount_at "$work/place" "$work/place"

# The command lines are those of a shell.
# shellcheck disable=SC2016 # so they are expanded later
table='
0 cvq-mount --help
0 cvq-mount --version
0 cvq-mount "$original" "$work/empty"
2 cvq-mount
2 cvq-mount "$original"
1 cvq-mount --check "$original" "$work/empty"
2 cvq-mount --nonsense "$original" "$work/empty"
2 cvq-mount --dtype=fp8 "$original" "$work/empty"
2 cvq-mount --config "$work/wrong.ini" "$original" "$work/empty"
2 cvq-mount --config "$work/none.ini" "$original" "$work/empty"
3 cvq-mount "$work/none" "$work/empty"
3 cvq-mount "$work/file" "$work/empty"
4 cvq-mount "$original" "$work/none"
4 cvq-mount "$original" "$work/file"
4 cvq-mount "$original" "$view"

0 cvq --help
0 cvq --version
5 cvq --version >/dev/full
2 cvq
2 cvq nonsense

0 cvq convert --help
0 cvq convert "$original" "$work/copy"
2 cvq convert "$original"
2 cvq convert --nonsense "$original" "$work/new"
2 cvq convert --config "$work/wrong.ini" "$original" "$work/new"
2 cvq convert "$original" "$original/inside"
3 cvq convert "$work/none" "$work/new"
3 cvq convert "$work/dead" "$work/new"
3 cvq convert "$work/file" "$work/new"
3 cvq convert "$work/empty" "$work/new"
5 cvq convert "$original" "$work/other"
5 cvq convert "$original" "$work/none/new"

0 cvq inspect --help
0 cvq inspect "$original"
0 cvq inspect --json "$original/llm.pt"
2 cvq inspect
2 cvq inspect --nonsense "$original"
3 cvq inspect "$work/none"
3 cvq inspect "$work/dead"
5 cvq inspect "$original" >/dev/full
5 cvq inspect --json "$original/llm.pt" >/dev/full

0 cvq verify --help
0 cvq verify "$original"
0 cvq verify "$original" "$view"
0 cvq verify "$original" "$work/copy"
1 cvq verify "$work/other" "$view"
2 cvq verify
2 cvq verify --nonsense "$original"
3 cvq verify "$work/none"
3 cvq verify "$original" "$work/none"
3 cvq verify "$original" "$work/dead"
5 cvq verify "$original" "$view" >/dev/full
5 cvq verify --json "$original" "$view" >/dev/full

0 cvq check --help
1 cvq check "$work/empty"
1 cvq check "$work/empty" >/dev/full
2 cvq check
2 cvq check --nonsense "$original"
3 cvq check "$work/none"
3 cvq check "$work/dead"
3 cvq check "$work/file"

0 cvq status --help
0 cvq status
0 cvq status "$view"
0 cvq status --json "$view"
2 cvq status --nonsense
2 cvq status "$view" "$view"
5 cvq status --json "$view" >/dev/full
3 cvq status "$work/none"
3 cvq status "$work/dead"
3 cvq status "$work/empty"
3 cvq status "$view/llm.pt"

0 cvq run --help
0 cvq run "$original" -- true
1 cvq run "$original" -- false
42 cvq run "$original" -- "$work/answer"
126 cvq run "$original" -- "$work/file"
126 cvq run "$original" -- {}
127 cvq run "$original" -- no-such-program
127 cvq run "$original" -- "$work/none"
137 cvq run "$original" -- sh -c "kill -KILL \$\$"
143 cvq run "$original" -- sh -c "kill -TERM \$\$"
143 cvq run "$original" -- sh -c "kill -TERM \$PPID; exec sleep 60"
2 cvq run
2 cvq run "$original"
2 cvq run "$original" true
2 cvq run -- true
2 cvq run "$original" "$original" -- true
2 cvq run --nonsense "$original" -- true
2 cvq run --dtype=fp8 "$original" -- true
2 cvq run --config "$work/wrong.ini" "$original" -- true
3 cvq run "$work/none" -- true
3 cvq run "$work/dead" -- true
3 cvq run "$work/file" -- true
3 cvq run --in-place "$work/none" -- true
4 cvq run --in-place "$work/place" -- true
'

# One line that says who speaks and what to do. For cvq run, cvq-mount may speak.
is_message()
{
	[ "$(wc -l <"$work/said.err")" = 1 ] && grep -qE '^cvq(-mount)?: .+ \(.+\)$' "$work/said.err"
}

while read -r expected line; do
	[ -n "$expected" ] || continue
	status=0
	(eval "timeout 60 $line") >"$work/said" 2>"$work/said.err" </dev/null || status=$?
	expect "$expected" "$status" "exit code of $line ($(cat "$work/said.err"))"
	if [[ $line == */dead\"* ]]; then
		grep -qF 'fusermount3 -u' "$work/said.err" ||
			fail "$line does not say how to clear it: $(cat "$work/said.err")"
	fi
	case $expected in
	0 | 1 | 42 | 137 | 143) ;;
	*) is_message || fail "$line says: $(cat "$work/said.err")" ;;
	esac
	if is_mounted "$work/empty"; then
		unmount "$work/empty"
	fi
done <<<"$table"
unmount "$work/place"
unmount_view
fusermount3 -u "$work/dead"

# The option that is wrong is named, whatever stands beside it.
# blames EXPECTED ARGUMENT...
blames()
{
	local expected=$1

	shift
	! "$CVQ" "$@" >"$work/said" 2>"$work/said.err" || fail "cvq $* is taken"
	grep -q "^cvq: $expected (see cvq .* --help)$" "$work/said.err" ||
		fail "cvq $* says: $(cat "$work/said.err")"
}

blames '-j: there is no such option' inspect -json "$original"
blames '-x: there is no such option' inspect --json -xq "$original"
blames '--jsom: there is no such option' inspect --jsom "$original"
blames '--json=yes: it takes no value' inspect --json=yes "$original"
blames '--dtype: a value is missing' inspect "$original" --dtype
blames '--timeout: there is no such option' verify --timeout 1 "$original"
blames 'SOURCE is missing' convert
blames 'DEST is missing' convert "$original"
blames 'SOURCE is missing' run -- true

# That the output is lost is said also where the exit code says something else.
! "$CVQ" check "$work/empty" >/dev/full 2>"$work/said.err" || fail "nothing is complete"
grep -q '^cvq: standard output cannot be written (' "$work/said.err" ||
	fail "a lost verdict says: $(cat "$work/said.err")"

# Paths that a terminal would take for orders.
order=$work/$'\e[31m'
cp -r "$original" "$order"
for command in "inspect $order" "inspect $order/llm.pt" "verify $order" "check $order" \
	"convert $order $order.copy" "status $order"; do
	# shellcheck disable=SC2086 # several words
	"$CVQ" $command >"$work/said" 2>&1 || true
	! grep -q $'\e' "$work/said" || fail "a path is printed as it is by cvq $command"
done
