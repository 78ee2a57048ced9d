/* SPDX-License-Identifier: MIT */
/*
 * The signals to a process that stands in for another: read one by one, as they come
 */
#ifndef CVQ_CLI_SIGNALS_H
#define CVQ_CLI_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>

#include "base/error.h"

struct cvq_signals {
	int fd;                        /* readable when there is one */
	sigset_t mask_before;          /* what other programs are to find again ... */
	struct sigaction child_before; /* ... and this, for SIGCHLD */
};

/*
 * From now on signals that would end or stop this process only wait to be read, and so
 * does SIGCHLD.  Returns 0 or a negative errno.
 */
cvq_err cvq_signals_take(struct cvq_signals *signals);

/* In a child, before it becomes another program: everything as it was. */
void cvq_signals_restore(const struct cvq_signals *signals);

void cvq_signals_release(struct cvq_signals *signals);

/* Waits for the next one. */
cvq_err cvq_signals_next(const struct cvq_signals *signals, struct signalfd_siginfo *info);

/* Whether this signal would have ended the process, had it not been taken. */
bool cvq_signal_ends(const struct signalfd_siginfo *info);

#endif
