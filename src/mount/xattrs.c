/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes: ours ("user.cvq.info" of files, "user.cvq.status" of the
 * root) and the source's own
 */
#include "mount/operations.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mountinfo.h"
#include "mount/request.h"

#define INFO "user.cvq.info"

/* The name of the attribute of ours that the node has, or NULL. */
static const char *own_name(const struct cvq_node *node)
{
	if (node->id == FUSE_ROOT_ID)
		return CVQ_STATUS_ATTRIBUTE;
	return node->entry.verdict ? INFO : NULL;
}

static char *own_value(struct cvq_context *context, const struct cvq_node *node)
{
	return node->id == FUSE_ROOT_ID ? cvq_status_describe(context)
					: cvq_view_describe(context->view, &node->entry);
}

/* Replies with a value, or with its length if that is what was asked. */
static void reply_value(fuse_req_t request, const void *value, ssize_t length, size_t size)
{
	if (length < 0)
		fuse_reply_err(request, (int)-length);
	else if (size == 0)
		fuse_reply_xattr(request, (size_t)length);
	else if ((size_t)length > size)
		fuse_reply_err(request, ERANGE);
	else
		fuse_reply_buf(request, value, (size_t)length);
}

static void reply_own_value(fuse_req_t request, const struct cvq_node *node, size_t size)
{
	cleanup_free char *value = own_value(cvq_request_context(request), node);
	reply_value(request, value, value ? (ssize_t)strlen(value) : -ENOMEM, size);
}

void cvq_op_getxattr(fuse_req_t request, fuse_ino_t id, const char *name, size_t size)
{
	struct cvq_context *context = cvq_request_context(request);
	/* ls asks every file for its ACL, which only the kernel needs, and for its SELinux
	 * context. */
	bool is_wanted = strcmp(name, CVQ_ACCESS_LIST) == 0
				 ? cvq_mount_checks_permissions(context->options)
				 : strncmp(name, "user.", 5) == 0;
	if (!is_wanted) {
		fuse_reply_err(request, ENODATA);
		return;
	}
	cleanup_target struct cvq_target target;
	cvq_err err = cvq_request_target(request, id, NULL, &target);
	if (err) {
		fuse_reply_err(request, -err);
		return;
	}
	const char *own = own_name(target.node);
	if (own && strcmp(name, own) == 0) {
		reply_own_value(request, target.node, size);
		return;
	}
	cleanup_answer struct cvq_answer *answer = cvq_answer_take(&context->buffers, size);
	void *value = answer ? cvq_answer_bytes(answer) : NULL;
	ssize_t length = answer ? cvq_view_get_xattr(context->view, target.path,
						     &target.node->entry, name, value, size)
				: -ENOMEM;
	reply_value(request, value, length, size);
}

void cvq_op_listxattr(fuse_req_t request, fuse_ino_t id, size_t size)
{
	struct cvq_context *context = cvq_request_context(request);
	cleanup_target struct cvq_target target;
	cvq_err err = cvq_request_target(request, id, NULL, &target);
	cleanup_answer struct cvq_answer *answer =
		cvq_answer_take(&context->buffers, XATTR_LIST_MAX);
	if (!err && !answer)
		err = -ENOMEM;
	if (err) {
		fuse_reply_err(request, -err);
		return;
	}
	char *names = cvq_answer_bytes(answer);
	const char *own = own_name(target.node);
	size_t own_size = own ? strlen(own) + 1 : 0;
	if (own)
		memcpy(names, own, own_size);
	ssize_t more = cvq_view_list_xattrs(context->view, target.path, &target.node->entry,
					    names + own_size, XATTR_LIST_MAX - own_size);
	/* A source without attributes, or one that is gone, leaves ours. */
	reply_value(request, names, (ssize_t)own_size + (more > 0 ? more : 0), size);
}
