/* SPDX-License-Identifier: MIT */
#include "mount/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>
#include <unistd.h>

#include "base/mountinfo.h"
#include "base/threads.h"
#include "mount/operations.h"

/* ========================================================================== */
/*                              Captured messages                             */
/* ========================================================================== */

/*
 * libfuse and fusermount3, another process, print what went wrong in words of
 * their own.  While they mount, that goes to a file in memory.  With auto_unmount
 * fusermount3 stays as long as the view, so our output, which somebody may read to its
 * end, must not stay with it.
 */
struct capture {
	int file;
	int copies[2]; /* of stdout and stderr */
};

static void capture_begin(struct capture *capture)
{
	capture->file = memfd_create("messages", MFD_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		capture->copies[i] = fcntl(STDOUT_FILENO + i, F_DUPFD_CLOEXEC, 0);
		if (capture->file >= 0 && capture->copies[i] >= 0)
			dup2(capture->file, STDOUT_FILENO + i);
	}
}

/* Gives stdout and stderr back.  'text' gets what was printed meanwhile. */
static void capture_end(struct capture *capture, char *text, size_t size)
{
	ssize_t length = -1;
	for (int i = 0; i < 2; i++) {
		if (capture->copies[i] < 0)
			continue;
		dup2(capture->copies[i], STDOUT_FILENO + i);
		close(capture->copies[i]);
	}
	if (capture->file >= 0) {
		length = pread(capture->file, text, size - 1, 0);
		close(capture->file);
	}
	text[length > 0 ? length : 0] = '\0';
}

/* Folds what libfuse and fusermount3 said into one reason with advice. */
static cvq_err explain_failure(char *messages, struct cvq_reason *reason)
{
	static const struct {
		const char *sign;
		const char *advice;
	} known[] = {
		{"user_allow_other",
		 "as root, add the line user_allow_other to /etc/fuse.conf"},
		{"not permitted",
		 "mounting needs root or a setuid fusermount3; a container "
		 "needs --device /dev/fuse --cap-add SYS_ADMIN"},
		{"Permission denied", "choose a directory of yours, or mount as root"},
		{"exec fusermount3", "as root: apt install fuse3"},
		{"too many FUSE filesystems", "unmount some, or raise mount_max in "
					      "/etc/fuse.conf"},
	};
	/* The first line is the cause; what follows are its consequences. */
	messages[strcspn(messages, "\n")] = '\0';
	char *message = messages;
	char *colon = strstr(message, ": ");
	if (strncmp(message, "fuse", 4) == 0 && colon)
		message = colon + 2;
	const char *advice = "try it with -d to see more";
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strstr(message, known[i].sign))
			advice = known[i].advice;
	return cvq_explain(reason, -EIO, "mounting failed: %.120s (%s)",
			   *message ? message : "libfuse does not say why", advice);
}

/* ========================================================================== */
/*                                  Mounting                                  */
/* ========================================================================== */

/* What programs read of a line of /proc/mounts has to hold more than this. */
#define LONGEST_FSNAME 512

/* One string for -o; commas in values are escaped.  NULL if memory ran out. */
static char *mount_options(const struct cvq_context *context)
{
	const struct cvq_mount_options *options = context->options;
	char *list = NULL;
	char *fsname = NULL;
	bool failed = asprintf(&fsname, "fsname=%.*s", LONGEST_FSNAME,
			       options->fsname ? options->fsname : context->source) < 0;
	if (failed)
		fsname = NULL;
	failed = failed ||
		 fuse_opt_add_opt(&list, "ro,nosuid,nodev,subtype=" CVQ_SUBTYPE) ||
		 fuse_opt_add_opt_escaped(&list, fsname);

	const struct {
		bool wanted;
		const char *name;
	} flags[] = {
		{cvq_mount_checks_permissions(options), "default_permissions"},
		{options->allow_other, "allow_other"},
		{options->allow_root, "allow_root"},
		{options->auto_unmount, "auto_unmount"},
		{options->noexec, "noexec"},
		{options->debug, "debug"},
	};
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if (flags[i].wanted)
			failed = failed || fuse_opt_add_opt(&list, flags[i].name);
	free(fsname);
	if (failed) {
		free(list);
		return NULL;
	}
	return list;
}

