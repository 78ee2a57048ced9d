/* SPDX-License-Identifier: MIT */
/*
 * The nodes: what the kernel knows of the view
 *
 * A node is one *version* of one file at one path.  When a lookup finds that the
 * file has changed, or only come to rest (see view/version.h), it gets another node;
 * the old one lives on for those who have it open, with its own size and its own
 * pages in the kernel's cache.  So nothing that is cached anywhere ever mixes two
 * versions, and nothing in a node changes after it was made but its counts.  A
 * folder's node goes by its path, and is stale once another folder is there.
 *
 * Node ids are numbers that are never used twice.  A node lives as long as the
 * kernel remembers it, or a child, an open file or a request refers to it.
 */
#ifndef CVQ_MOUNT_NODES_H
#define CVQ_MOUNT_NODES_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "view/view.h"

struct cvq_nodes;

/* Far less than the least usual limit of descriptors. */
#define CVQ_NODES_RESERVED 16

/* Much longer than from a lookup to the open that it is for. */
#define CVQ_RESERVED_SECONDS 5

struct cvq_node {
	struct cvq_nodes *nodes; /* where it belongs */
	struct cvq_node *parent; /* one reference; NULL for the root */
	uint64_t id;
	struct cvq_entry entry;
	atomic_flag reported; /* an error of this file is in the log already */
	int backing_id;       /* these two belong to passthrough.c */
	unsigned open_files;
	_Atomic uint64_t undropped; /* this one to sourcecache.c */
	/* Guarded by nodes->mutex: */
	uint64_t lookups;    /* what the kernel remembers */
	uint64_t references; /* ours */
	int reserved_fd;     /* the file, open, for opens to come; or -1 */
	struct cvq_node *next_by_id;
	struct cvq_node *next_by_name;
	char name[];
};

/* A place for a node that has a reserved_fd. */
struct cvq_reservation {
	struct cvq_node *node; /* or NULL */
	time_t since;          /* by the monotonic clock */
};

/* A hash table of nodes, chained through one of their 'next' members. */
struct cvq_node_table {
	struct cvq_node **buckets;
	size_t size; /* a power of two */
};

struct cvq_nodes {
	pthread_mutex_t mutex; /* never held across I/O */
	uint64_t last_id;
	size_t count;
	struct cvq_reservation reserved[CVQ_NODES_RESERVED]; /* a ring */
	unsigned oldest_reserved;
	struct cvq_node_table by_id;
	struct cvq_node_table by_name; /* parent and name, which versions can share */
};

/* Sets up with the root alone, whose entry is taken over on success. */
cvq_err cvq_nodes_init(struct cvq_nodes *nodes, struct cvq_entry *root);

/* Frees all nodes, whoever refers to them. */
void cvq_nodes_release(struct cvq_nodes *nodes);

/* A reference to the node of that id; NULL if there is none. */
struct cvq_node *cvq_node_get(struct cvq_nodes *nodes, uint64_t id);
void cvq_node_ref(struct cvq_node *node);
void cvq_node_unref(struct cvq_node *node);

/*
 * Finds or makes the node for what 'entry' is under that name, and counts one
 * lookup of the kernel.  The entry is taken over in any case.  Returns 0 and the
 * node with one reference, or -ENOMEM.
 */
cvq_err cvq_node_enter(struct cvq_node *parent, const char *name, struct cvq_entry *entry,
		       struct cvq_node **node);

/* A reference to the newest node under that name; NULL if there is none. */
struct cvq_node *cvq_node_newest(struct cvq_node *parent, const char *name);

/* The kernel forgets that many lookups. */
void cvq_node_forget(struct cvq_nodes *nodes, uint64_t id, uint64_t lookups);

/*
 * Keeps the open file for opens to come, and takes 'fd' over: until the kernel forgets the
 * node, as many others after it are kept, or its time is over.
 */
void cvq_node_reserve(struct cvq_node *node, int fd);

/* Closes the files whose time is over: one that was deleted takes up the disk till then. */
void cvq_nodes_release_reserved(struct cvq_nodes *nodes);

/* Yields a descriptor, to be closed, of a file that was kept so; or -1. */
int cvq_node_claim(struct cvq_node *node);

/*
 * The path of 'node', or of its child 'name' if that is not NULL.  Needs no lock:
 * a node holds on to its ancestors, and their names do not change.
 * Returns 0 or -ENAMETOOLONG.
 */
cvq_err cvq_node_path(const struct cvq_node *node, const char *name, char path[PATH_MAX]);

static inline void cvq_node_cleanup(struct cvq_node **node)
{
	if (*node)
		cvq_node_unref(*node);
}

#define cleanup_node cvq_cleanup(cvq_node_cleanup)

#endif
