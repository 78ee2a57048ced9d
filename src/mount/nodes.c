/* SPDX-License-Identifier: MIT */
#include "mount/nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOT_ID      1 /* FUSE_ROOT_ID */
#define INITIAL_SIZE 256

/* ========================================================================== */
/*                                 Hash tables                                */
/* ========================================================================== */

/* The finalizer of splitmix64: ids are consecutive, and so must not stay. */
static uint64_t mix(uint64_t value)
{
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

/* FNV-1a over the name, begun with the parent. */
static uint64_t hash_name(const struct cvq_node *parent, const char *name)
{
	uint64_t hash = 0xcbf29ce484222325 ^ (parent ? parent->id : 0);
	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3;
	return mix(hash);
}

static struct cvq_node **bucket(const struct cvq_node_table *table, uint64_t hash)
{
	return &table->buckets[hash & (table->size - 1)];
}

static void link_by_id(struct cvq_node_table *table, struct cvq_node *node)
{
	struct cvq_node **first = bucket(table, mix(node->id));
	node->next_by_id = *first;
	*first = node;
}

static void link_by_name(struct cvq_node_table *table, struct cvq_node *node)
{
	struct cvq_node **first = bucket(table, hash_name(node->parent, node->name));
	node->next_by_name = *first;
	*first = node;
}

static void unlink_node(struct cvq_nodes *nodes, struct cvq_node *node)
{
	struct cvq_node **link = bucket(&nodes->by_id, mix(node->id));
	while (*link != node)
		link = &(*link)->next_by_id;
	*link = node->next_by_id;

	link = bucket(&nodes->by_name, hash_name(node->parent, node->name));
	while (*link != node)
		link = &(*link)->next_by_name;
	*link = node->next_by_name;
	nodes->count--;
}

/* Doubles the tables when they are full.  Without memory they just get slower. */
static void make_room(struct cvq_nodes *nodes)
{
	size_t size = nodes->by_id.size * 2;
	if (nodes->count < nodes->by_id.size)
		return;
	struct cvq_node_table by_id = {calloc(size, sizeof(*by_id.buckets)), size};
	struct cvq_node_table by_name = {calloc(size, sizeof(*by_name.buckets)), size};
	if (!by_id.buckets || !by_name.buckets) {
		free(by_id.buckets);
		free(by_name.buckets);
		return;
	}
	for (size_t i = 0; i < nodes->by_id.size; i++) {
		struct cvq_node *next;
		for (struct cvq_node *node = nodes->by_id.buckets[i]; node; node = next) {
			next = node->next_by_id;
			link_by_id(&by_id, node);
			link_by_name(&by_name, node);
		}
	}
	free(nodes->by_id.buckets);
	free(nodes->by_name.buckets);
	nodes->by_id = by_id;
	nodes->by_name = by_name;
}

static struct cvq_node *find_id(const struct cvq_nodes *nodes, uint64_t id)
{
	struct cvq_node *node = *bucket(&nodes->by_id, mix(id));
	while (node && node->id != id)
		node = node->next_by_id;
	return node;
}

/* The newest node under that name; with 'entry', the one of that version. */
static struct cvq_node *find_name(const struct cvq_nodes *nodes,
				  const struct cvq_node *parent, const char *name,
				  const struct cvq_entry *entry)
{
	struct cvq_node *found = NULL;
	struct cvq_node *node = *bucket(&nodes->by_name, hash_name(parent, name));
	for (; node; node = node->next_by_name)
		if (node->parent == parent && strcmp(node->name, name) == 0 &&
		    (!entry || cvq_entry_same(&node->entry, entry)) &&
		    (!found || node->id > found->id))
			found = node;
	return found;
}

/* ========================================================================== */
/*                                    Life                                    */
/* ========================================================================== */

static void free_node(struct cvq_node *node)
{
	if (node->reserved_fd >= 0)
		close(node->reserved_fd);
	cvq_entry_release(&node->entry);
	free(node);
}

/* With the mutex held.  Takes the entry over, and a reference to 'parent'. */
static struct cvq_node *add_node(struct cvq_nodes *nodes, struct cvq_node *parent,
				 const char *name, struct cvq_entry *entry)
{
	size_t name_size = strlen(name) + 1;
	struct cvq_node *node = calloc(1, sizeof(*node) + name_size);
	if (!node)
		return NULL;
	memcpy(node->name, name, name_size);
	atomic_flag_clear(&node->reported);
	node->reserved_fd = -1;
	node->nodes = nodes;
	node->parent = parent;
	node->id = ++nodes->last_id;
	node->entry = *entry;
	*entry = (struct cvq_entry){0};
	if (parent)
		parent->references++;

	make_room(nodes);
	link_by_id(&nodes->by_id, node);
	link_by_name(&nodes->by_name, node);
	nodes->count++;
	return node;
}

/*
 * With the mutex held.  Unlinks the node if nobody needs it any more, then its
 * parent if that was the parent's last child, and so on upwards.  Returns what is
 * to be freed, chained by 'parent', once the mutex is released.
 */
static struct cvq_node *retire(struct cvq_nodes *nodes, struct cvq_node *node)
{
	struct cvq_node *retired = NULL;

	while (node && node->lookups == 0 && node->references == 0) {
		struct cvq_node *parent = node->parent;
		unlink_node(nodes, node);
		for (unsigned i = 0; i < CVQ_NODES_RESERVED; i++)
			if (nodes->reserved[i].node == node)
				nodes->reserved[i].node = NULL;
		node->parent = retired;
		retired = node;
		if (parent)
			parent->references--;
		node = parent;
	}
	return retired;
}

static void free_retired(struct cvq_node *retired)
{
	while (retired) {
		struct cvq_node *next = retired->parent;
		free_node(retired);
		retired = next;
	}
}

void cvq_node_ref(struct cvq_node *node)
{
	pthread_mutex_lock(&node->nodes->mutex);
	node->references++;
	pthread_mutex_unlock(&node->nodes->mutex);
}

void cvq_node_unref(struct cvq_node *node)
{
	struct cvq_nodes *nodes = node->nodes;
	pthread_mutex_lock(&nodes->mutex);
	node->references--;
	struct cvq_node *retired = retire(nodes, node);
	pthread_mutex_unlock(&nodes->mutex);
	free_retired(retired);
}

struct cvq_node *cvq_node_get(struct cvq_nodes *nodes, uint64_t id)
{
	pthread_mutex_lock(&nodes->mutex);
	struct cvq_node *node = find_id(nodes, id);
	if (node)
		node->references++;
	pthread_mutex_unlock(&nodes->mutex);
	return node;
}

struct cvq_node *cvq_node_newest(struct cvq_node *parent, const char *name)
{
	struct cvq_nodes *nodes = parent->nodes;

	pthread_mutex_lock(&nodes->mutex);
	struct cvq_node *found = find_name(nodes, parent, name, NULL);
	if (found)
		found->references++;
	pthread_mutex_unlock(&nodes->mutex);
	return found;
}

cvq_err cvq_node_enter(struct cvq_node *parent, const char *name, struct cvq_entry *entry,
		       struct cvq_node **node)
{
	struct cvq_nodes *nodes = parent->nodes;

	pthread_mutex_lock(&nodes->mutex);
	struct cvq_node *found = find_name(nodes, parent, name, entry);
	if (!found)
		found = add_node(nodes, parent, name, entry);
	if (found) {
		found->lookups++;
		found->references++;
	}
	pthread_mutex_unlock(&nodes->mutex);

	cvq_entry_release(entry); /* empty by now if it went into a new node */
	*node = found;
	return found ? 0 : -ENOMEM;
}

void cvq_node_forget(struct cvq_nodes *nodes, uint64_t id, uint64_t lookups)
{
	struct cvq_node *retired = NULL;

	pthread_mutex_lock(&nodes->mutex);
	struct cvq_node *node = find_id(nodes, id);
	if (node) {
		node->lookups -= lookups < node->lookups ? lookups : node->lookups;
		retired = retire(nodes, node);
	}
	pthread_mutex_unlock(&nodes->mutex);
	free_retired(retired);
}

static time_t seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec;
}

