/* SPDX-License-Identifier: MIT */
/*
 * The clock for what passes, which nobody sets
 */
#ifndef CVQ_BASE_CLOCK_H
#define CVQ_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t cvq_clock_nanoseconds(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static inline double cvq_clock_seconds(void)
{
	return (double)cvq_clock_nanoseconds() / 1e9;
}

#endif
