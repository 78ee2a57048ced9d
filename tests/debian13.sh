#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Builds and tests on Debian 13, in a tree made by debootstrap and kept for the
# next time. Needs root. Arguments are handed on to tests/run.sh in there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

suite=trixie
tree=/var/tmp/cvq-debian13 # with the packages that the tests need; never written to by tests
lock=/run/cvq-debian13.lock
packages=(test arm package) # sets of packaging/install-dependencies.sh

die()
{
	echo "debian13.sh: $*" >&2
	exit 1
}

[ "$(id -u)" = 0 ] || die "needs root (sudo tests/debian13.sh)"
# shellcheck source=tests/lib-private.sh
. tests/lib-private.sh
enter_private_namespace tests/debian13.sh "$@"
[ -n "${CVQ_PRIVATE_NAMESPACE-}" ] || die "this root may not mount, so it cannot use $tree"

# --- Making the tree ------------------------------------------------------------

stamp="$suite $(packaging/install-dependencies.sh --list "${packages[@]}" |
	sha256sum | cut -d ' ' -f 1)"

is_fresh()
{
	[ -d "$tree" ] && [ ! -L "$tree" ] && [ "$(stat -c %u "$tree")" = 0 ] &&
		[ "$(cat "$tree/etc/cvq-packages" 2>/dev/null)" = "$stamp" ]
}

# The mirror that this machine already uses, if that is on the network.
find_mirror()
{
	# shellcheck disable=SC2016 # apt-get expands these
	apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' \
		2>/dev/null | sed -n 's,^Debian Debian \(https\?://.*\),\1,p' | head -n 1
}

# bootstrap DIRECTORY [MIRROR]
bootstrap()
{
	local include=()

	case ${2-} in
	https:*) include=(--include=ca-certificates) ;;
	esac
	debootstrap --variant=minbase "${include[@]}" "$suite" "$@"
}

make_tree()
{
	local new mirror

	packaging/install-dependencies.sh debian13
	mirror=$(find_mirror) || true
	new=$(mktemp -d "$tree.XXXXXX")
	# shellcheck disable=SC2064 # the name is known now
	trap "umount -qR '$new/proc' '$new/dev' || true; rm -rf --one-file-system '$new'" EXIT
	chmod 755 "$new"
	if ! bootstrap "$new" ${mirror:+"$mirror"}; then
		[ -n "$mirror" ] || die "debootstrap failed"
		echo "debian13.sh: $mirror does not have $suite; trying debootstrap's own choice"
		rm -rf --one-file-system "${new:?}"/*
		bootstrap "$new" || die "debootstrap failed"
	fi

	mount -t proc proc "$new/proc"
	mount --rbind /dev "$new/dev"
	# This tree is thrown away if the power fails, so nothing need be synced to disk.
	echo force-unsafe-io >"$new/etc/dpkg/dpkg.cfg.d/cvq"
	printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d" # start no services
	chmod 755 "$new/usr/sbin/policy-rc.d"
	install -m 755 packaging/install-dependencies.sh "$new/root/"
	chroot "$new" /root/install-dependencies.sh "${packages[@]}" </dev/null
	chroot "$new" apt-get clean
	rm -rf "$new"/var/lib/apt/lists/*
	umount -R "$new/proc" "$new/dev"
	ln -sf /proc/self/mounts "$new/etc/mtab" # which an installer does; fusermount3 wants it
	mkdir "$new/source" "$new/build"
	echo "$stamp" >"$new/etc/cvq-packages"

	[ ! -e "$tree" ] || rm -rf --one-file-system "$tree"
	mv -T "$new" "$tree"
	trap - EXIT
}

exec 9>"$lock"
flock -s 9
if ! is_fresh; then
	flock -x 9 # waits for tests that use the old tree
	if ! is_fresh; then
		started=$SECONDS
		echo "Making $tree ($suite)"
		make_tree >&2
		echo "Made $tree in $((SECONDS - started)) s, $(du -sh "$tree" | cut -f 1)"
	fi
	flock -s 9 # others may use it at the same time, and nobody replace it
fi

# --- Testing in it --------------------------------------------------------------

# Everything that tests write goes to a folder on the disk, for a model is large.
scratch=$(mktemp -d /var/tmp/cvq-debian13-run.XXXXXX)
# shellcheck disable=SC2317 # called by the trap
clean_up()
{
	umount -qlR "$tree" || true # with the views that an interrupted test has there
	rm -rf --one-file-system "$scratch" 2>/dev/null || {
		sleep 1 # for processes that are still ending
		rm -rf --one-file-system "$scratch"
	}
}
trap clean_up EXIT
trap 'exit 130' INT TERM
mkdir "$scratch/build" "$scratch/tmp"
chmod 1777 "$scratch/tmp"
open_fuse_to_users "$scratch"

mount --bind "$tree" "$tree"
mount -o remount,bind,ro "$tree"
mount --bind "$PWD" "$tree/source"
mount -o remount,bind,ro "$tree/source"
mount --bind "$scratch/build" "$tree/build"
mount --bind "$scratch/tmp" "$tree/tmp"
mount --bind "$scratch/tmp" "$tree/var/tmp"
mount -t tmpfs -o mode=755 tmpfs "$tree/run"
mount --rbind /dev "$tree/dev"
mount --rbind /sys "$tree/sys"

# In a process namespace too, so that no daemon survives the last line.  Of the models at
# full size one is enough: the others are the same bytes on Debian 12.
status=0
# shellcheck disable=SC2016 # the inner shell expands these
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8 CI="${CI-}" \
	CVQ_BUILD_ROOT=/build CVQ_PRIVATE_NAMESPACE=1 CVQ_TEST_MODELS=CosyVoice2-0.5B \
	unshare --pid --fork --kill-child bash -c '
		mount -t proc proc "$0/proc" &&
			exec chroot "$0" /source/tests/run.sh --no-install --brief "$@" release' \
	"$tree" "$@" </dev/null 9>&- || status=$?
exit "$status"
