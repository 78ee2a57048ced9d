/* SPDX-License-Identifier: MIT */
/*
 * cvq-mount: shows a directory of checkpoints in half precision
 *
 * The order matters.  What a dead daemon left is cleared first, as the source may
 * lie under it.  The source is opened before mounting, as the mount may hide it.
 * All that can be wrong with source and mountpoint is found out before this process
 * leaves the terminal, and no thread is started before.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/human.h"
#include "cvq/cvq.h"
#include "mount/check.h"
#include "mount/context.h"
#include "mount/mountpoint.h"
#include "mount/request.h"
#include "mount/session.h"

enum exit_code {
	EXIT_FAULT = 1, /* --check found one */
	EXIT_USAGE = 2,
	EXIT_SOURCE = 3,
	EXIT_MOUNT = 4,
};

/* How long the census may delay the mount. */
#define CENSUS_SECONDS 0.5

/* ========================================================================== */
/*                                   Process                                  */
/* ========================================================================== */

/* An open file costs a descriptor; the usual soft limit is a matter of select(2). */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* What was freed in one of glibc's arenas helps no other: with one for each thread, a large
 * folder listed again and again takes its memory several times. */
static void share_arenas(void)
{
#ifdef M_ARENA_MAX
	mallopt(M_ARENA_MAX, 2);
#endif
}

static int fail(const struct cvq_context *context, enum exit_code code, const char *path,
		const struct cvq_reason *reason)
{
	cvq_log(&context->log, CVQ_LOG_ERROR, "%s%s%s", path ? path : "", path ? ": " : "",
		reason->text);
	return code;
}

/* ========================================================================== */
/*                                 The source                                 */
/* ========================================================================== */

static int open_source(struct cvq_context *context)
{
	const struct cvq_mount_options *options = context->options;
	bool for_all = geteuid() == 0 && options->allow_other;
	cvq_err err =
		cvq_view_open(options->source, &options->policy, for_all, &context->view);
	if (!err) {
		context->source = realpath(options->source, NULL);
		err = context->source ? 0 : -errno;
	}
	if (!err)
		return 0;
	struct cvq_reason reason;
	cvq_view_explain_open(err, options->source, &reason);
	return fail(context, EXIT_SOURCE, options->source, &reason);
}

static void warn_of_aliases(struct cvq_context *context)
{
	const struct cvq_aliases *aliases = &context->options->policy.aliases;
	struct cvq_reason reason;

	for (size_t i = 0; i < aliases->count; i++) {
		const struct cvq_alias *alias = &aliases->list[i];
		if (cvq_view_check_alias(context->view, alias, &reason))
			cvq_log(&context->log, CVQ_LOG_WARNING, "%s:%u: [alias] %s: %s",
				context->options->config, alias->line, alias->path,
				reason.text);
	}
}

/* Under --check only complete packages are mounted. */
static int check_package(const struct cvq_context *context)
{
	const char *path = context->options->source;
	struct cvq_package_report report;
	cvq_err err = cvq_check_source(path, &context->options->policy, &report);
	const struct cvq_finding *obstacle = err ? NULL : cvq_package_obstacle(&report);
	if (err)
		cvq_log(&context->log, CVQ_LOG_ERROR,
			"%s: it cannot be checked: %s (mount it without --check)", path,
			strerror(-err));
	else if (obstacle)
		cvq_log(&context->log, CVQ_LOG_ERROR, "%s: %s%s%s (cvq check %s says more)",
			path, obstacle->file, *obstacle->file ? " " : "",
			obstacle->text.text, path);
	cvq_package_report_release(&report);
	return err || obstacle ? EXIT_FAULT : 0;
}

/* ========================================================================== */
/*                                  Mounting                                  */
/* ========================================================================== */

/* Clears what a dead daemon left at the mountpoint. */
static int find_mountpoint(struct cvq_context *context)
{
	const char *given = context->options->mountpoint;
	struct cvq_reason reason;
	cvq_err err = cvq_mountpoint_resolve(given, &context->mountpoint, &reason);
	err = err ? err : cvq_mountpoint_clear(context->mountpoint, &reason);
	return err ? fail(context, EXIT_MOUNT, given, &reason) : 0;
}

static int check_mountpoint(struct cvq_context *context, struct stat *before)
{
	struct cvq_entry root;
	struct cvq_reason reason;
	cvq_err err = cvq_fuse_check(&reason);
	if (err)
		return fail(context, EXIT_MOUNT, "/dev/fuse", &reason);
	err = cvq_view_lookup(context->view, "", &root);
	if (err)
		cvq_explain(&reason, err, "the source cannot be looked at: %s (check it)",
			    strerror(-err));
	else
		err = cvq_mountpoint_check(context->mountpoint, &root.attributes,
					   context->options->nonempty, before, &reason);
	return err ? fail(context, EXIT_MOUNT, context->options->mountpoint, &reason) : 0;
}

/* Mounts, and tells the view where, so that it never runs into itself. */
static int mount_view(struct cvq_context *context, const struct stat *before,
		      struct fuse_session **session)
{
	struct cvq_reason reason;
	cvq_err err = cvq_session_mount(context, session, &reason);
	if (err)
		return fail(context, EXIT_MOUNT, context->options->mountpoint, &reason);

	struct cvq_entry root;
	cvq_view_set_mount(context->view, context->device, before);
	err = cvq_view_lookup(context->view, "", &root);
	err = err ? err : cvq_nodes_init(&context->nodes, &root);
	if (!err) {
		cvq_handles_init(&context->handles);
		return 0;
	}
	cvq_session_end(context, *session);
	cvq_explain(&reason, err, "mounting failed: %s (is /proc mounted?)",
		    strerror(-err));
	return fail(context, EXIT_MOUNT, context->options->mountpoint, &reason);
}