static struct fuse_session *mount_session(struct cvq_context *context)
{
	struct fuse_args arguments = FUSE_ARGS_INIT(0, NULL);
	char *list = mount_options(context);
	struct fuse_session *session = NULL;

	if (list && !fuse_opt_add_arg(&arguments, "cvq-mount") &&
	    !fuse_opt_add_arg(&arguments, "-o") && !fuse_opt_add_arg(&arguments, list))
		session = fuse_session_new(&arguments, &cvq_operations,
					   sizeof(cvq_operations), context);
	fuse_opt_free_args(&arguments);
	free(list);
	if (session && fuse_session_mount(session, context->mountpoint)) {
		fuse_session_destroy(session);
		session = NULL;
	}
	return session;
}

cvq_err cvq_session_mount(struct cvq_context *context, struct fuse_session **session,
			  struct cvq_reason *reason)
{
	struct capture capture;
	char messages[1024];

	capture_begin(&capture);
	*session = mount_session(context);
	capture_end(&capture, messages, sizeof(messages));
	if (!*session)
		return explain_failure(messages, reason);
	fputs(messages, stderr); /* of -d, or a warning */
	struct cvq_mounted mounted;
	cvq_err err = cvq_mounted_at(context->mountpoint, &mounted);
	if (!err) {
		context->device = mounted.device;
		return 0;
	}
	fuse_session_unmount(*session);
	fuse_session_destroy(*session);
	return cvq_explain(reason, err, "mounting failed: %s (is /proc mounted?)",
			   strerror(-err));
}

/* ========================================================================== */
/*                                   Serving                                  */
/* ========================================================================== */

static void libfuse_to_syslog(enum fuse_log_level level, const char *format,
			      va_list arguments)
{
	vsyslog(LOG_DAEMON | (int)level, format, arguments);
}

/* Readers wait for disks, so more threads than processors. */
static unsigned thread_count(const struct cvq_mount_options *options)
{
	if (options->max_threads)
		return options->max_threads;
	unsigned processors = cvq_processors();
	return processors > 8 ? 2 * processors : 16;
}

cvq_err cvq_session_serve(struct cvq_context *context, struct fuse_session *session)
{
	if (context->log.to_syslog)
		fuse_set_log_func(libfuse_to_syslog);
	unsigned threads = thread_count(context->options);
	cvq_ahead_init(&context->ahead, session, threads);
	cvq_err err = cvq_serving_init(&context->serving, session, threads);
	if (!err)
		err = cvq_ending_watch(context);
	if (!err)
		err = cvq_serving_run(&context->serving);
	cvq_ending_release(&context->ending);
	cvq_serving_release(&context->serving);
	cvq_ahead_release(&context->ahead);
	return err;
}

/* Whether the view is unmounted, and nobody has anything of it open. */
static bool has_ended(struct fuse_session *session)
{
	struct pollfd device = {.fd = fuse_session_fd(session)};
	return poll(&device, 1, 0) == 1 && (device.revents & POLLERR);
}

/* Whether something else is at the mountpoint, or nothing. */
static bool is_gone(const struct cvq_context *context)
{
	struct cvq_mounted mounted;
	cvq_err err = cvq_mounted_at(context->mountpoint, &mounted);
	return err == -ENOENT || (!err && mounted.device != context->device);
}

void cvq_session_end(const struct cvq_context *context, struct fuse_session *session)
{
	/* libfuse unmounts whatever is at the path, unless the view has ended.  (If it is
	 * not asked to, it forgets to free the path; the process is about to end.) */
	if (has_ended(session) || !is_gone(context))
		fuse_session_unmount(session);
	fuse_session_destroy(session);
}
