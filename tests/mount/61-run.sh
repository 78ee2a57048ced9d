#!/bin/bash
# SPDX-License-Identifier: MIT
#
# cvq run: COMMAND works on a view of its own, as if it had been started without us,
# and nothing is left of the view whatever ends.
# shellcheck disable=SC2016 # the shells inside expand these
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_torch
torch models "$work/models" --model CosyVoice2-0.5B
model="$work/我的 模型/CosyVoice2-0.5B"
mkdir "$work/我的 模型"
mv "$work/models/CosyVoice2-0.5B" "$model"
fixed "$original/llm.pt"
torch fixed_image "$work/image.pt"
export XDG_RUNTIME_DIR=$work/runtime
mkdir -m 700 "$XDG_RUNTIME_DIR"

in_place=(--in-place)
if ! is_root && ! unshare --user --mount true 2>/dev/null; then
	echo "ordinary users get no private namespace here: nothing is tried in place"
	in_place=()
fi

# run EXPECTED ARGUMENT...: of the exit code; what is said is in $work/out and run.err.
run()
{
	local expected=$1 status=0

	shift
	timeout 120 "$CVQ" run "$@" >"$work/out" 2>"$work/run.err" </dev/null || status=$?
	expect "$expected" "$status" "exit code of run $* ($(cat "$work/run.err"))"
}

# silently: nothing but COMMAND speaks.
silently()
{
	[ ! -s "$work/run.err" ] || fail "run says: $(cat "$work/run.err")"
}

runtime_is_empty()
{
	[ -z "$(ls -A "$XDG_RUNTIME_DIR")" ]
}

# nothing_left AFTER
nothing_left()
{
	wait_for 10 runtime_is_empty || fail "$1 leaves a folder: $(ls -A "$XDG_RUNTIME_DIR")"
	[ -z "$(list_mounts)" ] || fail "$1 leaves a mount: $(list_mounts)"
	wait_for 10 no_daemons || fail "$1 leaves a daemon"
	check_sanitizers
}

# in_background ARGUMENT...: $run is cvq, and COMMAND says "ready" in $work/log.
# Programs that a shell starts in its background would ignore SIGINT and SIGQUIT.
in_background()
{
	rm -f "$work/log"
	env --default-signal=INT,QUIT "$CVQ" run "$@" >"$work/out" 2>"$work/run.err" </dev/null &
	run=$!
	wait_for 20 grep -qsx ready "$work/log" || fail "run $* does not start: $(cat "$work/run.err")"
	command=$(pgrep -P "$run" | grep -vxF "$(list_daemons)")
}

# ended_with EXPECTED HOW
ended_with()
{
	local status=0

	wait "$run" || status=$?
	expect "$1" "$status" "exit code after $2 ($(cat "$work/run.err"))"
}

# --- What COMMAND gets ----------------------------------------------------------

cp -r "$model" "$work/copy"
run 0 "$model" -- "$PYTHON" "$tests/torch/compare.py" "$work/copy" {} --expect any
nothing_left "loading with torch"

