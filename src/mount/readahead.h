/* SPDX-License-Identifier: MIT */
/*
 * How much the kernel asks for at a time
 *
 * That is the readahead of the file system's backing device, 128 KiB, which a daemon
 * can lower when it introduces itself, but not raise; root can, in /sys.  Ordinary
 * users are helped by a udev rule (packaging/udev).
 *
 * More than this would reach over the quiet zone between a seal and the next record
 * (image/plan_zip.c): the kernel reads half of its readahead in front of a page fault,
 * and to read a seal takes its whole record.
 */
#ifndef CVQ_MOUNT_READAHEAD_H
#define CVQ_MOUNT_READAHEAD_H

#include <sys/types.h>

#define CVQ_READ_AHEAD_KIB 256

/*
 * Raises the readahead of the file system with that device, if it is less and this
 * process may.  To be called after the INIT request was answered, for the answer sets it.
 */
void cvq_read_ahead_raise(dev_t device);

#endif
