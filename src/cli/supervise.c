/* SPDX-License-Identifier: MIT */
/*
 * The program is in our process group.  So what the terminal sends to the foreground,
 * as Ctrl-C and Ctrl-Z do, reaches it without us, and we must neither pass that on nor
 * die of it.  What a process sends to us is passed on.  (If it was sent to the whole
 * group, the program gets it twice: nothing tells us so.)
 */
#include "cli/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/program.h"

/* Says why there is no such program running, and returns the exit code for it. */
static int explain_exec(const char *name, int error)
{
	/* If there is a folder in PATH that we may not enter, execvp() speaks of that. */
	cleanup_free char *found = strchr(name, '/') ? NULL : cvq_program_find(name);
	if (error == ENOENT || (error == EACCES && !strchr(name, '/') && !found))
		return cvq_fail_with(CVQ_EXIT_NOT_FOUND, name,
				     "there is no such program (check its name)");
	return cvq_fail_with(CVQ_EXIT_NOT_EXECUTABLE, name,
			     "it cannot be executed: %s (%s)", strerror(error),
			     error == EACCES
				     ? "give a program; a file becomes one by chmod +x"
				     : "check it");
}

static _Noreturn void exec_program(char *const *words, const char *folder, pid_t parent,
				   const struct cvq_signals *signals)
{
	/* If we are killed, it is asked to end as well. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(128 + SIGTERM);
	cvq_signals_restore(signals);
	/* By its name, or a view that was mounted over it would not be seen there. */
	if (folder && chdir(folder))
		_exit(cvq_fail_with(CVQ_EXIT_NOT_EXECUTABLE, folder,
				    "%s (start from another directory)", strerror(errno)));
	execvp(words[0], words);
	_exit(explain_exec(words[0], errno));
}

/*
 * When the program is stopped, so are we, for the shell that waits for us to see it;
 * and when that shell lets us go on, so does the program.  Without a terminal nobody
 * would let us go on.
 */
static void stop_with(pid_t program)
{
	cleanup_fd int terminal = open("/dev/tty", O_RDONLY | O_CLOEXEC);
	if (terminal < 0)
		return;
	raise(SIGSTOP);
	kill(program, SIGCONT);
}

/* Takes note of all children that changed.  Returns the program's exit code, or -1. */
static int reap(pid_t program, struct cvq_private_view *view)
{
	int status, code = -1;
	pid_t child;
	while ((child = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (child == program && WIFSTOPPED(status))
			stop_with(program);
		else if (child == program)
			code = WIFEXITED(status) ? WEXITSTATUS(status)
						 : 128 + WTERMSIG(status);
		else if (child == view->daemon && !WIFSTOPPED(status))
			cvq_private_view_lost(view, status);
	}
	return code;
}

/* Not the kernel, which does it for the terminal, but a process: by kill(2) and such. */
static bool is_sent_by_process(const struct signalfd_siginfo *info)
{
	return info->ssi_code <= 0;
}

int cvq_supervise(char *const *words, const char *folder, const struct cvq_signals *signals,
		  struct cvq_private_view *view)
{
	pid_t parent = getpid();
	pid_t program = fork();
	if (program == 0)
		exec_program(words, folder, parent, signals);
	if (program < 0)
		return cvq_fail_with(CVQ_EXIT_NOT_EXECUTABLE, words[0],
				     "no process can be started: %s (end others)",
				     strerror(errno));
	int code = -1;
	while (code < 0) {
		struct signalfd_siginfo info;
		if (cvq_signals_next(signals, &info) == 0) {
			if (info.ssi_signo == SIGCHLD)
				code = reap(program, view);
			else if (is_sent_by_process(&info))
				kill(program, (int)info.ssi_signo);
		}
	}
	return code;
}
