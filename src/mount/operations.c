/* SPDX-License-Identifier: MIT */
/*
 * Translation of requests to calls of the view and back
 */
#include "mount/operations.h"

#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "mount/request.h"
#include "mount/sourcecache.h"

/* The kernel queues 12 background reads by default, which keeps many readers waiting. */
#define BACKGROUND_REQUESTS 64

static void op_init(void *userdata, struct fuse_conn_info *connection)
{
	struct cvq_context *context = userdata;

	connection->max_background = BACKGROUND_REQUESTS;
	connection->congestion_threshold = BACKGROUND_REQUESTS * 3 / 4;
	/* A symlink that is changed gets a new node, so the old one's target holds. */
	connection->want |= connection->capable & FUSE_CAP_CACHE_SYMLINKS;
#ifdef FUSE_CAP_NO_EXPORT_SUPPORT
	/* File handles outlive nodes, and a forgotten node cannot be found again. */
	connection->want |= connection->capable & FUSE_CAP_NO_EXPORT_SUPPORT;
#endif
#ifdef FUSE_CAP_DIRECT_IO_ALLOW_MMAP
	if (context->options->direct_io)
		connection->want |= connection->capable & FUSE_CAP_DIRECT_IO_ALLOW_MMAP;
#endif
#ifdef FUSE_CAP_OVER_IO_URING
	/* Its answers wait in the threads that run ahead, who wait for these answers'
	 * pages; and it is slower: see tests/bench/results.md. */
	fuse_unset_feature_flag(connection, FUSE_CAP_OVER_IO_URING);
#endif
	/* The mode alone says too much of a file with an access control list: its bits for
	 * the group are what the list's entries have at most. */
	if (cvq_mount_checks_permissions(context->options))
		connection->want |= connection->capable & FUSE_CAP_POSIX_ACL;
	cvq_passthrough_negotiate(&context->passthrough, connection);
}

/* ========================================================================== */
/*                                    Names                                   */
/* ========================================================================== */

/* How often a file may be replaced between its lookup and its opening right here. */
#define MOST_REPLACEMENTS 10

/*
 * A file that has just been replaced may be replaced again before it is opened.  An
 * open that comes too late for its node ends with -ESTALE, and then the kernel looks
 * the name up once more, but not twice.  So such a file is opened with the lookup.
 */
static cvq_err enter(struct cvq_context *context, struct cvq_node *parent, const char *name,
		     const char *path, struct fuse_entry_param *answer)
{
	for (int i = 0;; i++) {
		cvq_err err = cvq_request_enter(context, parent, name, path, answer);
		if (err || !S_ISREG(answer->attr.st_mode))
			return err;
		cleanup_node struct cvq_node *node =
			cvq_node_get(&context->nodes, answer->ino);
		if (node->entry.version.at_rest)
			return 0;
		struct cvq_content content;
		err = cvq_view_open_file(context->view, path, &node->entry, &content);
		if (!err)
			cvq_node_reserve(node, steal_fd(content.fd));
		cvq_content_close(&content);
		if (err != -ESTALE || i == MOST_REPLACEMENTS)
			return 0;
		cvq_node_forget(&context->nodes, answer->ino, 1);
	}
}

static void op_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct cvq_context *context = cvq_request_context(request);
	cleanup_target struct cvq_target target;
	struct fuse_entry_param answer;

	cvq_err err = cvq_request_target(request, parent, name, &target);
	if (!err)
		err = enter(context, target.node, name, target.path, &answer);
	if (err == -ENOENT) {
		/* Node 0 tells the kernel to remember that there is nothing. */
		answer = (struct fuse_entry_param){
			.entry_timeout = context->options->policy.timeout};
		err = 0;
	}
	if (err)
		fuse_reply_err(request, -err);
	else if (fuse_reply_entry(request, &answer) && answer.ino)
		cvq_node_forget(&context->nodes, answer.ino, 1);
}

static void op_forget(fuse_req_t request, fuse_ino_t id, uint64_t lookups)
{
	cvq_node_forget(&cvq_request_context(request)->nodes, id, lookups);
	fuse_reply_none(request);
}

