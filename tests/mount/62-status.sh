#!/bin/bash
# SPDX-License-Identifier: MIT
#
# cvq status says of each view what that says of itself, and what is wrong with those
# that say nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$PYTHON" -c 'import jsonschema' 2>/dev/null || skip "no jsonschema for $PYTHON"
fixed "$original/llm.pt" "$original/hift.pt"
mkdir "$original/folder"

# status EXPECTED [ARGUMENT...]: of the exit code; its words are in $work/out and status.err.
status()
{
	local expected=$1 code=0

	shift
	timeout 60 "$CVQ" status "$@" >"$work/out" 2>"$work/status.err" </dev/null || code=$?
	expect "$expected" "$code" "exit code of status $* ($(cat "$work/status.err"))"
}

# refuses PATH SENTENCE: in one line.
refuses()
{
	status 3 "$1"
	expect "" "$(cat "$work/out")" "stdout of status $1"
	[[ $(cat "$work/status.err") == "cvq: $1: $2"*" ("*")" ]] ||
		fail "status $1 says: $(cat "$work/status.err")"
	expect 1 "$(wc -l <"$work/status.err")" "lines of what it says"
}

# list PATH: $row is the row, or the line on stderr, that all views together have of this
# one. Not to be called in $(...), which a failure would not leave.
list()
{
	status 0
	row=$(cat "$work/out" "$work/status.err" | grep -F -- "$1") || row=
}

is_valid()
{
	torch valid_json status "$work/out" || fail "not as the schema has it: $(cat "$work/out")"
}

# json PATH EXPRESSION: what the list as JSON has at that path.
json()
{
	status 0 --json
	is_valid
	"$PYTHON" -c 'import json, sys
views = [view for view in json.load(sys.stdin) if view["mountpoint"] == sys.argv[1]]
print(eval(sys.argv[2]))' "$1" "$2" <"$work/out"
}

# --- Views that are well --------------------------------------------------------

mount_view --dtype bf16 --keep 'own*'
status 0 "$view"
for row in "view +$view" "source +$original" 'files +1 converted \(.* -> .*\), 1 passed through' \
	'dtype +bf16' 'convert +\*\.pt' 'keep +.*own\*' "served by +cvq-mount .*, process $daemon" \
	'reads +0 .*' 'errors +0'; do
	grep -qxE "$row *" "$work/out" || fail "'$row' is not in: $(cat "$work/out")"
done
began=$(date +%s%N)
cat "$view"/*.pt >"$work/read"
passed=$(($(date +%s%N) - began))
status 0 "$view"
grep -qE '^reads +[1-9]' "$work/out" || fail "reads are not counted: $(cat "$work/out")"

# As JSON it is the attribute.
status 0 --json "$view"
is_valid
"$PYTHON" -c 'import json, os, sys
said = json.load(sys.stdin)
attribute = json.loads(os.getxattr(sys.argv[1], "user.cvq.status"))
assert said.pop("mountpoint") == sys.argv[1]
assert said.keys() == attribute.keys(), said.keys()
for key in said.keys() - {"uptime_s", "bytes_read"}:
	assert said[key] == attribute[key], key' "$view" <"$work/out" || fail "the JSON is another"

# What it tells is so: the files as they are, and reads that took no longer than all did.
"$PYTHON" - "$work/out" "$original" "$view" "$passed" <<-'EOF' || fail "the status is not the view's"
	import json, os, sys
	original, view, passed = *sys.argv[2:4], int(sys.argv[4])
	status = json.load(open(sys.argv[1]))
	assert (status["files_converted"], status["files_passed"]) == (1, 1), status
	assert status["source_bytes"] == os.stat(f"{original}/llm.pt").st_size, status
	assert status["view_bytes"] == os.stat(f"{view}/llm.pt").st_size, status
	times = [status[f"read_p{share}_us"] for share in (50, 90, 99)]
	assert 0 < times[0] and times == sorted(times), times
	assert times[-1] < 2 * passed / 1000, (times, passed)
EOF

# All of them, also at odd places.
odd="$work/一个 view"
mkdir "$odd"
"$CVQ_MOUNT" "$original" "$odd" >"$work/mount.out"
list "$view "
[[ $row =~ ^$view\ +$original\ +1\ +1\ .*\ 0\ +[0-9:]+$ ]] || fail "the list has: $row"
LC_ALL=C.UTF-8 status 0
grep -q "^$odd  *$original " "$work/out" || fail "$odd is not in: $(cat "$work/out")"
expect 1 "$(json "$odd" 'len(views)')" "views at $odd"
expect fp16 "$(json "$odd" 'views[0]["options"]["dtype"]')" "what the list has of $odd"
fusermount3 -u "$odd"

# Each once: not by its folders, and not if something is mounted over it.
if is_root; then
	mkdir "$work/bound"
	mount --bind "$view/folder" "$work/bound"
	list "$work/bound"
	expect "" "$row" "a folder of a view among the views"
	umount "$work/bound"
	mount -t tmpfs tmpfs "$view"
	list "$view "
	expect "" "$row" "a hidden view among the views"
	umount "$view"
fi

# --- What is no view ------------------------------------------------------------

refuses "$work/none" "No such file or directory"
refuses "$work" "no view is mounted there"
refuses "$original/llm.pt" "no view is mounted there"
refuses "$view/llm.pt" "no view is mounted there"
refuses "$view/folder" "no view is mounted there"
! cp -a "$view" "$work/copy" 2>/dev/null || refuses "$work/copy" "no view is mounted there"

# --- Views of others ------------------------------------------------------------

if is_root; then
	install -m 755 "$CVQ" "$work/cvq"
	code=0
	setpriv --reuid nobody --clear-groups "$work/cvq" status "$view" 2>"$work/status.err" || code=$?
	expect "3 cvq: $view: only the user who has mounted it can look into it (ask as that user)" \
		"$code $(cat "$work/status.err")" "the view of another user"
	setpriv --reuid nobody --clear-groups "$work/cvq" status >"$work/out" 2>"$work/status.err" ||
		fail "a view of another user makes the list fail"
	grep -q "^cvq: $view: only the user" "$work/status.err" ||
		fail "the list says nothing of another user's view"
fi
unmount_view

# --- Dead views -----------------------------------------------------------------

mount_view
kill -KILL "$daemon"
wait_for 20 has_ended "$daemon"
refuses "$view" "the view is dead"
list "$view"
[[ $row == "cvq: $view: the view is dead, "*" (clear it: fusermount3 -u $view)" ]] ||
	fail "the list has of a dead view: $row"
[[ $(json "$view" 'views[0]["error"]') == "the view is dead, "* ]] ||
	fail "the JSON has of a dead view: $(json "$view" views)"
fusermount3 -u "$view"
list "$view"
expect "" "$row" "a view that is gone among the views"
