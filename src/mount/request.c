/* SPDX-License-Identifier: MIT */
#include "mount/request.h"

#include <errno.h>
#include <stdio.h>

/* A node that is one version of a file keeps its attributes for good. */
#define ONE_DAY (24.0 * 60 * 60)

/* The rights to a folder are those to everything in it: no 'timeout' makes them older. */
#define RIGHTS_TIMEOUT 1.0

struct cvq_context *cvq_request_context(fuse_req_t request)
{
	return fuse_req_userdata(request);
}

struct cvq_handle *cvq_request_handle(const struct fuse_file_info *info)
{
	return (struct cvq_handle *)(uintptr_t)info->fh;
}

cvq_err cvq_request_target(fuse_req_t request, fuse_ino_t id, const char *name,
			   struct cvq_target *target)
{
	struct cvq_nodes *nodes = &cvq_request_context(request)->nodes;
	cvq_nodes_release_reserved(nodes);
	target->node = cvq_node_get(nodes, id);
	if (!target->node)
		return -ESTALE;
	if (name && target->node->entry.hidden)
		return -ENOENT;
	return cvq_node_path(target->node, name, target->path);
}

double cvq_attributes_timeout(const struct cvq_context *context,
			      const struct cvq_entry *entry)
{
	double timeout = context->options->policy.timeout;
	if (!S_ISDIR(entry->attributes.st_mode))
		return ONE_DAY;
	return cvq_mount_checks_permissions(context->options) && timeout > RIGHTS_TIMEOUT
		       ? RIGHTS_TIMEOUT
		       : timeout;
}

cvq_err cvq_request_enter(struct cvq_context *context, struct cvq_node *parent,
			  const char *name, const char *path,
			  struct fuse_entry_param *answer)
{
	cleanup_node struct cvq_node *known = cvq_node_newest(parent, name);
	struct cvq_entry entry;
	cvq_err err =
		known ? cvq_view_look_again(context->view, path, &known->entry, &entry)
		      : cvq_view_lookup(context->view, path, &entry);
	if (err == -ELOOP || err == -ENOTDIR)
		err = -ESTALE; /* the folder is no longer one */
	if (err)
		return err;
	*answer = (struct fuse_entry_param){
		.attr = entry.attributes,
		.attr_timeout = cvq_attributes_timeout(context, &entry),
		.entry_timeout = context->options->policy.timeout,
	};
	cleanup_node struct cvq_node *node = NULL;
	err = cvq_node_enter(parent, name, &entry, &node);
	if (!err)
		answer->ino = node->id;
	return err;
}

/* ========================================================================== */
/*                                   Errors                                   */
/* ========================================================================== */

void cvq_request_report(struct cvq_context *context, struct cvq_node *node,
			const struct cvq_reason *reason)
{
	char path[PATH_MAX];
	if (cvq_node_path(node, NULL, path))
		snprintf(path, sizeof(path), "%s", node->name);
	char message[PATH_MAX + sizeof(reason->text) + 2];
	snprintf(message, sizeof(message), "%s: %s",
		 cvq_entry_source_path(&node->entry, path), reason->text);

	cvq_statistics_count_error(&context->statistics, message);
	if (!atomic_flag_test_and_set(&node->reported))
		cvq_log(&context->log, CVQ_LOG_ERROR, "%s/%s", context->source, message);
}
