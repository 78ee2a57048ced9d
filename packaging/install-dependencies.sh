#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Installs the Debian or Ubuntu packages that cvq needs and that are missing.
# When nothing is missing it needs neither root nor a network.
set -euo pipefail

usage()
{
	cat <<'END'
Usage: install-dependencies.sh [--list] SET...

Installs what is missing of these sets of packages (Debian 12, 13, Ubuntu 24.04):

  build     to build cvq-mount and to mount
  test      to build and run the tests; includes build
  arm       to run the Arm kernel's test on another processor
  fuzz      to build and run the fuzz targets
  style     to check the style of the sources
  package   to make Debian packages; includes build
  debian13  to make the Debian 13 tree that tests/debian13.sh uses

  --list    print the names of the packages instead
END
}

die()
{
	echo "install-dependencies.sh: $*" >&2
	exit 1
}

packages_of()
{
	case $1 in
	build)
		echo gcc libc6-dev make cmake pkgconf fuse3 libfuse3-dev libzip-dev \
			libinih-dev libdeflate-dev zlib1g-dev libjansson-dev libyaml-dev \
			libsmartcols-dev
		;;
	test)
		packages_of build
		echo libcmocka-dev python3 python3-jsonschema python3-torch g++ libtorch-dev \
			unzip zip rsync attr fio procps mandoc zsh
		;;
	package)
		packages_of build
		echo dpkg-dev file # CPack asks file(1) what to strip and what needs libraries
		;;
	arm)
		echo qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross
		;;
	fuzz)
		echo clang-14 libclang-rt-14-dev
		;;
	style)
		echo clang-format-14 clang-tidy-14 shellcheck
		;;
	debian13)
		echo debootstrap debian-archive-keyring
		;;
	*)
		die "$1: no such set of packages (see --help)"
		;;
	esac
}

# Some releases do not have these; what needs them is skipped there and says so.
is_optional()
{
	case $1 in
	python3-torch | libtorch-dev | *clang-* | qemu-user | *aarch64* | *arm64*) return 0 ;;
	*) return 1 ;;
	esac
}

is_installed()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

is_available()
{
	local candidate
	candidate=$(LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p')
	[ -n "$candidate" ] && [ "$candidate" != "(none)" ]
}

note_absence()
{
	echo "install-dependencies.sh: $1: not in this release (what needs it is skipped)" >&2
}

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

apt_get()
{
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

list=false
sets=()
for argument; do
	case $argument in
	-h | --help)
		usage
		exit 0
		;;
	--list) list=true ;;
	-*) die "$argument: no such option (see --help)" ;;
	*) sets+=("$argument") ;;
	esac
done
[ ${#sets[@]} -gt 0 ] || die "which set of packages? (see --help)"

wanted=""
for set in "${sets[@]}"; do
	names=$(packages_of "$set") || exit 1
	wanted+=" $names"
done
wanted=$(tr ' ' '\n' <<<"$wanted" | sed '/^$/d' | sort -u)
if $list; then
	echo "$wanted"
	exit 0
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	die "no apt-get here (install by hand what these are called in Debian: ${wanted//$'\n'/ })"
fi

missing=()
for package in $wanted; do
	if is_installed "$package"; then
		continue
	elif is_optional "$package" && is_available libfuse3-dev && ! is_available "$package"; then
		note_absence "$package" # apt has its lists, so asking again would not help
	else
		missing+=("$package")
	fi
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null ||
		die "not root, and there is no sudo (as root: apt-get install ${missing[*]})"
	sudo true || die "not root, and sudo refuses (as root: apt-get install ${missing[*]})"
fi

echo "Installing: ${missing[*]}"
# Somebody's broken third repository must not stop us; a missing package will.
apt_get update || echo "install-dependencies.sh: apt-get update failed (going on without)" >&2

install=()
for package in "${missing[@]}"; do
	if is_available "$package"; then
		install+=("$package")
	elif is_optional "$package"; then
		note_absence "$package"
	else
		die "$package: apt-get does not know it (no network? Debian 12, Ubuntu 24.04 or newer?)"
	fi
done
if [ ${#install[@]} -gt 0 ]; then
	apt_get install --no-install-recommends "${install[@]}" ||
		die "apt-get could not install: ${install[*]}"
fi
