/* SPDX-License-Identifier: MIT */
/*
 * Taking a view away
 */
#ifndef CVQ_BASE_UNMOUNT_H
#define CVQ_BASE_UNMOUNT_H

#include "base/error.h"

/*
 * Unmounts what is on top at the absolute path 'path', with the help of fusermount3
 * if this process may not.  It is gone from there at once, also when it is in use:
 * what is open stays open.  Returns 0 or a negative errno.
 */
cvq_err cvq_unmount(const char *path);

#endif
