/* SPDX-License-Identifier: MIT */
/*
 * What a mount tells about itself: the JSON of "user.cvq.status"
 */
#ifndef CVQ_MOUNT_STATUS_H
#define CVQ_MOUNT_STATUS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

struct cvq_context;

/* Four buckets for every doubling of a time in nanoseconds. */
#define CVQ_LATENCY_BUCKETS 256

struct cvq_statistics {
	struct timespec started;
	_Atomic uint64_t latency[CVQ_LATENCY_BUCKETS]; /* read requests that took so long */
	_Atomic uint64_t errors;
	pthread_mutex_t mutex;
	char last_error[1024]; /* guarded by the mutex */
};

void cvq_statistics_init(struct cvq_statistics *statistics);
void cvq_statistics_release(struct cvq_statistics *statistics);

/* A read has been answered that began at that time of cvq_clock_nanoseconds(). */
void cvq_statistics_count_read(struct cvq_statistics *statistics, uint64_t began);

void cvq_statistics_count_error(struct cvq_statistics *statistics, const char *message);

/* How many reads there were. */
uint64_t cvq_statistics_reads(const struct cvq_statistics *statistics);

/* The status as JSON, to be freed by the caller; NULL if memory ran out. */
char *cvq_status_describe(struct cvq_context *context);

#endif
