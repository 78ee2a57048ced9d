/* SPDX-License-Identifier: MIT */
#include "view/version.h"

#include <errno.h>
#include <math.h>

/* Whether a change right now could get the same time as the last one has got. */
static bool could_hide_a_change(struct timespec changed, struct timespec now)
{
	/* What lies far ahead was stamped by another clock, or before ours was set. */
	return changed.tv_sec == now.tv_sec && changed.tv_nsec >= now.tv_nsec;
}

cvq_err cvq_stat_settled(int fd, bool patient, struct stat *attributes)
{
	/* The clock that files are stamped with, read before the look at the file. */
	struct timespec now;
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (fstat(fd, attributes))
		return -errno;
	if (!patient || S_ISDIR(attributes->st_mode) ||
	    !could_hide_a_change(attributes->st_ctim, now))
		return 0;
	struct timespec tick;
	clock_getres(CLOCK_REALTIME_COARSE, &tick);
	nanosleep(&tick, NULL);
	return -EAGAIN;
}

bool cvq_changed_lately(struct timespec changed)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	double age = difftime(now.tv_sec, changed.tv_sec) +
		     (double)(now.tv_nsec - changed.tv_nsec) / 1e9;
	return fabs(age) < 0.2;
}
