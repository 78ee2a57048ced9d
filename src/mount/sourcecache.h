/* SPDX-License-Identifier: MIT */
/*
 * The source's pages in the page cache, which a converted file needs once: the option
 * drop_source_cache gives them back
 */
#ifndef CVQ_MOUNT_SOURCECACHE_H
#define CVQ_MOUNT_SOURCECACHE_H

#include <stddef.h>

struct cvq_context;
struct cvq_node;

/* After 'length' bytes of the image of 'node' were made from its source, open as 'fd'. */
void cvq_source_cache_used(const struct cvq_context *context, struct cvq_node *node, int fd,
			   size_t length);

/* When a handle of 'node' is closed. */
void cvq_source_cache_closed(const struct cvq_context *context, struct cvq_node *node,
			     int fd);

#endif
