/* SPDX-License-Identifier: MIT */
/*
 * The privilege to mount: CAP_SYS_ADMIN
 */
#ifndef CVQ_BASE_PRIVILEGE_H
#define CVQ_BASE_PRIVILEGE_H

#include <stdbool.h>

#include "base/error.h"

/* Whether this process needs no fusermount3 to mount. */
bool cvq_may_mount(void);

/*
 * Makes the privilege, which this process has, one of the program that it becomes with
 * execve(2), too.  Returns 0 or a negative errno.
 */
cvq_err cvq_pass_on_mounting(void);

#endif
