/* SPDX-License-Identifier: MIT */
/*
 * The ending: how SIGHUP, SIGINT and SIGTERM end a view
 *
 * Who runs ahead may just wait, and nothing can interrupt that, for a page that a reader
 * has asked for.  libfuse's own handlers end the threads one by one; were the one that is
 * to answer the reader ended first, all would wait for ever.  So the signals are taken by
 * a thread that first lets the running ahead come to its end, while all go on answering.
 */
#ifndef CVQ_MOUNT_ENDING_H
#define CVQ_MOUNT_ENDING_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"
#include "mount/fuse.h"

struct cvq_context;

struct cvq_ending {
	sigset_t signals; /* that end the view */
	struct fuse_session *session;
	struct cvq_context *context;
	pthread_t server; /* the thread that waits for the end */
	pthread_t watcher;
	bool watched;
	atomic_bool is_over; /* the server waits no longer */
};

/*
 * Holds the signals back from now on, for good: when they were taken the process is about
 * to end, and must not be killed before it has unmounted.  Those that are ignored stay so.
 */
void cvq_ending_prepare(struct cvq_ending *ending);

/* Whether one has come already.  What leaves the terminal would lose it with the fork. */
bool cvq_ending_is_due(const struct cvq_ending *ending);

/* Lets them do again what they did, of which this process may die right here. */
void cvq_ending_allow(const struct cvq_ending *ending);

/* Starts to watch for them, in a thread, for a server that is this thread; the context's
 * running ahead is set up.  Returns 0 or a negative errno. */
cvq_err cvq_ending_watch(struct cvq_context *context, struct fuse_session *session);

/* Ends that.  No operation is running any more. */
void cvq_ending_release(struct cvq_ending *ending);

#endif
