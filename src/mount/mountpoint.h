/* SPDX-License-Identifier: MIT */
/*
 * The mountpoint before anything is mounted: is it fit, and what is there already?
 *
 * The reasons given here say what to do as well.
 */
#ifndef CVQ_MOUNT_MOUNTPOINT_H
#define CVQ_MOUNT_MOUNTPOINT_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/error.h"

/*
 * The absolute path of the mountpoint 'given', without symlinks.  Works for one
 * whose daemon has died, too.  Returns 0 and a path to be freed, or a negative errno.
 */
cvq_err cvq_mountpoint_resolve(const char *given, char **path, struct cvq_reason *reason);

/* Clears the mounts that killed daemons of ours left at 'path'; most often none. */
cvq_err cvq_mountpoint_clear(const char *path, struct cvq_reason *reason);

/*
 * Whether a view of the source whose root is 'source' can be mounted at 'path';
 * 'before' is set to the attributes of what is there.
 */
cvq_err cvq_mountpoint_check(const char *path, const struct stat *source, bool nonempty,
			     struct stat *before, struct cvq_reason *reason);

/* Whether this machine and this user can mount with FUSE at all. */
cvq_err cvq_fuse_check(struct cvq_reason *reason);

/* The directory of a path: "." if it has none, "/" for the root.  To be freed. */
char *cvq_parent_path(const char *path);

#endif
