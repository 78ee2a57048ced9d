/* SPDX-License-Identifier: MIT */
/*
 * Handles: what is open in the view; the kernel knows each by its address
 *
 * A list of them is kept only because a view may be unmounted under open files,
 * and then nobody releases them.
 */
#ifndef CVQ_MOUNT_HANDLES_H
#define CVQ_MOUNT_HANDLES_H

#include <pthread.h>
#include <sys/queue.h>

#include "base/error.h"
#include "mount/nodes.h"
#include "view/content.h"
#include "view/folder.h"

struct cvq_handle {
	struct cvq_node *node;      /* one reference */
	struct cvq_content content; /* of a file; a folder has none */
	struct cvq_folder *folder;  /* NULL for a file, and for a folder without names */
	pthread_mutex_t mutex;      /* held by who lists the folder */
	LIST_ENTRY(cvq_handle) link;
};

struct cvq_handles {
	pthread_mutex_t mutex;
	LIST_HEAD(, cvq_handle) list;
};

void cvq_handles_init(struct cvq_handles *handles);

/* Closes all that are still open.  No request may be under way. */
void cvq_handles_release(struct cvq_handles *handles);

/*
 * Makes a handle of 'node' with the content of a file, or with CVQ_NO_CONTENT and a folder.
 * Takes over what it is given, and takes a reference of its own to the node.
 * Returns NULL, with all closed, if memory ran out.
 */
struct cvq_handle *cvq_handle_open(struct cvq_handles *handles, struct cvq_node *node,
				   struct cvq_content content, struct cvq_folder *folder);
void cvq_handle_close(struct cvq_handles *handles, struct cvq_handle *handle);

#endif
