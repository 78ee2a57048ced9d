/* SPDX-License-Identifier: MIT */
/*
 * FUSE passthrough: the kernel reads files that are shown unchanged by itself
 *
 * Needs libfuse 3.17, Linux 6.9 and root.  Where any of these is missing or
 * the kernel declines the first file, and for every later one that it declines, reads
 * are answered by us.
 */
#ifndef CVQ_MOUNT_PASSTHROUGH_H
#define CVQ_MOUNT_PASSTHROUGH_H

#include <pthread.h>
#include <stdbool.h>

#include "mount/fuse.h"
#include "mount/nodes.h"

struct cvq_passthrough {
	bool negotiated;
	pthread_mutex_t mutex; /* also guards backing_id and open_files of nodes */
	bool works;            /* the kernel has taken a file ... */
	bool declined;         /* ... or declined the first one, and is not asked again */
};

void cvq_passthrough_init(struct cvq_passthrough *passthrough);
void cvq_passthrough_release(struct cvq_passthrough *passthrough);

/* To be called by the init operation. */
void cvq_passthrough_negotiate(struct cvq_passthrough *passthrough,
			       struct fuse_conn_info *connection);

/* Completes the answer 'info' to the open of 'node', whose file is open as 'fd'. */
void cvq_passthrough_open(struct cvq_passthrough *passthrough, fuse_req_t request,
			  struct cvq_node *node, int fd, struct fuse_file_info *info);

/* Undoes one cvq_passthrough_open(). */
void cvq_passthrough_close(struct cvq_passthrough *passthrough, fuse_req_t request,
			   struct cvq_node *node);

#endif
