/* SPDX-License-Identifier: MIT */
/*
 * What the source's own rights and extended attributes say about an entry
 */
#include "view/view.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"

cvq_err cvq_view_access(struct cvq_view *view, const char *path,
			const struct cvq_entry *entry, int mode)
{
	if (mode & W_OK)
		return -EROFS;
	if (entry->hidden || mode == F_OK)
		return 0;
	cleanup_fd int fd = cvq_view_open_path(view, path, entry);
	if (fd < 0)
		return fd;
	/* glibc before 2.39 emulates this call and gets AT_EMPTY_PATH wrong. */
	if (syscall(SYS_faccessat2, fd, "", mode, AT_EACCESS | AT_EMPTY_PATH))
		return errno == ENOSYS ? 0 : -errno; /* before Linux 5.8: open will tell */
	return 0;
}

#define USER_PREFIX "user."
#define OWN_PREFIX  "user.cvq." /* a source that is itself a view has these */

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The calls for descriptors refuse O_PATH, so attributes are asked for by this path. */
static int open_for_xattrs(struct cvq_view *view, const char *path,
			   const struct cvq_entry *entry, char link[32])
{
	/* Only files and folders have user.* attributes. */
	mode_t mode = entry->attributes.st_mode;
	if (entry->hidden || !(S_ISREG(mode) || S_ISDIR(mode)))
		return -ENODATA;
	cleanup_fd int fd = cvq_view_open_path(view, path, entry);
	if (fd < 0)
		return fd;
	/* Who may read the entry need not be allowed to read what took its place. */
	struct stat now;
	if (fstat(fd, &now))
		return -errno;
	if (now.st_dev != entry->version.device || now.st_ino != entry->version.inode)
		return -ESTALE;
	snprintf(link, 32, "/proc/self/fd/%d", fd);
	return steal_fd(fd);
}

ssize_t cvq_view_get_xattr(struct cvq_view *view, const char *path,
			   const struct cvq_entry *entry, const char *name, void *value,
			   size_t size)
{
	bool is_list = strcmp(name, CVQ_ACCESS_LIST) == 0;
	if (!is_list && (!starts_with(name, USER_PREFIX) || starts_with(name, OWN_PREFIX)))
		return -ENODATA;
	char link[32];
	cleanup_fd int fd = open_for_xattrs(view, path, entry, link);
	if (fd < 0)
		return fd;
	ssize_t length = getxattr(link, name, value, size);
	if (length < 0 && is_list && errno == EOPNOTSUPP)
		return -ENODATA; /* where there are no lists, there is none */
	return length < 0 ? -errno : length;
}

/* Keeps the names that are passed on; returns their length together. */
static ssize_t keep_user_names(char *names, ssize_t length)
{
	char *end = names + length;
	char *kept = names;

	for (char *name = names; name < end;) {
		size_t bytes = strlen(name) + 1;
		if (starts_with(name, USER_PREFIX) && !starts_with(name, OWN_PREFIX)) {
			memmove(kept, name, bytes);
			kept += bytes;
		}
		name += bytes;
	}
	return kept - names;
}

ssize_t cvq_view_list_xattrs(struct cvq_view *view, const char *path,
			     const struct cvq_entry *entry, char *names, size_t size)
{
	char link[32];
	cleanup_fd int fd = open_for_xattrs(view, path, entry, link);
	if (fd < 0)
		return fd == -ENODATA ? 0 : fd;

	cleanup_free char *all = malloc(XATTR_LIST_MAX);
	if (!all)
		return -ENOMEM;
	ssize_t length = listxattr(link, all, XATTR_LIST_MAX);
	if (length < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	length = keep_user_names(all, length);
	if (size > 0 && (size_t)length > size)
		return -ERANGE;
	if (size > 0)
		memcpy(names, all, (size_t)length);
	return length;
}
