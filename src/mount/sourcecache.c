/* SPDX-License-Identifier: MIT */
#include "mount/sourcecache.h"

#include <fcntl.h>

#include "mount/context.h"

/* As the cache may keep large folios, single requests would not drop any. */
#define DROP_BYTES (64u << 20)

static bool is_wanted(const struct cvq_context *context, const struct cvq_node *node)
{
	return context->options->drop_source_cache && cvq_entry_converted(&node->entry);
}

/* All of the file: what is not there costs nothing. */
static void drop(struct cvq_node *node, int fd)
{
	atomic_store(&node->undropped, 0);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

void cvq_source_cache_used(const struct cvq_context *context, struct cvq_node *node, int fd,
			   size_t length)
{
	if (is_wanted(context, node) &&
	    atomic_fetch_add(&node->undropped, length) + length >= DROP_BYTES)
		drop(node, fd);
}

void cvq_source_cache_closed(const struct cvq_context *context, struct cvq_node *node,
			     int fd)
{
	if (is_wanted(context, node))
		drop(node, fd);
}
