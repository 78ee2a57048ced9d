# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# A mount namespace of our own, for scripts that run as root: whatever is mounted
# in it is gone when the last of its processes ends, and nobody else sees it.

# Starts the calling script again inside such a namespace, unless it is in one. The
# views of others are let go of there: a copy would keep their daemons alive.
# Call as: enter_private_namespace "$0" "$@"
enter_private_namespace()
{
	if [ -z "${CVQ_PRIVATE_NAMESPACE-}" ] && unshare --mount true 2>/dev/null; then
		# shellcheck disable=SC2016 # the inner shell expands these
		CVQ_PRIVATE_NAMESPACE=1 exec unshare --mount --propagation private bash -c \
			'findmnt -rn -t fuse.cvq-mount -o TARGET | while IFS= read -r mounted; do
				umount -c -l "$(printf %b "$mounted")" || true
			done
			exec bash "$@"' bash "$@"
	fi
}

# Lets ordinary users open /dev/fuse, as udev does where it runs: in this namespace
# only, by a device node made in the folder $1.
open_fuse_to_users()
{
	local node=$1/fuse

	if [ -z "${CVQ_PRIVATE_NAMESPACE-}" ] || [ ! -c /dev/fuse ] ||
		[ "$(stat -c %a /dev/fuse)" = 666 ]; then
		return
	fi
	mknod -m 666 "$node" c "0x$(stat -c %t /dev/fuse)" "0x$(stat -c %T /dev/fuse)" &&
		mount --bind "$node" /dev/fuse
	rm -f "$node"
}
