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

/* The extended attribute of its root in which a view says how it fares, as JSON. */
#define CVQ_STATUS_ATTRIBUTE "user.cvq.status"

struct cvq_mounted {
	int id; /* given to another once it is gone */
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
 * Finds what is mounted at the absolute path 'path': on top there, and not hidden by what
 * is mounted above it.  Returns 0, -ENOENT if nothing is, or another negative errno.
 */
cvq_err cvq_mounted_at(const char *path, struct cvq_mounted *mounted);

/*
 * The same, and returns a descriptor (O_PATH) of its root, to be closed, instead of 0.
 * While that is open no other mount gets its id or device.
 */
int cvq_mounted_hold(const char *path, struct cvq_mounted *mounted);

/* The id of the mount that the descriptor is in, or a negative errno. */
int cvq_mounted_id(int fd);

/* Finds the file system of that device, wherever it is mounted: 0, -ENOENT if it is not,
 * or another negative errno. */
cvq_err cvq_mounted_as(dev_t device, struct cvq_mounted *mounted);

#endif
