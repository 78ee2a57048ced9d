/* SPDX-License-Identifier: MIT */
/*
 * The lifeline: the view of a process that wants it for itself, and for no longer
 *
 * That process, "cvq run", gives us the reading end of a pipe with the option
 * lifeline=FD and keeps the writing end.  However it ends, even by SIGKILL, the kernel
 * then closes its end.  That is our end too: the view disappears from its place at
 * once, what is still open stays readable, and the session is over when that is
 * closed.  With the option remove_mountpoint the folder MOUNTPOINT, which was made
 * for the view, goes with it, and so does the one around it if that is empty then.
 *
 * Our stdout, another pipe, tells the process the rest (stay in the foreground for
 * that): a line when the view is ready, its end when the view is gone.
 */
#ifndef CVQ_MOUNT_LIFELINE_H
#define CVQ_MOUNT_LIFELINE_H

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"

struct cvq_context;

struct cvq_lifeline {
	bool watched;
	pthread_t watcher;
};

/*
 * Starts to watch the lifeline, if the options name one: a thread, so not before the
 * process has left the terminal.  Returns 0 or a negative errno.
 */
cvq_err cvq_lifeline_watch(struct cvq_context *context);

/* Ends that.  The view is unmounted, and its folder goes. */
void cvq_lifeline_release(struct cvq_context *context);

#endif
