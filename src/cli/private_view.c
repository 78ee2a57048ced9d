/* SPDX-License-Identifier: MIT */
#include "cli/private_view.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mountinfo.h"
#include "base/privilege.h"
#include "base/program.h"
#include "base/unmount.h"
#include "view/view.h"

/* How long a daemon may take to let go of its view before that is taken away. */
#define MILLISECONDS_TO_LET_GO 10000

/* How long it may take to end after that, if nobody has anything open in the view. */
#define MILLISECONDS_TO_END 500

/* ========================================================================== */
/*                                   Before                                   */
/* ========================================================================== */

/* A runtime directory is the user's own, or it is somebody else's: think of sudo. */
static bool is_runtime_directory(const char *path)
{
	struct stat attributes;
	return path && stat(path, &attributes) == 0 && S_ISDIR(attributes.st_mode) &&
	       attributes.st_uid == geteuid() && access(path, W_OK) == 0;
}

/* Where a private folder can be made: a path to be freed; or NULL, and errno says why. */
static char *find_place(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	const char *temporary = getenv("TMPDIR");
	const char *place = "/tmp";
	if (is_runtime_directory(runtime))
		place = runtime;
	else if (temporary && access(temporary, W_OK) == 0)
		place = temporary;
	return realpath(place, NULL);
}

/*
 * Only chooses the names: the folder is made by who removes it, the daemon, so that
 * it goes even if we are killed at once.  Programs may read something into the name of
 * a model's directory, so the view has it.
 */
static cvq_err name_folder(struct cvq_private_view *view, const char *source)
{
	cleanup_free char *place = find_place();
	unsigned number;
	if (!place || getrandom(&number, sizeof(number), 0) < 0)
		return -errno;
	const char *name = strrchr(source, '/') + 1;
	if (asprintf(&view->folder, "%s/cvq-run.%08x", place, number) < 0) {
		view->folder = NULL;
		return -ENOMEM;
	}
	if (asprintf(&view->path, "%s/%s", view->folder, *name ? name : "view") < 0) {
		view->path = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* Ours lies beside us, or is installed.  To be freed. */
static char *find_cvq_mount(void)
{
	cleanup_free char *own = realpath("/proc/self/exe", NULL);
	char *path;
	if (!own ||
	    asprintf(&path, "%.*s/cvq-mount", (int)(strrchr(own, '/') - own), own) < 0)
		return NULL;
	if (access(path, X_OK) == 0)
		return path;
	free(path);
	return cvq_program_find("cvq-mount");
}

int cvq_private_view_plan(struct cvq_private_view *view,
			  const struct cvq_arguments *arguments)
{
	*view = (struct cvq_private_view){.lifeline = -1, .answers = -1};
	view->program = find_cvq_mount();
	if (!view->program)
		return cvq_fail_with(CVQ_EXIT_MOUNT, NULL,
				     "cvq-mount is not found (install it beside cvq)");
	cleanup_free char *source = realpath(arguments->paths[0], NULL);
	if (!source) {
		struct cvq_reason reason;
		cvq_view_explain_open(-errno, arguments->paths[0], &reason);
		return cvq_fail(CVQ_EXIT_SOURCE, arguments->paths[0], &reason);
	}
	if (arguments->in_place) {
		view->path = steal_pointer(source);
		return CVQ_EXIT_DONE;
	}
	cvq_err err = name_folder(view, source);
	if (!err)
		return CVQ_EXIT_DONE;
	return cvq_fail_with(CVQ_EXIT_MOUNT, NULL,
			     "there is no place for a private folder: %s (set TMPDIR)",
			     strerror(-err));
}

/* ========================================================================== */
/*                                 The daemon                                 */
/* ========================================================================== */

/* The ends of the pipes that are the daemon's. */
struct daemon_ends {
	int lifeline;
	int answers;
};

/* In a session of its own: Ctrl-C at the terminal is not for it. */
static cvq_err prepare_daemon(const struct daemon_ends *ends,
			      const struct cvq_signals *signals)
{
	setsid();
	cvq_signals_restore(signals);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(ends->answers, STDOUT_FILENO) < 0 || fcntl(ends->lifeline, F_SETFD, 0))
		return -errno;
	return geteuid() != 0 && cvq_may_mount() ? cvq_pass_on_mounting() : 0;
}

static void remove_folder(const struct cvq_private_view *view)
{
	rmdir(view->path);
	rmdir(view->folder);
}

/* In a child: makes the folder and becomes cvq-mount. */
static _Noreturn void exec_daemon(const struct cvq_private_view *view, char *words[],
				  const struct daemon_ends *ends,
				  const struct cvq_signals *signals)
{
	cvq_err err = prepare_daemon(ends, signals);
	if (err)
		_exit(cvq_fail_with(CVQ_EXIT_MOUNT, view->program,
				    "it cannot be started: %s "
				    "(end other programs)",
				    strerror(-err)));
	if (view->folder && (mkdir(view->folder, 0700) || mkdir(view->path, 0700)))
		_exit(cvq_fail_with(CVQ_EXIT_MOUNT, view->path,
				    "it cannot be made: %s (set TMPDIR to a directory of "
				    "yours)",
				    strerror(errno)));
	execv(view->program, words);
	err = -errno;
	if (view->folder)
		remove_folder(view);
	_exit(cvq_fail_with(CVQ_EXIT_MOUNT, view->program,
			    "it cannot be executed: %s (check it)", strerror(-err)));
}

static int start_daemon(struct cvq_private_view *view,
			const struct cvq_arguments *arguments,
			const struct daemon_ends *ends, const struct cvq_signals *signals)
{
	cleanup_free char **words = calloc(arguments->given_count + 8, sizeof(*words));
	char name[] = "cvq-mount", foreground[] = "--foreground", end[] = "--";
	char removal[] = "--remove-mountpoint", lifeline[32];
	if (!words)
		return cvq_fail_memory(CVQ_EXIT_MOUNT);
	snprintf(lifeline, sizeof(lifeline), "--lifeline=%d", ends->lifeline);
	size_t count = 0;
	words[count++] = name;
	words[count++] = foreground;
	words[count++] = lifeline;
	if (view->folder)
		words[count++] = removal;
	for (size_t i = 0; i < arguments->given_count; i++)
		words[count++] = arguments->given[i];
	words[count++] = end;
	words[count++] = arguments->paths[0];
	words[count++] = view->path;

	pid_t child = fork();
	if (child == 0)
		exec_daemon(view, words, ends, signals);
	if (child < 0)
		return cvq_fail_with(CVQ_EXIT_MOUNT, NULL,
				     "no process can be started: %s (end others)",
				     strerror(errno));
	view->daemon = child;
	return CVQ_EXIT_DONE;
}

/* After its answers have ended: it has said what is wrong itself. */
static int await_exit_code(struct cvq_private_view *view)
{
	int status;
	while (waitpid(view->daemon, &status, 0) < 0)
		if (errno != EINTR)
			return CVQ_EXIT_MOUNT;
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
		view->daemon = 0;
		return WEXITSTATUS(status);
	}
	cvq_private_view_lost(view, status);
	return CVQ_EXIT_MOUNT;
}

