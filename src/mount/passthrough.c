/* SPDX-License-Identifier: MIT */
/*
 * The kernel wants all descriptors of a node to be of one kind: all passed through
 * to one backing file, or none.  So the first open of a node decides, and what it
 * decided holds until the last one is closed.
 */
#include "mount/passthrough.h"

#include <unistd.h>

#define WITH_PASSTHROUGH (FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17))

void cvq_passthrough_init(struct cvq_passthrough *passthrough)
{
	*passthrough = (struct cvq_passthrough){0};
	pthread_mutex_init(&passthrough->mutex, NULL);
}

void cvq_passthrough_release(struct cvq_passthrough *passthrough)
{
	pthread_mutex_destroy(&passthrough->mutex);
}

#if WITH_PASSTHROUGH

void cvq_passthrough_negotiate(struct cvq_passthrough *passthrough,
			       struct fuse_conn_info *connection)
{
	/* The kernel offers it to everybody, but keeps it for CAP_SYS_ADMIN. */
	passthrough->negotiated =
		geteuid() == 0 && (connection->capable & FUSE_CAP_PASSTHROUGH);
	if (passthrough->negotiated)
		connection->want |= FUSE_CAP_PASSTHROUGH;
}

/* With the mutex held.  Returns 0 if the kernel does not take the file. */
static int open_backing(struct cvq_passthrough *passthrough, fuse_req_t request, int fd)
{
	if (passthrough->declined)
		return 0;
	int id = fuse_passthrough_open(request, fd);
	if (id > 0)
		passthrough->works = true;
	else if (!passthrough->works)
		passthrough->declined = true; /* no privilege, or the wrong file system */
	return id > 0 ? id : 0;
}

void cvq_passthrough_open(struct cvq_passthrough *passthrough, fuse_req_t request,
			  struct cvq_node *node, int fd, struct fuse_file_info *info)
{
	if (!passthrough->negotiated || cvq_entry_converted(&node->entry))
		return;
	pthread_mutex_lock(&passthrough->mutex);
	if (node->open_files++ == 0)
		node->backing_id = open_backing(passthrough, request, fd);
	info->backing_id = node->backing_id;
	if (info->backing_id) /* the pages of the source itself are used */
		info->keep_cache = info->direct_io = 0;
	pthread_mutex_unlock(&passthrough->mutex);
}

void cvq_passthrough_close(struct cvq_passthrough *passthrough, fuse_req_t request,
			   struct cvq_node *node)
{
	if (!passthrough->negotiated || cvq_entry_converted(&node->entry))
		return;
	pthread_mutex_lock(&passthrough->mutex);
	if (--node->open_files == 0 && node->backing_id) {
		fuse_passthrough_close(request, node->backing_id);
		node->backing_id = 0;
	}
	pthread_mutex_unlock(&passthrough->mutex);
}

#else

void cvq_passthrough_negotiate(struct cvq_passthrough *passthrough,
			       struct fuse_conn_info *connection)
{
	(void)passthrough;
	(void)connection;
}

void cvq_passthrough_open(struct cvq_passthrough *passthrough, fuse_req_t request,
			  struct cvq_node *node, int fd, struct fuse_file_info *info)
{
	(void)passthrough;
	(void)request;
	(void)node;
	(void)fd;
	(void)info;
}

void cvq_passthrough_close(struct cvq_passthrough *passthrough, fuse_req_t request,
			   struct cvq_node *node)
{
	(void)passthrough;
	(void)request;
	(void)node;
}

#endif
