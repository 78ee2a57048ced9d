/* SPDX-License-Identifier: MIT */
/*
 * /proc/self/mountinfo: what is mounted where, asked without touching the mounts
 */
#ifndef CVQ_MOUNT_MOUNTINFO_H
#define CVQ_MOUNT_MOUNTINFO_H

#include <sys/types.h>

#include "base/error.h"

struct cvq_mounted {
	dev_t device;
	char type[64]; /* such as "fuse.cvq-mount" */
};

/*
 * Finds the topmost file system that is mounted at the absolute path 'path'.
 * Returns 0, -ENOENT if nothing is mounted there, or another negative errno.
 */
cvq_err cvq_mounted_at(const char *path, struct cvq_mounted *mounted);

#endif