/* With the mutex held.  Returns what is to be closed once it is released, or -1. */
static int clear_place(struct cvq_reservation *place)
{
	if (!place->node)
		return -1;
	int fd = place->node->reserved_fd;
	place->node->reserved_fd = -1;
	place->node = NULL;
	return fd;
}

void cvq_node_reserve(struct cvq_node *node, int fd)
{
	struct cvq_nodes *nodes = node->nodes;

	pthread_mutex_lock(&nodes->mutex);
	int needless = fd;
	if (node->reserved_fd < 0) {
		struct cvq_reservation *place = &nodes->reserved[nodes->oldest_reserved];
		nodes->oldest_reserved = (nodes->oldest_reserved + 1) % CVQ_NODES_RESERVED;
		needless = clear_place(place);
		*place = (struct cvq_reservation){node, seconds_now()};
		node->reserved_fd = fd;
	}
	pthread_mutex_unlock(&nodes->mutex);
	if (needless >= 0)
		close(needless);
}

void cvq_nodes_release_reserved(struct cvq_nodes *nodes)
{
	int needless[CVQ_NODES_RESERVED];
	time_t latest = seconds_now() - CVQ_RESERVED_SECONDS;

	pthread_mutex_lock(&nodes->mutex);
	for (unsigned i = 0; i < CVQ_NODES_RESERVED; i++) {
		struct cvq_reservation *place = &nodes->reserved[i];
		needless[i] = place->since < latest ? clear_place(place) : -1;
	}
	pthread_mutex_unlock(&nodes->mutex);
	for (unsigned i = 0; i < CVQ_NODES_RESERVED; i++)
		if (needless[i] >= 0)
			close(needless[i]);
}

