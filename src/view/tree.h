/* SPDX-License-Identifier: MIT */
/*
 * The source tree: paths resolved below one descriptor
 */
#ifndef CVQ_VIEW_TREE_H
#define CVQ_VIEW_TREE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

struct cvq_tree {
	int root;         /* O_PATH */
	dev_t device;     /* of the root */
	bool mounted;     /* whether a view of this tree is mounted yet ... */
	dev_t own_device; /* ... and then as which device */
};

/*
 * Opens 'path' below the root with these open(2) flags (O_NOFOLLOW and O_CLOEXEC
 * are added).  No symlink is followed anywhere in the path.
 *
 * Returns a descriptor or a negative errno; -EXDEV if 'path' is where the view
 * itself is mounted, or another one.  What lies deeper in there is -ENOENT.
 */
int cvq_tree_open(const struct cvq_tree *tree, const char *path, int flags);

/*
 * Opens again, with other flags, what an O_PATH descriptor stands for.  -ESTALE if it is on
 * a server (NFS, or a view in a view) that has something else there by now: the kernel may
 * go on to find what it remembers, until cvq_tree_look_anew().
 */
int cvq_tree_reopen(int fd, int flags);

/* Makes the kernel ask the server anew for the regular file that 'path' leads to, which
 * only an open by name does.  If that fails, so will what the caller tries next. */
void cvq_tree_look_anew(const struct cvq_tree *tree, const char *path);

/* Where a symlink leads. */
struct cvq_link_target {
	int fd;              /* O_PATH */
	bool inside;         /* no step of the way left the tree */
	char path[PATH_MAX]; /* if inside: the target's path */
};

/*
 * Follows the symlink at 'path' to its end.  Returns 0, with a descriptor for the
 * caller to close; -EXDEV if the way leads through the mount of a view, where
 * following might wait for ourselves; or another negative errno.
 */
cvq_err cvq_tree_follow(const struct cvq_tree *tree, const char *path,
			struct cvq_link_target *target);

#endif
