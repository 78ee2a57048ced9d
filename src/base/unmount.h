/* SPDX-License-Identifier: MIT */
/*
 * Taking a view away
 */
#ifndef CVQ_BASE_UNMOUNT_H
#define CVQ_BASE_UNMOUNT_H

#include "base/error.h"

/*
 * Unmounts the mount at the absolute path 'path' whose root the descriptor 'root' is, and
 * no other, with the help of fusermount3 if this process may not.  It is gone from there
 * at once, also when it is in use: what is open stays open.  Returns 0, also if somebody
 * else was faster, or a negative errno.
 */
cvq_err cvq_unmount(int root, const char *path);

#endif
