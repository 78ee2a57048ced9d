/* SPDX-License-Identifier: MIT */
#include "base/threads.h"

#include <signal.h>
#include <unistd.h>

cvq_err cvq_thread_start(pthread_t *thread, void *(*run)(void *), void *data)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(thread, NULL, run, data);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

unsigned cvq_processors(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	return processors > 0 ? (unsigned)processors : 1;
}

/* More do not help: then the disk or the memory is what one waits for. */
#define MAX_HELPERS 16

struct job {
	cvq_work *work;
	void *context;
};

static void *help(void *argument)
{
	const struct job *job = argument;
	job->work(job->context, false);
	return NULL;
}

void cvq_run_on_all_cores(unsigned long most, cvq_work *work, void *context)
{
	struct job job = {work, context};
	pthread_t helpers[MAX_HELPERS];
	unsigned cores = cvq_processors();
	unsigned started = 0;

	/* Where a thread cannot be had, the others have more to do. */
	while (started < MAX_HELPERS && started + 1 < cores && started + 1 < most &&
	       cvq_thread_start(&helpers[started], help, &job) == 0)
		started++;
	work(context, true);
	while (started > 0)
		pthread_join(helpers[--started], NULL);
}
