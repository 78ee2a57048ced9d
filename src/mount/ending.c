/* SPDX-License-Identifier: MIT */
#include "mount/ending.h"

#include "base/threads.h"
#include "mount/context.h"

/* Wakes the watcher.  From anybody else it means nothing. */
#define WAKING SIGUSR2

static void do_nothing(int signal)
{
	(void)signal;
}

void cvq_ending_prepare(struct cvq_ending *ending)
{
	static const int ends[] = {SIGHUP, SIGINT, SIGTERM};
	struct sigaction action;

	sigemptyset(&ending->signals);
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (!sigaction(ends[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(&ending->signals, ends[i]);
	pthread_sigmask(SIG_BLOCK, &ending->signals, NULL);
	action = (struct sigaction){.sa_handler = do_nothing};
	sigaction(WAKING, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

bool cvq_ending_is_due(const struct cvq_ending *ending)
{
	sigset_t due;
	return !sigpending(&due) && !sigandset(&due, &due, &ending->signals) &&
	       !sigisemptyset(&due);
}

void cvq_ending_allow(const struct cvq_ending *ending)
{
	pthread_sigmask(SIG_UNBLOCK, &ending->signals, NULL);
}

static void *watch(void *data)
{
	struct cvq_context *context = data;
	struct cvq_ending *ending = &context->ending;
	sigset_t awaited = ending->signals;
	int signal = WAKING;

	sigaddset(&awaited, WAKING);
	while (signal == WAKING && !atomic_load(&ending->is_over))
		if (sigwait(&awaited, &signal))
			return NULL;
	if (atomic_load(&ending->is_over))
		return NULL;
	cvq_ahead_stop(&context->ahead);
	cvq_serving_stop(&context->serving);
	return NULL;
}

cvq_err cvq_ending_watch(struct cvq_context *context)
{
	struct cvq_ending *ending = &context->ending;
	cvq_err err = cvq_thread_start(&ending->watcher, watch, context);
	ending->watched = !err;
	return err;
}

void cvq_ending_release(struct cvq_ending *ending)
{
	if (!ending->watched)
		return;
	atomic_store(&ending->is_over, true);
	pthread_kill(ending->watcher, WAKING);
	pthread_join(ending->watcher, NULL);
	ending->watched = false;
}
