/* SPDX-License-Identifier: MIT */
/*
 * Threads: one that works beside others, and work that all cores share
 */
#ifndef CVQ_BASE_THREADS_H
#define CVQ_BASE_THREADS_H

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"

/* How many processors there are, or 1 if that is not known. */
unsigned cvq_processors(void);

/* Starts a thread that is sent no signals: those are for others.  Returns 0 or a negative
 * errno. */
cvq_err cvq_thread_start(pthread_t *thread, void *(*run)(void *), void *data);

/* What each thread does: it takes pieces of the work until there are none left.
 * 'is_caller' says that it is the one that called cvq_run_on_all_cores(). */
typedef void cvq_work(void *context, bool is_caller);

/*
 * Does the work here and on as many of the other cores as make 'most' threads in all,
 * and returns when all of them have done with it.
 */
void cvq_run_on_all_cores(unsigned long most, cvq_work *work, void *context);

#endif