static void op_forget_multi(fuse_req_t request, size_t count,
			    struct fuse_forget_data *forgets)
{
	struct cvq_context *context = cvq_request_context(request);
	for (size_t i = 0; i < count; i++)
		cvq_node_forget(&context->nodes, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(request);
}

/*
 * The node of a file is one version of it, so it knows its attributes.  A folder's
 * are looked up; one that is gone from its path has those it had, unless another one
 * took its place.
 */
static void op_getattr(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
	(void)info;
	struct cvq_context *context = cvq_request_context(request);
	cleanup_target struct cvq_target target;
	cvq_err err = cvq_request_target(request, id, NULL, &target);
	if (err) {
		fuse_reply_err(request, -err);
		return;
	}
	const struct cvq_entry *known = &target.node->entry;
	struct stat attributes = known->attributes;
	if (S_ISDIR(attributes.st_mode)) {
		cleanup_entry struct cvq_entry fresh;
		err = cvq_view_lookup(context->view, target.path, &fresh);
		/* What is below it would be the other's, whose rights are others. */
		if (!err && !cvq_entry_same(known, &fresh)) {
			fuse_reply_err(request, ESTALE);
			return;
		}
		if (!err)
			attributes = fresh.attributes;
	}
	fuse_reply_attr(request, &attributes, cvq_attributes_timeout(context, known));
}

static void op_readlink(fuse_req_t request, fuse_ino_t id)
{
	struct cvq_context *context = cvq_request_context(request);
	cleanup_target struct cvq_target target;
	char link[PATH_MAX];

	cvq_err err = cvq_request_target(request, id, NULL, &target);
	if (!err)
		err = cvq_view_read_link(context->view, target.path, link, sizeof(link));
	if (err)
		fuse_reply_err(request, -err);
	else
		fuse_reply_readlink(request, link);
}

static void op_access(fuse_req_t request, fuse_ino_t id, int mode)
{
	struct cvq_context *context = cvq_request_context(request);
	cleanup_target struct cvq_target target;
	cvq_err err = cvq_request_target(request, id, NULL, &target);
	if (!err)
		err = cvq_view_access(context->view, target.path, &target.node->entry,
				      mode);
	fuse_reply_err(request, -err);
}

static void op_statfs(fuse_req_t request, fuse_ino_t id)
{
	(void)id;
	struct statvfs result;
	cvq_err err = cvq_view_statvfs(cvq_request_context(request)->view, &result);
	if (err)
		fuse_reply_err(request, -err);
	else
		fuse_reply_statfs(request, &result);
}

/* ========================================================================== */
/*                                    Files                                   */
/* ========================================================================== */

static void close_file(fuse_req_t request, struct cvq_handle *file)
{
	struct cvq_context *context = cvq_request_context(request);
	cvq_source_cache_closed(context, file->node, file->content.fd);
	cvq_passthrough_close(&context->passthrough, request, file->node);
	cvq_handle_close(&context->handles, file);
}

/* Opens the very version of the file that the node stands for; else -ESTALE. */
static cvq_err open_version(struct cvq_context *context, const struct cvq_target *target,
			    struct cvq_content *content)
{
	const struct cvq_entry *entry = &target->node->entry;
	cleanup_fd int fd = cvq_node_claim(target->node);
	struct stat now;
	if (fd >= 0 && !fstat(fd, &now) && cvq_version_unmodified(&entry->version, &now))
		return cvq_view_take_file(context->view, entry, steal_fd(fd), content);
	return cvq_view_open_file(context->view, target->path, entry, content);
}

static cvq_err open_file(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
	struct cvq_context *context = cvq_request_context(request);
	if ((info->flags & O_ACCMODE) != O_RDONLY)
		return -EROFS;

	cleanup_target struct cvq_target target;
	cvq_err err = cvq_request_target(request, id, NULL, &target);
	if (err)
		return err;
	struct cvq_content content;
	err = open_version(context, &target, &content);
	const struct cvq_verdict *verdict = target.node->entry.verdict;
	if (err && verdict && verdict->failure) {
		struct cvq_reason reason;
		cvq_explain(&reason, err, "%s", verdict->reason);
		cvq_request_report(context, target.node, &reason);
	}
	if (err)
		return err;
	struct cvq_handle *file =
		cvq_handle_open(&context->handles, target.node, content, NULL);
	if (!file)
		return -ENOMEM;
	info->fh = (uintptr_t)file;
	info->direct_io = context->options->direct_io;
	info->keep_cache = !info->direct_io; /* cached pages are of this very version */
	info->noflush = 1;
	cvq_passthrough_open(&context->passthrough, request, file->node, content.fd, info);
	return 0;
}

/* -ESTALE makes the kernel look the name up again and come back with another node. */
static void op_open(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
	cvq_err err = open_file(request, id, info);
	if (err)
		fuse_reply_err(request, -err);
	else /* it fails if the connection is lost, and all with it */
		fuse_reply_open(request, info);
}

static void op_release(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
	(void)id;
	close_file(request, cvq_request_handle(info));
	fuse_reply_err(request, 0);
}

/* Answers, and then 'file' may be gone; the buffer is free for others at once. */
static void answer_read(struct cvq_context *context, fuse_req_t request,
			const struct cvq_handle *file, size_t size, uint64_t offset)
{
	cleanup_answer struct cvq_answer *answer = cvq_answer_take(&context->buffers, size);
	if (!answer) {
		fuse_reply_err(request, ENOMEM);
		return;
	}
	struct cvq_reason reason;
	void *bytes = cvq_answer_bytes(answer);
	const struct cvq_entry *entry = &file->node->entry;
	ssize_t got = cvq_view_read_quickly(context->view, entry, &file->content, bytes,
					    size, offset);
	if (got < 0) {
		cvq_serving_leave(&context->serving);
		got = cvq_view_read(context->view, entry, &file->content, bytes, size,
				    offset, &reason);
	}
	if (got < 0) {
		cvq_request_report(context, file->node, &reason);
		fuse_reply_err(request, (int)-got);
	} else {
		cvq_source_cache_used(context, file->node, file->content.fd, (size_t)got);
		fuse_reply_buf(request, bytes, (size_t)got);
	}
}

static void op_read(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset,
		    struct fuse_file_info *info)
{
	(void)id;
	struct cvq_context *context = cvq_request_context(request);
	struct cvq_handle *file = cvq_request_handle(info);
	uint64_t began = cvq_clock_nanoseconds();

	struct cvq_run run = {0};
	/* Some readers never look into the cache. */
	if (!context->options->direct_io && !(info->flags & O_DIRECT))
		run = cvq_ahead_note(context, file, (uint64_t)offset, size);
	answer_read(context, request, file, size, (uint64_t)offset);
	cvq_statistics_count_read(&context->statistics, began);
	cvq_ahead_run(context, &run);
}

/* ========================================================================== */
/*                                  The table                                 */
/* ========================================================================== */

const struct fuse_lowlevel_ops cvq_operations = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.readlink = op_readlink,
	.access = op_access,
	.statfs = op_statfs,
	.open = op_open,
	.read = op_read,
	.release = op_release,
	.opendir = cvq_op_opendir,
	.readdir = cvq_op_readdir,
	.readdirplus = cvq_op_readdirplus,
	.releasedir = cvq_op_releasedir,
	.getxattr = cvq_op_getxattr,
	.listxattr = cvq_op_listxattr,
};
