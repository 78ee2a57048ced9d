/* SPDX-License-Identifier: MIT */
/*
 * What the operations have in common: finding their node and path, and reporting errors
 */
#ifndef CVQ_MOUNT_REQUEST_H
#define CVQ_MOUNT_REQUEST_H

#include <limits.h>

#include "mount/context.h"
#include "mount/fuse.h"

/* What a request is about. */
struct cvq_target {
	struct cvq_node *node; /* one reference */
	char path[PATH_MAX];
};

static inline void cvq_target_release(struct cvq_target *target)
{
	if (target->node)
		cvq_node_unref(target->node);
}

#define cleanup_target cvq_cleanup(cvq_target_release)

struct cvq_context *cvq_request_context(fuse_req_t request);

/* The handle that an open or opendir operation has left in 'info'. */
struct cvq_handle *cvq_request_handle(const struct fuse_file_info *info);

/*
 * Finds the node 'id' and its path; with 'name', the path of that child of it.
 * Returns 0, -ESTALE, -ENAMETOOLONG, or -ENOENT for a child of a hidden folder.
 * Release the target in any case.
 */
cvq_err cvq_request_target(fuse_req_t request, fuse_ino_t id, const char *name,
			   struct cvq_target *target);

/* How long the kernel may trust the attributes of such an entry. */
double cvq_attributes_timeout(const struct cvq_context *context,
			      const struct cvq_entry *entry);

/* Looks 'path', the child 'name' of 'parent', up and fills the answer for the kernel. */
cvq_err cvq_request_enter(struct cvq_context *context, struct cvq_node *parent,
			  const char *name, const char *path,
			  struct fuse_entry_param *answer);

/* Counts an error of reading 'node', and logs it if it is the first of that file. */
void cvq_request_report(struct cvq_context *context, struct cvq_node *node,
			const struct cvq_reason *reason);

#endif