int cvq_node_claim(struct cvq_node *node)
{
	pthread_mutex_lock(&node->nodes->mutex);
	int fd = node->reserved_fd;
	if (fd >= 0)
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&node->nodes->mutex);
	return fd;
}

cvq_err cvq_nodes_init(struct cvq_nodes *nodes, struct cvq_entry *root)
{
	*nodes = (struct cvq_nodes){.last_id = ROOT_ID - 1};
	pthread_mutex_init(&nodes->mutex, NULL);
	nodes->by_id.size = nodes->by_name.size = INITIAL_SIZE;
	nodes->by_id.buckets = calloc(INITIAL_SIZE, sizeof(*nodes->by_id.buckets));
	nodes->by_name.buckets = calloc(INITIAL_SIZE, sizeof(*nodes->by_name.buckets));

	struct cvq_node *node = NULL;
	if (nodes->by_id.buckets && nodes->by_name.buckets)
		node = add_node(nodes, NULL, "", root);
	if (!node) {
		cvq_nodes_release(nodes);
		return -ENOMEM;
	}
	node->references = 1; /* the mount's own: the kernel never forgets the root */
	return 0;
}

void cvq_nodes_release(struct cvq_nodes *nodes)
{
	for (size_t i = 0; nodes->by_id.buckets && i < nodes->by_id.size; i++) {
		struct cvq_node *next;
		for (struct cvq_node *node = nodes->by_id.buckets[i]; node; node = next) {
			next = node->next_by_id;
			free_node(node);
		}
	}
	free(nodes->by_id.buckets);
	free(nodes->by_name.buckets);
	pthread_mutex_destroy(&nodes->mutex);
	*nodes = (struct cvq_nodes){0};
}

/* ========================================================================== */
/*                                    Paths                                   */
/* ========================================================================== */

/* Puts 'name' and a slash before what starts at '*start'.  Returns false if it is full. */
static bool prepend(const char *path, char **start, const char *name)
{
	size_t length = strlen(name);
	bool slash = **start != '\0';
	if ((size_t)(*start - path) < length + slash)
		return false;
	if (slash)
		*--*start = '/';
	*start -= length;
	memcpy(*start, name, length);
	return true;
}

cvq_err cvq_node_path(const struct cvq_node *node, const char *name, char path[PATH_MAX])
{
	char *start = path + PATH_MAX - 1;
	*start = '\0';

	if (name && !prepend(path, &start, name))
		return -ENAMETOOLONG;
	for (; node->parent; node = node->parent)
		if (!prepend(path, &start, node->name))
			return -ENAMETOOLONG;
	memmove(path, start, (size_t)(path + PATH_MAX - start));
	return 0;
}
