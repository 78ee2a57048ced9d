#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The configuration: which file is read, that the command line wins over it, and that
# every slip in it is told with its line.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir "$original/below"
fixed "$original/llm.pt" "$original/hift.pt" "$original/below/flow.pt" "$original/llm.ckpt"

# option NAME: of the mounted view, as its status says.
option()
{
	"$PYTHON" -c 'import json, os, sys
print(json.loads(os.getxattr(sys.argv[1], "user.cvq.status"))["options"][sys.argv[2]])' \
		"$view" "$1"
}

# check CONFIG DTYPE KEPT [OPTION...]: what was read, and what came of it.
check()
{
	local file=$1 dtype=$2 keep=$3

	shift 3
	mount_view "$@"
	expect "$file" "$(option config)" "the configuration read with '$*'"
	expect "$dtype" "$(option dtype)" "dtype with '$*'"
	expect "$dtype" "$(info_of "$view/llm.pt" dtype)" "dtype of llm.pt with '$*'"
	expect "$keep" "$(option keep)" "keep with '$*'"
	unmount_view
}

defaults="['*hift*', '*hifigan*', 'spk2info*.pt']"
other=$work/other.ini
printf '[format]\ndtype = bf16\n[files]\nkeep = a.pt\n  flow.pt ; and more\n' >"$other"

# --- Which file -----------------------------------------------------------------

check "$config" fp16 "$defaults"
check "$other" bf16 "['a.pt', 'flow.pt']" --config "$other"
check "$other" bf16 "['a.pt', 'flow.pt']" -o "config=$other"
check /dev/null fp16 "$defaults" --config=/dev/null
# Its name may be relative, though the daemon leaves for another directory.
check "$other" bf16 "['a.pt', 'flow.pt']" --config other.ini

cp "$other" "$config"
check "$config" bf16 "['a.pt', 'flow.pt']"
check /dev/null fp16 "$defaults" --config /dev/null

# Without XDG_CONFIG_HOME, or with one that is no absolute path, it is ~/.config.
mkdir -p "$HOME/.config/cvq"
sed 's/a\.pt/home.pt/' "$other" >"$HOME/.config/cvq/cvq.ini"
for folder in "" config; do
	XDG_CONFIG_HOME=$folder check "$HOME/.config/cvq/cvq.ini" bf16 "['home.pt', 'flow.pt']"
done
rm "$HOME/.config/cvq/cvq.ini"

# show_config: which one is read in a mount namespace where /etc is our own.
show_config()
{
	# shellcheck disable=SC2016 # the inner shell expands these
	unshare --mount --propagation private bash -ec "$forget_views"'
		mount --bind "$1/etc" /etc
		"$CVQ_MOUNT" "$1/original" "$1/view" >"$1/mount.out"
		option config
		fusermount3 -u "$1/view"' bash "$work"
}

# The system's comes last.
if is_root; then
	export view PYTHON
	export -f option
	cp -a /etc "$work/etc"
	cp "$other" "$work/etc/cvq.ini"
	expect "$config" "$(show_config)" "the configuration before that in /etc"
	rm "$config"
	expect /etc/cvq.ini "$(show_config)" "the configuration in /etc"
	rm "$work/etc/cvq.ini"
	expect None "$(show_config)" "the configuration if there is none"
	wait_for 30 no_daemons || fail "a daemon outlives its namespace"
fi

# --- The command line wins ------------------------------------------------------

cat >"$config" <<'END'
[files]
convert = *.ckpt
keep    = *hift* flow.pt
[tensors]
keep    = *inv_freq
[format]
dtype   = bf16
align   = 4096
[view]
timeout = 0.25
END

# converts EXPECTED OPTION...
converts()
{
	local expected=$1 file names=()

	shift
	mount_view "$@"
	for file in below/flow.pt hift.pt llm.ckpt llm.pt; do
		[ "$(info_of "$view/$file" state)" != converted ] || names+=("$file")
	done
	expect "$expected" "${names[*]-}" "what '$*' converts"
	unmount_view
}

converts llm.ckpt
converts llm.pt --convert '*.pt'
converts "hift.pt llm.pt" --convert '*.pt' --quantize-hift
converts "" --keep 'llm*'
converts "" -o 'keep=llm*'

mount_view --dtype fp16 -o timeout=2 --keep-tensor 'special.*'
expect fp16 "$(option dtype)" "dtype"
expect 4096 "$(option align)" "align"
expect 2.0 "$(option timeout)" "timeout"
expect "['*inv_freq', 'special.*']" "$(option keep_tensor)" "keep_tensor"
unmount_view

# --- Slips ----------------------------------------------------------------------

# refuses PLACE MESSAGE [OPTION...]: and names both in one line.
refuses()
{
	local place=$1 message=$2 status=0 line

	shift 2
	timeout 20 "$CVQ_MOUNT" "$@" "$original" "$view" >"$work/refused.out" \
		2>"$work/refused.err" </dev/null || status=$?
	line=$(cat "$work/refused.err")
	expect 2 "$status" "exit code for $place ($line)"
	expect "" "$(cat "$work/refused.out")" "stdout for $place"
	expect 1 "$(wc -l <"$work/refused.err")" "lines on stderr for $place ($line)"
	[[ $line == "cvq-mount: $place: $message"* && $line == *\) ]] ||
		fail "the message is not '$place: $message ...': $line"
	[ -z "$(list_mounts)" ] || fail "$place was refused but something is mounted"
	no_daemons || fail "$place was refused but something is running"
}

# wrong LINE MESSAGE TEXT: in the default configuration, and in one that is named.
wrong()
{
	printf '%b' "$3" >"$config"
	refuses "$config:$1" "$2"
	printf '%b' "$3" >"$work/named.ini"
	refuses "$work/named.ini:$1" "$2" --config "$work/named.ini" --dtype fp16
}

wrong 7 "[format] dtype: 'fp8' is not one of its values (use fp16 or bf16)" \
	'# 1\n\n[view]\ntimeout = 1\n\n[format]\ndtype = fp8\n'
wrong 1 '[vew]: there is no such section' '[vew]\n'
wrong 2 '[view] simlinks: there is no such key' '[view]\nsimlinks = keep\n'
wrong 2 "[files] keep: '\"my' has a quote, which means nothing here" '[files]\nkeep = "my file.pt"\n'
wrong 3 "the line has no '='" '[view]\n\ntimeout\n'
wrong 2 'the line is longer than 198 bytes' "[files]\nkeep = $(printf '%0500d' 0)\n"
wrong 1 'there is a byte 0' '\000\000'
wrong 1 'dtype: it is in no section' 'dtype = fp16\n'

refuses "$work/none.ini" "there is no such file" --config "$work/none.ini"
refuses "$work" "it is not a file" --config "$work"
# A fifo keeps nobody waiting.
rm "$config"
mkfifo "$config"
refuses "$config" "it is not a file"
rm "$config"
mkdir "$config"
refuses "$config" "it is not a file"
rmdir "$config"
if ! is_root; then
	cp "$other" "$config"
	chmod 000 "$config"
	refuses "$config" "you may not read it"
	# What lies in a folder out of sight is not there.
	chmod 000 "$XDG_CONFIG_HOME"
	mount_view
	unmount_view
	chmod 755 "$XDG_CONFIG_HOME"
	rm -f "$config"
fi

# Help needs no configuration.
echo broken >"$config"
for option in --help --version; do
	"$CVQ_MOUNT" "$option" >"$work/said" || fail "$option needs a configuration"
done
