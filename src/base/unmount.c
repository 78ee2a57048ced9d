/* SPDX-License-Identifier: MIT */
#include "base/unmount.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/program.h"

static cvq_err unmount_by_helper(const char *path)
{
	cleanup_free char *helper = cvq_program_find("fusermount3");
	cleanup_free char *target = strdup(path);
	if (!helper || !target)
		return helper ? -ENOMEM : -ENOENT;
	char *arguments[] = {(char[]){"fusermount3"},
			     (char[]){"-u"},
			     (char[]){"-z"},
			     (char[]){"-q"},
			     (char[]){"--"},
			     target,
			     NULL};
	pid_t child;
	int err = posix_spawn(&child, helper, NULL, NULL, arguments, environ);
	if (err)
		return -err;
	int status;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

cvq_err cvq_unmount(const char *path)
{
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return 0;
	return errno == EPERM ? unmount_by_helper(path) : -errno;
}
