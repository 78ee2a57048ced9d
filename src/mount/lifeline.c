/* SPDX-License-Identifier: MIT */
#include "mount/lifeline.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mountinfo.h"
#include "base/threads.h"
#include "base/unmount.h"
#include "mount/context.h"
#include "mount/mountpoint.h"

static void remove_mountpoint(const struct cvq_context *context)
{
	if (!context->options->remove_mountpoint || !context->mountpoint)
		return;
	cleanup_free char *parent = cvq_parent_path(context->mountpoint);
	rmdir(context->mountpoint);
	if (parent)
		rmdir(parent);
}

/* Returns when the other end is closed. */
static void await_end(int lifeline)
{
	char byte;
	ssize_t length;
	do
		length = read(lifeline, &byte, sizeof(byte));
	while (length > 0 || (length < 0 && errno == EINTR));
}

static void close_stdout(void)
{
	cleanup_fd int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null >= 0)
		dup2(null, STDOUT_FILENO);
}

/* The view, and nothing that somebody has mounted over it. */
static cvq_err unmount(const struct cvq_context *context)
{
	struct cvq_mounted mounted;
	cleanup_fd int root = cvq_mounted_hold(context->mountpoint, &mounted);
	if (root < 0)
		return root;
	return mounted.device == context->device ? cvq_unmount(root, context->mountpoint)
						 : -EBUSY;
}

static void *watch(void *data)
{
	struct cvq_context *context = data;
	int before;

	await_end(context->options->lifeline);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	cvq_err err = unmount(context);
	if (err) {
		cvq_log(&context->log, CVQ_LOG_ERROR,
			"%s: the view cannot be unmounted: %s (do it: fusermount3 -u)",
			context->mountpoint, strerror(-err));
		kill(getpid(), SIGTERM);
	}
	remove_mountpoint(context);
	close_stdout();
	return NULL;
}

cvq_err cvq_lifeline_watch(struct cvq_context *context)
{
	struct cvq_lifeline *lifeline = &context->lifeline;
	if (context->options->lifeline < 0)
		return 0;
	cvq_err err = cvq_thread_start(&lifeline->watcher, watch, context);
	lifeline->watched = !err;
	return err;
}

void cvq_lifeline_release(struct cvq_context *context)
{
	struct cvq_lifeline *lifeline = &context->lifeline;
	if (lifeline->watched) {
		pthread_cancel(lifeline->watcher);
		pthread_join(lifeline->watcher, NULL);
	}
	remove_mountpoint(context);
}