# The path fills every hole, ends with the model's name, and is in the environment.
run 0 "$model" -- sh -c 'printf "%s\n" "$0" "$@" "$CVQ_MODEL_DIR"' {} --dir={}/a:{} -- '{x}' '{ }'
silently
mapfile -t words <"$work/out"
path=${words[0]}
[[ $path == "$XDG_RUNTIME_DIR"/*/CosyVoice2-0.5B ]] || fail "the view is at $path"
expect "--dir=$path/a:$path -- {x} { } $path" "${words[*]:1}" "words of COMMAND"

# The streams are COMMAND's own.
head -c 3000000 /dev/urandom >"$work/bytes"
"$CVQ" run "$original" -- cat <"$work/bytes" >"$work/out" || fail "cat fails"
same "$work/bytes" "$work/out"
"$CVQ" run "$original" -- sh -c '[ "$(readlink /proc/$$/fd/1)" = "$0/out" ]' "$work" \
	>"$work/out" || fail "stdout of COMMAND is not that of cvq"
run 0 "$original" -- sh -c 'ls /proc/$$/fd'
sh -c 'ls /proc/$$/fd' >"$work/plain" 2>/dev/null </dev/null
same "$work/plain" "$work/out"
run 0 "$original" -- grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status
grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status >"$work/plain"
same "$work/plain" "$work/out"
"$CVQ" run "$original" -- cmp {}/llm.pt "$work/image.pt" <&- >&- 2>&- ||
	fail "closed streams are too much"

# Options go to cvq-mount, and the configuration holds.
printf '[files]\nkeep = own*\n' >"$work/rules.ini"
cp "$original/llm.pt" "$original/own.pt"
getinfo='import json, os, sys
for name in sys.argv[2:]:
	info = json.loads(os.getxattr(sys.argv[1] + "/" + name, "user.cvq.info"))
	print(info["state"], info["dtype"])'
run 0 --dtype bf16 "$original" --config "$work/rules.ini" -- \
	"$PYTHON" -c "$getinfo" {} llm.pt own.pt
expect "converted bf16 passthrough None" "$(tr '\n' ' ' <"$work/out" | sed 's/ $//')" "--dtype"
run 0 --keep 'LLM*' "$original" -- "$PYTHON" -c "$getinfo" {} llm.pt
[[ $(cat "$work/out") == passthrough* ]] || fail "--keep has no effect"
rm "$original/own.pt"

# Without a runtime directory of ours: in TMPDIR, for nobody else's eyes.
mkdir "$work/temporary"
foreign=$work/foreign
mkdir "$foreign"
if is_root; then
	chown nobody "$foreign"
else
	foreign=/
fi
for runtime in "" "$work/none" "$foreign"; do
	XDG_RUNTIME_DIR=$runtime TMPDIR=$work/temporary run 0 "$original" -- stat -c '%a %n' {}/..
	[[ $(cat "$work/out") == "700 $work/temporary/"* ]] ||
		fail "with XDG_RUNTIME_DIR=$runtime the view is at $(cat "$work/out")"
	[ -z "$(ls -A "$work/temporary")" ] || fail "a folder is left in TMPDIR"
done

# cvq-mount lies beside cvq, or else in PATH.
mkdir "$work/bin"
cp "$CVQ" "$work/bin/cvq"
status=0
PATH=$work/bin "$work/bin/cvq" run "$original" -- /bin/true 2>"$work/run.err" || status=$?
expect "4 1" "$status $(grep -c 'cvq-mount is not found' "$work/run.err")" "run without cvq-mount"
PATH=${CVQ_MOUNT%/*}:$PATH "$work/bin/cvq" run "$original" -- true || fail "PATH is not searched"

# Two at once have a view each.
"$CVQ" run "$original" -- sh -c 'echo {}; until [ -e "$0" ]; do sleep 0.1; done; cmp "$1" {}/llm.pt' \
	"$work/go" "$work/image.pt" >"$work/first" &
first=$!
wait_for 20 test -s "$work/first"
run 0 "$original" -- sh -c 'echo {}; cmp "$0" {}/llm.pt' "$work/image.pt"
[ "$(cat "$work/out")" != "$(cat "$work/first")" ] || fail "two runs have one view"
touch "$work/go"
wait "$first" || fail "the end of one run ends the view of another"
rm "$work/go"
nothing_left "running twice at once"

# --- In place -------------------------------------------------------------------

if [ ${#in_place[@]} -gt 0 ]; then
	run 0 --in-place "$model" -- "$PYTHON" "$tests/torch/compare.py" "$work/copy" "$model"
	run 0 --in-place "$model" -- printf '%s\n' {}
	expect "$model" "$(cat "$work/out")" "the path of the view in place"

	# Also by relative names, and nobody else sees it.
		(cd "$original" && in_background --in-place . -- sh -c 'cmp llm.pt "$0/image.pt" &&
		id -u && echo ready >"$0/log" && sleep 1 && cmp llm.pt "$0/image.pt"' "$work" &&
		! cmp -s llm.pt "$work/image.pt" && ! grep -q "$original" /proc/self/mountinfo &&
		ended_with 0 "a run in place") || fail "the view is not, or not only, in its place"
	expect "$(id -u)" "$(cat "$work/out")" "the user in place"
	nothing_left "running in place"

	# A source that is somebody else's.
	if ! is_root; then
		run 0 --in-place "$tests/unit" -- sh -c 'grep -q "$0 .* fuse.cvq-mount" \
			/proc/self/mountinfo' "$tests/unit"
	fi

	# What to do where the kernel allows no namespaces.
	if unshare -r true 2>/dev/null; then
				unshare -r sh -c 'echo 0 >/proc/sys/user/max_user_namespaces &&
			exec setpriv --bounding-set=-all --inh-caps=-all "$@"' sh \
			"$CVQ" run --in-place "$original" -- true 2>"$work/run.err" && fail "a miracle"
		[[ $(cat "$work/run.err") =~ ^cvq:\ --in-place:\ .*\(as\ root:\ .*\)$ ]] ||
			fail "without namespaces it says: $(cat "$work/run.err")"
	fi
fi

# --- How COMMAND ends -----------------------------------------------------------

run 0 "$original" -- true
run 42 "$original" -- sh -c 'exit 42'
run 127 "$original" -- no-such-program
grep -q '^cvq: no-such-program: ' "$work/run.err" || fail "it says: $(cat "$work/run.err")"
run 126 "$original" -- "$original/llm.pt"
run 126 "$original" -- {}
run 127 "$original" -- ""
run 137 "$original" -- sh -c 'kill -KILL $$'
run 139 "$original" -- sh -c 'ulimit -c 0; kill -SEGV $$'
nothing_left "every end of COMMAND"

# What a straggler has open stays readable, and does not keep run.
run 0 "$original" -- sh -c 'exec 5<{}/llm.pt; cd {}; (sleep 2; cat <&5 >"$0/late") >&- 2>&- &' "$work"
runtime_is_empty || fail "a straggler keeps the folder"
wait_for 20 cmp -s "$work/late" "$work/image.pt" || fail "a straggler loses its file"
rm "$work/late"
nothing_left "a straggler"

# --- Signals --------------------------------------------------------------------

noting='for signal in HUP INT QUIT TERM USR1 USR2; do
		trap "echo $signal >>\"$0/log\"; [ $signal != TERM ] || exit 9" $signal
	done
	echo ready >>"$0/log"
	while [ -d "$0" ]; do sleep 0.1; done'

# Has a file open, and may wait for another one.
waiting='await() { while [ ! -e "$work/go" ] && [ -d "$work" ]; do sleep 0.1; done; }
	work=$0
	echo ready >"$work/log"
	exec 5<{}/llm.pt'

for place in "" "${in_place[@]}"; do
	options=(${place:+"$place"} "$original" --)

	# What is sent to us is passed on, once.
	in_background "${options[@]}" sh -c "$noting" "$work"
	for signal in HUP INT QUIT USR1 USR2 TERM; do
		kill -"$signal" "$run"
		wait_for 10 grep -qx "$signal" "$work/log" || fail "SIG$signal is not passed on"
	done
	ended_with 9 "a SIGTERM that COMMAND handles"
	expect "ready HUP INT QUIT USR1 USR2 TERM" "$(paste -sd' ' "$work/log")" "signals passed on"

	in_background "${options[@]}" sh -c "$waiting; exec sleep 60" "$work"
	kill -TERM "$run"
	ended_with 143 "a SIGTERM that COMMAND does not handle"
	nothing_left "SIGTERM ($place)"

	# COMMAND is killed.
	in_background "${options[@]}" sh -c "$waiting; exec sleep 60" "$work"
	kill -KILL "$command"
	ended_with 137 "SIGKILL to COMMAND"
	nothing_left "SIGKILL to COMMAND ($place)"

	# cvq is killed: COMMAND is asked to end.
	in_background "${options[@]}" sh -c "$noting" "$work"
	kill -KILL "$run"
	ended_with 137 "SIGKILL to cvq"
	wait_for 10 has_ended "$command" || fail "COMMAND survives a SIGKILL to cvq"
	expect "ready TERM" "$(paste -sd' ' "$work/log")" "what COMMAND hears after a SIGKILL to cvq"
	nothing_left "SIGKILL to cvq ($place)"

	# If it does not end, the view goes all the same, but not what is open.
	in_background "${options[@]}" sh -c "trap '' TERM; $waiting; await; cat <&5 >\"\$work/late\"" "$work"
	kill -KILL "$run"
	ended_with 137 "SIGKILL to cvq"
	wait_for 10 runtime_is_empty || fail "a stubborn COMMAND keeps the folder"
	[ -z "$(list_mounts)" ] || fail "a stubborn COMMAND keeps the mount"
	touch "$work/go"
	wait_for 20 cmp -s "$work/late" "$work/image.pt" || fail "a stubborn COMMAND loses its file"
	rm "$work/go" "$work/late"
	nothing_left "SIGKILL to cvq with a stubborn COMMAND ($place)"

	# The daemon is killed: COMMAND cannot read any more, and nothing else happens.
	in_background "${options[@]}" sh -c "$waiting; await; cat {}/llm.pt >&5 || exit 6" "$work"
	kill -KILL "$(list_daemons)"
	wait_for 10 grep -q 'the view is dead' "$work/run.err" || fail "run does not say that the view is dead"
	touch "$work/go"
	ended_with 6 "SIGKILL to the daemon"
	rm "$work/go"
	nothing_left "SIGKILL to the daemon ($place)"

	# At any moment of its life.
	for moment in {0..24..2}; do
		for signal in KILL TERM; do
			"$CVQ" run "${options[@]}" sleep 60 2>"$work/run.err" &
			run=$!
			# As long as it is a shell, it may lose the signal.
			while [ "/proc/$run/exe" -ef "/proc/$$/exe" ]; do :; done
			sleep "0.0$((moment / 10))$((moment % 10))"
			kill -"$signal" "$run"
			ended_with "$((128 + $(kill -l "$signal")))" "SIG$signal after $moment ms"
		done
	done
	nothing_left "signals at any moment ($place)"
done

# What COMMAND has mounted over the view goes with it.
if is_root; then
	run 5 "$original" -- sh -c 'mount -t tmpfs tmpfs {}; exit 5'
	nothing_left "a mount over the view"
fi

# What is ignored stays ignored.
(
	trap '' HUP USR1
	"$CVQ" run "$original" -- sh -c 'kill -HUP $$; kill -USR1 $PPID; sleep 0.5; echo alive'
) >"$work/out" || fail "nohup has no effect on COMMAND"
expect alive "$(cat "$work/out")" "a COMMAND under nohup"

"$own_python" "$tests/tools/job_control.py" "$CVQ" "$original" || fail "the terminal is not COMMAND's"
nothing_left "the terminal"