static void announce(struct cvq_context *context)
{
	const struct cvq_census *census = &context->census;
	char source[CVQ_HUMAN_SIZE];
	char view[CVQ_HUMAN_SIZE];

	cvq_put_readable(stdout, context->options->source);
	fputs(" on ", stdout);
	cvq_put_readable(stdout, context->options->mountpoint);
	printf(": %s%llu file%s converted (%s -> %s), %llu passed through\n",
	       census->complete ? "" : "at least ", (unsigned long long)census->converted,
	       census->converted == 1 ? "" : "s",
	       cvq_human_size(census->source_bytes, source),
	       cvq_human_size(census->view_bytes, view),
	       (unsigned long long)census->passed);
	fflush(stdout);
}

/* Says on the terminal what the user may miss in the view. */
static void warn_of_census(const struct cvq_context *context)
{
	const struct cvq_census *census = &context->census;
	const char *source = context->options->source;

	if (census->complete && census->converted == 0) {
		bool any_asks = *census->left.text;
		struct cvq_reason advice;
		cvq_policy_advise(&context->options->policy, &advice);
		cvq_log(&context->log, CVQ_LOG_WARNING, "%s: no checkpoint %s (%s)", source,
			any_asks ? "converts" : "is in it",
			any_asks ? census->left.text : advice.text);
	} else if (census->unfit == 1) {
		cvq_log(&context->log, CVQ_LOG_WARNING,
			"%s: a checkpoint cannot be converted, %s", source,
			census->left.text);
	} else if (census->unfit > 1) {
		cvq_log(&context->log, CVQ_LOG_WARNING,
			"%s: %llu checkpoints cannot be converted, one is %s "
			"(cvq inspect %s says it of all)",
			source, (unsigned long long)census->unfit, census->left.text,
			source);
	}
}

/* Leaves the terminal if wanted, and serves.  'session' is mounted; it ends in any case. */
static int serve(struct cvq_context *context, struct fuse_session *session)
{
	const struct cvq_mount_options *options = context->options;
	bool stay = options->foreground || options->debug;
	struct cvq_reason reason;
	cvq_err err = 0;
	/* A limit of file sizes is to fail the inflating of one file, not the view. */
	signal(SIGXFSZ, SIG_IGN);

	bool is_due = cvq_ending_is_due(&context->ending);
	if (!is_due) {
		announce(context); /* which may wait for who reads it */
		warn_of_census(context);
		is_due = cvq_ending_is_due(&context->ending);
	}
	if (is_due) {
		cvq_session_end(context, session);
		cvq_ending_allow(&context->ending);
		return EXIT_MOUNT;
	}
	if (fuse_daemonize(stay))
		err = -errno;
	if (!err) {
		context->log.to_syslog = !stay;
		err = cvq_lifeline_watch(context);
	}
	if (!err)
		err = cvq_session_serve(context, session);
	cvq_session_end(context, session);
	if (!err)
		return 0;
	cvq_explain(&reason, err, "the view ended: %s (mount it again)", strerror(-err));
	return fail(context, EXIT_MOUNT, options->mountpoint, &reason);
}

/* 'context' holds only what needs no release. */
static int run(struct cvq_context *context)
{
	struct stat before;
	struct fuse_session *session;

	int code = find_mountpoint(context);
	code = code ? code : open_source(context);
	code = code ? code : check_mountpoint(context, &before);
	if (!code && context->options->check)
		code = check_package(context);
	if (code)
		return code;
	warn_of_aliases(context);
	cvq_view_count(context->view, CENSUS_SECONDS, &context->census);
	/* A signal from here on must not leave a mount without a daemon. */
	cvq_ending_prepare(&context->ending);
	code = mount_view(context, &before, &session);
	if (code)
		return code;
	code = serve(context, session);
	cvq_handles_release(&context->handles);
	cvq_nodes_release(&context->nodes);
	return code;
}

static int run_with_options(struct cvq_context *context)
{
	cvq_buffers_init(&context->buffers);
	cvq_statistics_init(&context->statistics);
	cvq_passthrough_init(&context->passthrough);
	int code = run(context);
	cvq_lifeline_release(context);
	cvq_passthrough_release(&context->passthrough);
	cvq_statistics_release(&context->statistics);
	cvq_buffers_release(&context->buffers);
	cvq_view_close(context->view);
	free(context->source);
	free(context->mountpoint);
	return code;
}

int main(int argc, char **argv)
{
	cvq_fill_standard_descriptors();
	signal(SIGCHLD, SIG_DFL); /* or fusermount3 would leave no exit code */
	raise_descriptor_limit();
	share_arenas();
	openlog("cvq-mount", LOG_PID, LOG_DAEMON);

	struct cvq_mount_options options;
	struct cvq_context context = {
		.options = &options,
		.log = {.program = "cvq-mount"},
	};
	struct cvq_reason reason = {"out of memory (end other programs)"};
	char *place;
	int code = 0;
	if (cvq_mount_options_parse(&options, argc, argv, &place, &reason)) {
		code = fail(&context, EXIT_USAGE, place, &reason);
		free(place);
	} else if (options.help) {
		fputs(cvq_mount_usage, stdout);
	} else if (options.version) {
		printf("cvq-mount %s (libfuse %s)\n", CVQ_VERSION_STRING,
		       fuse_pkgversion());
	} else {
		code = run_with_options(&context);
	}
	cvq_mount_options_release(&options);
	return code;
}
