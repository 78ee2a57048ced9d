/* SPDX-License-Identifier: MIT */
/*
 * /proc/self/mountinfo: what is mounted where, asked without touching the mounts
 */
#ifndef CVQ_BASE_MOUNTINFO_H
#define CVQ_BASE_MOUNTINFO_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* The file system type that views are mounted as. */
#define CVQ_SUBTYPE "cvq-mount"

struct cvq_mounted {
	dev_t device;
	char type[64]; /* such as "fuse." CVQ_SUBTYPE */
};

bool cvq_mounted_is_view(const struct cvq_mounted *mounted);

/*
 * Finds the topmost file system that is mounted at the absolute path 'path'.
 * Returns 0, -ENOENT if nothing is mounted there, or another negative errno.
 */
cvq_err cvq_mounted_at(const char *path, struct cvq_mounted *mounted);

/* Finds the file system of that device, wherever it is mounted.  Results as above. */
cvq_err cvq_mounted_as(dev_t device, struct cvq_mounted *mounted);

#endif
