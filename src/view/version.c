/* SPDX-License-Identifier: MIT */
#include "view/version.h"

#include <errno.h>

struct cvq_version cvq_version_of(const struct stat *attributes)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return (struct cvq_version){
		.device = attributes->st_dev,
		.inode = attributes->st_ino,
		.size = (uint64_t)attributes->st_size,
		.modified = attributes->st_mtim,
		.changed = attributes->st_ctim,
		.at_rest = attributes->st_ctim.tv_sec + 2 < now.tv_sec,
	};
}

/* Waits at most for so many steps of the clock to be made. */
#define MOST_STEPS 250

/* Whether a change right now could get the same time as the last one has got. */
static bool could_hide_a_change(struct timespec changed, struct timespec now)
{
	/* Stamps may be ahead of the clock by less than one of its steps.  What lies far
	 * ahead was stamped by another clock, or before ours was set. */
	if (changed.tv_sec == now.tv_sec)
		return changed.tv_nsec >= now.tv_nsec;
	return changed.tv_sec == now.tv_sec + 1 && changed.tv_nsec < now.tv_nsec;
}

/* The clock moves with the interrupts of one processor.  Where that is a virtual one, it
 * may stand still while others run. */
static void await_step(struct timespec now)
{
	struct timespec step;
	struct timespec later = now;
	clock_getres(CLOCK_REALTIME_COARSE, &step);
	for (int i = 0; i < MOST_STEPS && cvq_same_time(now, later); i++) {
		nanosleep(&step, NULL);
		clock_gettime(CLOCK_REALTIME_COARSE, &later);
	}
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
	await_step(now);
	return -EAGAIN;
}
