#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The manuals, the completions and README.md know the options that --help knows, and no
# others; README.zh.md says what README.md says.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

is_root || skip "an ordinary user does not see packaging/"
packaging=$tests/../packaging

# --- Who knows which options ----------------------------------------------------

long_options()
{
	grep -oE -e '--[a-z][a-z-]*' | sort -u
}

# of_help PROGRAM [SUBCOMMAND]: examples are indented too, but do not start with a dash.
of_help()
{
	{
		"$@" --help | grep '^  -'
		echo --help
	} | long_options
}

# section PAGE MACRO NAME: of a manual, up to the next one of its kind or above.
section()
{
	awk -v start=".$2 $3" '$0 == start { inside = 1; next } /^\.Sh/ || (/^\.Ss/ && start ~ /^\.Ss/) {
		inside = 0 } inside' "$1"
}

# In a manual, options have one dash: the macro writes the other.
of_manual()
{
	grep '^\.It' | grep -oE 'Fl -[a-z-]+' | sed 's/Fl -/--/' | long_options
}

of_manual_of()
{
	section "$packaging/cvq.1" Ss "$1" >"$work/section"
	{
		cat "$work/section"
		! grep -q '^\.Sx RULES' "$work/section" || section "$packaging/cvq.1" Sh RULES
		echo '.It Fl -help'
	} | of_manual
}

# of_bash WORD...: what bash offers behind these words and "--".
of_bash()
(
	# shellcheck source=packaging/completion/cvq.bash
	. "$packaging/completion/cvq.bash"
	COMP_WORDS=("$@" --)
	COMP_CWORD=$#
	_cvq
	printf '%s\n' "${COMPREPLY[@]}" | long_options
)

# of_zsh WORD...: what _cvq tells zsh about them.
of_zsh()
{
	# shellcheck disable=SC2016 # zsh expands these
	zsh -f -c '_arguments() { print -rl -- "$@" }
		_describe() { print -rl -- ${(P)@[-1]} }
		script=$1; shift
		service=$1; words=("$@" --); CURRENT=$#words
		source $script' zsh "$packaging/completion/_cvq" "$@" | long_options
}

# --- Compare them ---------------------------------------------------------------

# agree WHERE COMMAND...: with what --help of the command has.
agree()
{
	local where=$1 status=0

	shift
	of_help "${@/#cvq-mount/$CVQ_MOUNT}" >"$work/help" 2>/dev/null
	diff "$work/help" - >"$work/difference" || status=$?
	[ "$status" = 0 ] || fail "$where and --help of $* disagree: $(cat "$work/difference")"
}

subcommands=$("$CVQ" --help | sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p')
PATH=${CVQ%/*}:$PATH

of_manual <"$packaging/cvq-mount.1" | agree "the manual" cvq-mount
section "$packaging/cvq.1" Sh DESCRIPTION | sed '/^\.Ss/,$d' | of_manual | agree "the manual" cvq
of_bash cvq-mount | agree "the completion for bash" cvq-mount
of_bash cvq | agree "the completion for bash" cvq
{
	grep -oE '^\| `--[a-z-]+' "$packaging/../README.md"
	printf '%s\n' --foreground --debug --help --version # by their short names
} | long_options | agree README.md cvq-mount
expect "$subcommands" "$(sed -n 's/^\.Ss \([a-z]*\)$/\1/p' "$packaging/cvq.1")" \
	"the subcommands in the manual"
for subcommand in $subcommands; do
	of_manual_of "$subcommand" | agree "the manual" cvq "$subcommand"
	of_bash cvq "$subcommand" | agree "the completion for bash" cvq "$subcommand"
done
if command -v zsh >/dev/null; then
	of_zsh cvq-mount | agree "the completion for zsh" cvq-mount
	of_zsh cvq | agree "the completion for zsh" cvq
	for subcommand in $subcommands; do
		of_zsh cvq "$subcommand" | agree "the completion for zsh" cvq "$subcommand"
	done
else
	echo "zsh is not installed: its completion is not tried"
fi

# --- The completions know the values --------------------------------------------

alignments=source
for ((bytes = 1; bytes <= 1 << 20; bytes *= 2)); do
	! "$CVQ" inspect --align "$bytes" "$original" >/dev/null 2>&1 || alignments+=" $bytes"
done
expect "$alignments" "$(sed -n 's/^\t--align) words="\(.*\)" ;;$/\1/p' "$packaging/completion/cvq.bash")" \
	"the alignments that the completion for bash offers"
expect "$alignments" "$(sed -n "s/.*:alignment:(\(.*\))'$/\1/p" "$packaging/completion/_cvq")" \
	"the alignments that the completion for zsh offers"

# --- The READMEs are the same in two languages ----------------------------------

# What a translation leaves as it is: headings and lists, the code in the first column of
# tables, and all code but its comments.
skeleton()
{
	awk '/^```/ { print; inside = !inside; next }
		inside { sub(/ +[#;].*/, ""); print; next }
		/^#+ / { print $1 }
		/^- / { print "-" }
		/^\|/ {
			split($0, cells, "|")
			row = "|"
			for (rest = cells[2]; match(rest, /`[^`]*`/); rest = substr(rest, RSTART + RLENGTH))
				row = row " " substr(rest, RSTART, RLENGTH)
			print row
		}' "$1"
}

skeleton "$packaging/../README.md" >"$work/english"
skeleton "$packaging/../README.zh.md" >"$work/chinese"
[ -s "$work/english" ] || fail "README.md has nothing in it"
diff "$work/english" "$work/chinese" >"$work/difference" ||
	fail "README.md and README.zh.md differ: $(cat "$work/difference")"

# --- The manuals' examples can be pasted ----------------------------------------

# What of an example a shell would take for a command: the first word of each line that
# does not go on where another one ends with a backslash. One line is of /etc/fstab.
first_words()
{
	section "$1" Sh EXAMPLES | sed -n '/^\.Bd/,/^\.Ed/ { /^\./d; p }' |
		sed ':again; /\\e$/ { N; s/\n//; b again }' | cut -d ' ' -f 1
}

for page in "$packaging"/*.1; do
	! first_words "$page" | grep -vxE 'cvq|cvq-mount|fusermount3|getfattr|printf|systemctl|/srv/model' ||
		fail "$page: in the examples is what is no command"
done

# --- The manuals are well-formed ------------------------------------------------

if command -v mandoc >/dev/null; then
	for page in "$packaging"/*.1; do
		mandoc -T lint "$page" >"$work/lint" 2>&1 || true
		# Whether other manuals are installed is not the point.
		! grep -v 'referenced manual not found\|mandoc.db' "$work/lint" ||
			fail "$page is not well-formed"
	done
else
	echo "mandoc is not installed: the manuals are not checked"
fi
