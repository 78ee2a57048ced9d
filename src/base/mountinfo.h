/* SPDX-License-Identifier: MIT */
/*
 * /proc/self/mountinfo: what is mounted where, asked without touching the mounts
 */
#ifndef CVQ_BASE_MOUNTINFO_H
#define CVQ_BASE_MOUNTINFO_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"

/* The file system type that views are mounted as. */
#define CVQ_SUBTYPE "cvq-mount"

struct cvq_mounted {
	dev_t device;
	char type[64]; /* such as "fuse." CVQ_SUBTYPE */
	bool whole;    /* not a bind mount of some folder in the file system */
};

bool cvq_mounted_is_view(const struct cvq_mounted *mounted);

/* A walk over everything that is mounted.  What is mounted later comes later. */
struct cvq_mounts {
	FILE *file;
	char *line;
	size_t size;
};

/* Returns 0 or a negative errno.  Close it in any case. */
cvq_err cvq_mounts_open(struct cvq_mounts *mounts);
void cvq_mounts_close(struct cvq_mounts *mounts);

#define cleanup_mounts cvq_cleanup(cvq_mounts_close)

/* The next mountpoint, borrowed until the next call, and what is mounted there; or NULL. */
const char *cvq_mounts_next(struct cvq_mounts *mounts, struct cvq_mounted *mounted);

/*
 * Finds the topmost file system that is mounted at the absolute path 'path'.
 * Returns 0, -ENOENT if nothing is mounted there, or another negative errno.
 */
cvq_err cvq_mounted_at(const char *path, struct cvq_mounted *mounted);

/* Finds the file system of that device, wherever it is mounted.  Results as above. */
cvq_err cvq_mounted_as(dev_t device, struct cvq_mounted *mounted);

#endif
