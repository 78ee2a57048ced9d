/* SPDX-License-Identifier: MIT */
#include "cli/signals.h"

#include <errno.h>
#include <unistd.h>

static const int ending[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
static const int stopping[] = {SIGTSTP, SIGTTIN, SIGTTOU};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

cvq_err cvq_signals_take(struct cvq_signals *signals)
{
	sigset_t taken;
	sigemptyset(&taken);
	for (size_t i = 0; i < COUNT(ending); i++)
		sigaddset(&taken, ending[i]);
	for (size_t i = 0; i < COUNT(stopping); i++)
		sigaddset(&taken, stopping[i]);
	sigaddset(&taken, SIGCHLD);

	/* Were SIGCHLD ignored, as who started us may have left it, no child would leave
	 * its exit code. */
	const struct sigaction by_default = {.sa_handler = SIG_DFL};
	if (sigaction(SIGCHLD, &by_default, &signals->child_before) ||
	    sigprocmask(SIG_BLOCK, &taken, &signals->mask_before))
		return -errno;
	signals->fd = signalfd(-1, &taken, SFD_CLOEXEC);
	return signals->fd < 0 ? -errno : 0;
}

void cvq_signals_restore(const struct cvq_signals *signals)
{
	sigaction(SIGCHLD, &signals->child_before, NULL);
	sigprocmask(SIG_SETMASK, &signals->mask_before, NULL);
}

void cvq_signals_release(struct cvq_signals *signals)
{
	close(signals->fd);
}

cvq_err cvq_signals_next(const struct cvq_signals *signals, struct signalfd_siginfo *info)
{
	ssize_t length;
	do
		length = read(signals->fd, info, sizeof(*info));
	while (length < 0 && errno == EINTR);
	return length < 0 ? -errno : 0;
}

bool cvq_signal_ends(const struct signalfd_siginfo *info)
{
	struct sigaction action;
	for (size_t i = 0; i < COUNT(ending); i++)
		if (info->ssi_signo == (unsigned)ending[i])
			return sigaction(ending[i], NULL, &action) == 0 &&
			       action.sa_handler != SIG_IGN; /* as under nohup(1) */
	return false;
}
