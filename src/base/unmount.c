/* SPDX-License-Identifier: MIT */
#include "base/unmount.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/mountinfo.h"
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

cvq_err cvq_unmount(int root, const char *path)
{
	char link[64];
	struct cvq_mounted mounted;
	/* A path leads to whatever is mounted there by then; this link to 'root' alone. */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", root);
	if (umount2(link, MNT_DETACH) == 0)
		return 0;
	cvq_err err = -errno;
	if (cvq_mounted_at(path, &mounted) || mounted.id != cvq_mounted_id(root))
		return 0;
	return err == -EPERM ? unmount_by_helper(path) : err;
}
