/* SPDX-License-Identifier: MIT */
#include "cli/status_attribute.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/mountinfo.h"

/* More than its counters and its last error can have grown between two calls. */
#define SLACK 4096

cvq_err cvq_status_read(const char *path, json_t **status)
{
	*status = NULL;
	/* "cp -a" gives a copy of a view the same attribute, so the file system counts. */
	struct statfs system;
	if (statfs(path, &system))
		return -errno;
	if (system.f_type != FUSE_SUPER_MAGIC)
		return -ENODATA;
	ssize_t size = getxattr(path, CVQ_STATUS_ATTRIBUTE, NULL, 0);
	if (size < 0)
		return errno == EOPNOTSUPP ? -ENODATA : -errno;
	size += SLACK;
	cleanup_free char *text = malloc((size_t)size);
	if (!text)
		return -ENOMEM;
	size = getxattr(path, CVQ_STATUS_ATTRIBUTE, text, (size_t)size);
	if (size < 0)
		return -errno;
	*status = json_loadb(text, (size_t)size, 0, NULL);
	if (json_is_object(*status))
		return 0;
	json_decref(*status);
	*status = NULL;
	return -ENODATA;
}
