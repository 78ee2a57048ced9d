/* SPDX-License-Identifier: MIT */
#include "base/privilege.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* glibc has no names for these calls, and libcap would be a library for two lines. */

static cvq_err get(struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3])
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	return syscall(SYS_capget, &header, sets) ? -errno : 0;
}

static cvq_err set(const struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3])
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	return syscall(SYS_capset, &header, sets) ? -errno : 0;
}

bool cvq_may_mount(void)
{
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
	return geteuid() == 0 ||
	       (get(sets) == 0 &&
		(sets[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN)));
}

cvq_err cvq_pass_on_mounting(void)
{
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
	cvq_err err = get(sets);
	if (err)
		return err;
	sets[CAP_TO_INDEX(CAP_SYS_ADMIN)].inheritable |= CAP_TO_MASK(CAP_SYS_ADMIN);
	err = set(sets);
	if (!err && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0))
		err = -errno;
	return err;
}