/* Until the daemon has said a line, or has ended, or a signal ends us. */
static int await_ready(struct cvq_private_view *view, const struct cvq_signals *signals)
{
	struct pollfd polled[] = {{.fd = signals->fd, .events = POLLIN},
				  {.fd = view->answers, .events = POLLIN}};
	for (;;) {
		struct signalfd_siginfo info;
		char text[4096];
		if (poll(polled, 2, -1) < 0)
			continue;
		if (polled[0].revents && cvq_signals_next(signals, &info) == 0 &&
		    cvq_signal_ends(&info))
			return 128 + (int)info.ssi_signo;
		if (!polled[1].revents)
			continue;
		ssize_t length = read(view->answers, text, sizeof(text));
		if (length <= 0)
			return await_exit_code(view);
		if (memchr(text, '\n', (size_t)length))
			return CVQ_EXIT_DONE;
	}
}

int cvq_private_view_mount(struct cvq_private_view *view,
			   const struct cvq_arguments *arguments,
			   const struct cvq_signals *signals)
{
	int lifeline[2], answers[2];
	if (pipe2(lifeline, O_CLOEXEC))
		return cvq_fail_with(CVQ_EXIT_MOUNT, NULL,
				     "no pipe can be made: %s (end other programs)",
				     strerror(errno));
	view->lifeline = lifeline[1];
	cleanup_fd int daemon_lifeline = lifeline[0];
	if (pipe2(answers, O_CLOEXEC))
		return cvq_fail_with(CVQ_EXIT_MOUNT, NULL,
				     "no pipe can be made: %s (end other programs)",
				     strerror(errno));
	view->answers = answers[0];
	cleanup_fd int daemon_answers = answers[1];

	const struct daemon_ends ends = {daemon_lifeline, daemon_answers};
	int code = start_daemon(view, arguments, &ends, signals);
	close(steal_fd(daemon_answers)); /* or its end would never show */
	return code ? code : await_ready(view, signals);
}

void cvq_private_view_lost(struct cvq_private_view *view, int status)
{
	view->daemon = 0;
	if (WIFSIGNALED(status))
		cvq_fail_with(CVQ_EXIT_MOUNT, view->path,
			      "the view is dead, cvq-mount was killed by signal %d (start "
			      "again)",
			      WTERMSIG(status));
	else
		cvq_fail_with(CVQ_EXIT_MOUNT, view->path,
			      "the view was unmounted (start again)");
}

/* ========================================================================== */
/*                                   The end                                  */
/* ========================================================================== */

/* Until the daemon has closed its output. */
static void await_letting_go(int answers)
{
	struct pollfd polled = {.fd = answers, .events = POLLIN};
	char text[4096];
	while (poll(&polled, 1, MILLISECONDS_TO_LET_GO) > 0)
		if (read(answers, text, sizeof(text)) <= 0)
			break;
}

/* Where a container has no init, nobody else would take note that it has ended. */
static void await_end(pid_t daemon)
{
	cleanup_fd int fd = (int)syscall(SYS_pidfd_open, daemon, 0);
	struct pollfd polled = {.fd = fd, .events = POLLIN};
	if (fd >= 0)
		poll(&polled, 1, MILLISECONDS_TO_END);
	waitpid(daemon, NULL, WNOHANG);
}

/* What the daemon should have done; most often nothing is left of it to do. */
static void remove_view(const struct cvq_private_view *view)
{
	struct cvq_mounted mounted;
	cvq_err err = 0;
	int root;
	/* COMMAND may have mounted something over it. */
	while (!err && (root = cvq_mounted_hold(view->path, &mounted)) >= 0) {
		err = cvq_unmount(root, view->path);
		close(root);
	}
	remove_folder(view);
}

void cvq_private_view_end(struct cvq_private_view *view)
{
	if (view->lifeline >= 0)
		close(view->lifeline);
	if (view->answers >= 0) {
		await_letting_go(view->answers);
		close(view->answers);
	}
	if (view->daemon)
		await_end(view->daemon);
	if (view->folder && view->path)
		remove_view(view);
	free(view->folder);
	free(view->path);
	free(view->program);
}
