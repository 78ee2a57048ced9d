/* SPDX-License-Identifier: MIT */
/*
 * Serving: the threads that take requests from the kernel and answer them
 *
 * Readers wait for disks, so there are more threads than processors.  In libfuse's own
 * loop all that are idle wait at the device, and the kernel wakes them in turn: whoever
 * comes is the one that has slept longest.  Here one or two wait; the others rest until
 * nobody waits and a processor is free, as threads that may have to wait for something
 * else have left theirs.
 */
#ifndef CVQ_MOUNT_SERVING_H
#define CVQ_MOUNT_SERVING_H

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"
#include "mount/fuse.h"

struct cvq_server; /* one of the threads */

struct cvq_serving {
	struct fuse_session *session;
	struct cvq_server *servers; /* as many as may be started */
	unsigned most;
	unsigned most_computing; /* as many as there are processors for */
	unsigned most_waiting;
	pthread_mutex_t mutex;  /* guards the rest */
	pthread_cond_t wanted;  /* signalled for every call */
	pthread_cond_t stopped; /* signalled when is_over is set */
	unsigned started;
	unsigned waiting;   /* at the device, or called or started to go there */
	unsigned resting;   /* and not called */
	unsigned calls;     /* that no thread has heard yet */
	unsigned computing; /* threads that answer, and have not left */
	bool is_over;
	cvq_err err;
};

/* Sets up for a mounted session, and up to 'most' threads.  Returns 0 or -ENOMEM; release
 * in any case. */
cvq_err cvq_serving_init(struct cvq_serving *serving, struct fuse_session *session,
			 unsigned most);
void cvq_serving_release(struct cvq_serving *serving);

/*
 * Answers requests until the view is unmounted, or cvq_serving_stop() is called; when this
 * returns, no operation is running any more.  Returns 0 or a negative errno.
 */
cvq_err cvq_serving_run(struct cvq_serving *serving);

/* Ends that, from any thread.  Requests may be left without an answer, so nobody may run
 * ahead any more. */
void cvq_serving_stop(struct cvq_serving *serving);

/*
 * To be called by the operation "read" before it does what may take long, or wait for more
 * than memory and locks: others are served meanwhile.  All other operations count as such.
 */
void cvq_serving_leave(struct cvq_serving *serving);

/* Starts threads until there are 'count'.  Returns whether there are so many. */
bool cvq_serving_provide(struct cvq_serving *serving, unsigned count);

#endif
