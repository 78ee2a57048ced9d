/* SPDX-License-Identifier: MIT */
#include "cli/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"

static cvq_err write_file(const char *path, const char *text)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

/* Everybody keeps the number that he has; an ordinary user may say that of himself only. */
static cvq_err map_ids(unsigned user, unsigned group)
{
	char users[32], groups[32];
	snprintf(users, sizeof(users), "%u %u 1\n", user, user);
	snprintf(groups, sizeof(groups), "%u %u 1\n", group, group);
	cvq_err err = write_file("/proc/self/setgroups", "deny");
	err = err ? err : write_file("/proc/self/uid_map", users);
	return err ? err : write_file("/proc/self/gid_map", groups);
}

static cvq_err enter(void)
{
	unsigned user = geteuid();
	unsigned group = getegid();
	cvq_err err = 0;
	if (unshare(CLONE_NEWNS)) {
		if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNS))
			return -errno;
		err = map_ids(user, group);
	}
	if (!err && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
		err = -errno;
	return err;
}

cvq_err cvq_namespace_enter(struct cvq_reason *reason)
{
	cvq_err err = enter();
	if (!err)
		return 0;
	return cvq_explain(reason, err,
			   "a private mount namespace is refused: %s (as root: sysctl -w "
			   "user.max_user_namespaces=10000 "
			   "kernel.apparmor_restrict_unprivileged_userns=0; or use {} "
			   "instead)",
			   strerror(-err));
}
