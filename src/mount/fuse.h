/* SPDX-License-Identifier: MIT */
/*
 * libfuse's low-level interface, in the version that Debian 12 has.  What later
 * versions add is used where '#if FUSE_VERSION' finds it.
 */
#ifndef CVQ_MOUNT_FUSE_H
#define CVQ_MOUNT_FUSE_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#endif
