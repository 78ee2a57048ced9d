/* SPDX-License-Identifier: MIT */
#include "mount/mountpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mountinfo.h"
#include "base/privilege.h"
#include "base/program.h"
#include "base/unmount.h"

#define MOST_DEAD_MOUNTS 16 /* on top of each other, before we give up */

/* fusermount3 reads 4095 bytes of a line that also names the source and the options. */
#define LONGEST_FOR_USERS 3000

/* ========================================================================== */
/*                                    Paths                                   */
/* ========================================================================== */

char *cvq_parent_path(const char *path)
{
	size_t length = strlen(path);
	while (length > 1 && path[length - 1] == '/')
		length--;
	while (length > 0 && path[length - 1] != '/')
		length--;
	while (length > 1 && path[length - 1] == '/')
		length--;
	return length ? strndup(path, length) : strdup(".");
}

static const char *last_name(const char *path, size_t *length)
{
	size_t end = strlen(path);
	while (end > 1 && path[end - 1] == '/')
		end--;
	size_t start = end;
	while (start > 0 && path[start - 1] != '/')
		start--;
	*length = end - start;
	return path + start;
}

/* A path for advice: one that is too long for a message is not to be cut. */
static const char *advisable(const char *path)
{
	return strlen(path) <= 100 ? path : "MOUNTPOINT";
}

/* realpath(3) stumbles over a dead mount; its parent has a path all the same. */
static char *resolve_dead(const char *given)
{
	cleanup_free char *parent = cvq_parent_path(given);
	cleanup_free char *resolved = parent ? realpath(parent, NULL) : NULL;
	char *path;
	size_t length;
	const char *name = last_name(given, &length);
	if (!resolved || asprintf(&path, "%s/%.*s", strcmp(resolved, "/") ? resolved : "",
				  (int)length, name) < 0)
		return NULL;
	return path;
}

cvq_err cvq_mountpoint_resolve(const char *given, char **path, struct cvq_reason *reason)
{
	*path = realpath(given, NULL);
	if (!*path && errno == ENOTCONN)
		*path = resolve_dead(given);
	if (*path)
		return 0;
	if (errno == ENOENT)
		return cvq_explain(reason, -ENOENT,
				   "there is no such directory (create it: mkdir -p %s)",
				   advisable(given));
	return cvq_explain(reason, -errno, "%s (choose a directory that you can reach)",
			   strerror(errno));
}

/* ========================================================================== */
/*                                 Dead mounts                                */
/* ========================================================================== */

static bool is_fuse(const struct cvq_mounted *mounted)
{
	return strncmp(mounted->type, "fuse", 4) == 0;
}

/*
 * Whether the file system that 'root' is in has lost its daemon.  Attributes may come from
 * the kernel's cache; the numbers of statfs(2) never do.
 */
static bool is_dead(int root)
{
	struct statfs numbers;
	return fstatfs(root, &numbers) && (errno == ENOTCONN || errno == ECONNABORTED);
}

cvq_err cvq_mountpoint_clear(const char *path, struct cvq_reason *reason)
{
	struct cvq_mounted mounted;

	for (int i = 0; i < MOST_DEAD_MOUNTS; i++) {
		/* Held, what is unmounted is what was found dead. */
		cleanup_fd int root = cvq_mounted_hold(path, &mounted);
		if (root < 0 || !is_fuse(&mounted) || !is_dead(root))
			return 0;
		if (!cvq_mounted_is_view(&mounted))
			return cvq_explain(reason, -ENOTCONN,
					   "a dead mount of another program is there "
					   "(unmount it: fusermount3 -u %s)",
					   advisable(path));
		cvq_err err = cvq_unmount(root, path);
		if (err)
			return cvq_explain(reason, err,
					   "a dead view is there and cannot be cleared: %s "
					   "(as who mounted it: fusermount3 -u %s)",
					   strerror(-err), advisable(path));
	}
	return cvq_explain(reason, -ENOTCONN,
			   "too many dead mounts are stacked there (unmount them: "
			   "fusermount3 -u %s)",
			   advisable(path));
}

/* ========================================================================== */
/*                                   Checks                                   */
/* ========================================================================== */

