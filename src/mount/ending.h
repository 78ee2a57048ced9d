/* SPDX-License-Identifier: MIT */
/*
 * The ending: how SIGHUP, SIGINT and SIGTERM end a view
 *
 * Who runs ahead may just wait, and nothing can interrupt that, for a page that a reader
 * has asked for.  Were the thread that is to answer the reader ended first, all would wait
 * for ever.  So the signals are taken by a thread that first lets the running ahead come to
 * its end, while all go on answering.
 */
#ifndef CVQ_MOUNT_ENDING_H
#define CVQ_MOUNT_ENDING_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"

struct cvq_context;

struct cvq_ending {
	sigset_t signals; /* that end the view */
	pthread_t watcher;
	bool watched;
	atomic_bool is_over; /* nobody serves any more */
};

/*
 * Holds the signals back from now on, for good: when they were taken the process is about
 * to end, and must not be killed before it has unmounted.  Those that are ignored stay so.
 */
void cvq_ending_prepare(struct cvq_ending *ending);

/* Whether one has come already.  What leaves the terminal would lose it with the fork. */
bool cvq_ending_is_due(const struct cvq_ending *ending);

/* Unblocks the signals again.  One that has come already may end the process here. */
void cvq_ending_allow(const struct cvq_ending *ending);

/* Starts to watch for them, in a thread; the context's serving and running ahead are set
 * up.  Returns 0 or a negative errno. */
cvq_err cvq_ending_watch(struct cvq_context *context);

/* Ends that.  No operation is running any more. */
void cvq_ending_release(struct cvq_ending *ending);

#endif
