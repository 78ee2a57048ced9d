# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Completion of cvq and cvq-mount for bash; installed under both names.

_cvq_rules="--align --checksum --config --convert --dtype --help --keep --keep-tensor
	--overflow --quantize-hift --symlinks"

# The long options of a subcommand, or of cvq-mount.
_cvq_options()
{
	case $1 in
	check | status) echo --help --json ;;
	convert) echo "$_cvq_rules" --force --quiet ;;
	inspect) echo "$_cvq_rules" --json ;;
	run) echo "$_cvq_rules" --in-place --timeout ;;
	verify) echo "$_cvq_rules" --json --quiet ;;
	cvq-mount) echo "$_cvq_rules" --check --debug --foreground --timeout --version ;;
	esac
}

# _cvq_values OPTION WORD: what may follow the option; false if anything may, or nothing.
_cvq_values()
{
	local words

	case $1 in
	--dtype) words="fp16 bf16" ;;
	--overflow) words="inf clamp" ;;
	--checksum) words="seal exact none" ;;
	--align) words="source 16 32 64 128 256 512 1024 2048 4096 8192 16384 32768 65536" ;;
	--symlinks) words="auto follow keep" ;;
	-o)
		words="allow_other allow_root auto_unmount check default_permissions direct_io
			drop_source_cache fsname= max_threads= nonempty noexec"
		;;
	--config)
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
		compopt -o filenames 2>/dev/null
		return 0
		;;
	--convert | --keep | --keep-tensor | --timeout) return 0 ;;
	*) return 1 ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$2")
}

_cvq_paths()
{
	mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
	compopt -o filenames 2>/dev/null
}

_cvq()
{
	local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[0]##*/}
	local option=${COMP_WORDS[COMP_CWORD - 1]} i

	COMPREPLY=()
	if [ "$command" = cvq ]; then
		if [ "$COMP_CWORD" = 1 ]; then
			mapfile -t COMPREPLY < <(compgen -W \
				"check convert inspect run status verify --help --version" -- "$current")
			return
		fi
		command=${COMP_WORDS[1]}
	fi
	# What is behind -- is another command.
	for ((i = 1; i < COMP_CWORD; i++)); do
		[ "${COMP_WORDS[i]}" = -- ] || continue
		if [ "$i" -lt "$((COMP_CWORD - 1))" ]; then
			_cvq_paths -f "$current"
		elif [ "$command" = run ]; then
			_cvq_paths -c "$current"
		fi
		return
	done

	# bash makes three words of --dtype=fp16.
	if [ "$current" = = ]; then
		current=""
	elif [ "$option" = = ]; then
		option=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	if _cvq_values "$option" "$current"; then
		return
	fi
	case $current,$command in
	-*) mapfile -t COMPREPLY < <(compgen -W "$(_cvq_options "$command")" -- "$current") ;;
	*,inspect | *,verify) _cvq_paths -f "$current" ;;
	*) _cvq_paths -d "$current" ;;
	esac
}

complete -F _cvq cvq cvq-mount