static void close_stream(DIR **stream)
{
	if (*stream)
		closedir(*stream);
}

static cvq_err check_empty(const char *path, struct cvq_reason *reason)
{
	cvq_cleanup(close_stream) DIR *stream = opendir(path);
	if (!stream)
		return cvq_explain(reason, -errno,
				   "it cannot be listed: %s (choose a directory of yours)",
				   strerror(errno));
	for (struct dirent *name; (name = readdir(stream));)
		if (strcmp(name->d_name, ".") != 0 && strcmp(name->d_name, "..") != 0)
			return cvq_explain(reason, -ENOTEMPTY,
					   "the directory is not empty (choose an empty "
					   "one, or hide its content with -o nonempty)");
	return 0;
}

/* What fusermount3 asks of a mountpoint when an ordinary user mounts. */
static cvq_err check_for_user(const char *path, const struct stat *attributes,
			      struct cvq_reason *reason)
{
	if (cvq_may_mount())
		return 0;
	if (strlen(path) > LONGEST_FOR_USERS)
		return cvq_explain(reason, -ENAMETOOLONG,
				   "its path is too long for fusermount3 to unmount it "
				   "(choose a shorter one, or mount as root)");
	if (access(path, W_OK))
		return cvq_explain(reason, -EACCES,
				   "you may not write there, so you may not mount there "
				   "(choose a directory of yours, or mount as root)");
	if ((attributes->st_mode & S_ISVTX) && attributes->st_uid != geteuid())
		return cvq_explain(reason, -EACCES,
				   "it is a shared directory of another user (create a "
				   "directory of yours in it)");
	return 0;
}

/* 'mounted' is what hides the mountpoint, or NULL. */
static cvq_err explain_hidden(cvq_err err, const char *path,
			      const struct cvq_mounted *mounted, struct cvq_reason *reason)
{
	/* Nobody but its user, not even root, is told whether its daemon lives. */
	if (err == -EACCES && mounted && is_fuse(mounted))
		return cvq_explain(reason, err,
				   "another user has mounted something there (as that "
				   "user: fusermount3 -u %s; or as root, if its program is "
				   "dead: umount -l)",
				   advisable(path));
	return cvq_explain(reason, err, "%s (choose another directory)", strerror(-err));
}

cvq_err cvq_mountpoint_check(const char *path, const struct stat *source, bool nonempty,
			     struct stat *before, struct cvq_reason *reason)
{
	struct cvq_mounted mounted;
	bool is_mounted = cvq_mounted_at(path, &mounted) == 0;
	if (stat(path, before))
		return explain_hidden(-errno, path, is_mounted ? &mounted : NULL, reason);
	if (!S_ISDIR(before->st_mode))
		return cvq_explain(reason, -ENOTDIR,
				   "it is not a directory (choose an empty directory)");
	if (is_mounted && cvq_mounted_is_view(&mounted))
		return cvq_explain(reason, -EBUSY,
				   "a view is mounted there already (unmount it first: "
				   "fusermount3 -u %s)",
				   advisable(path));
	cvq_err err = check_for_user(path, before, reason);
	bool in_place =
		before->st_dev == source->st_dev && before->st_ino == source->st_ino;
	if (err || nonempty || in_place)
		return err;
	return check_empty(path, reason);
}

cvq_err cvq_fuse_check(struct cvq_reason *reason)
{
	cleanup_fd int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return cvq_explain(reason, -errno,
				   "you may not open it (as root: chmod 666 /dev/fuse; a "
				   "container needs --device /dev/fuse)");
	if (fd < 0)
		return cvq_explain(reason, -errno,
				   "%s (as root: modprobe fuse; a container needs --device "
				   "/dev/fuse --cap-add SYS_ADMIN)",
				   strerror(errno));
	if (cvq_may_mount())
		return 0;
	cleanup_free char *helper = cvq_program_find("fusermount3");
	if (!helper && access("/usr/bin/fusermount3", X_OK))
		return cvq_explain(reason, -ENOENT,
				   "an ordinary user needs fusermount3 to mount, and it is "
				   "not installed (as root: apt install fuse3)");
	return 0;
}
