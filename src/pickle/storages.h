/* SPDX-License-Identifier: MIT */
/*
 * Storage classes that torch knows, and an index of storages by key
 *
 * Private to the room.
 */
#ifndef CVQ_PICKLE_STORAGES_H
#define CVQ_PICKLE_STORAGES_H

#include "pickle/machine.h"

struct cvq_storage_type {
	const char *module;
	const char *name;
	unsigned item_size; /* bytes per element */
	unsigned word_size; /* of which each is one number: half a complex one */
};

/* NULL if there is no such class. */
const struct cvq_storage_type *cvq_storage_type_find(struct cvq_slice module,
						     struct cvq_slice name);

/* A hash table of indices into an array of storages; starts zeroed. */
struct cvq_storage_index {
	uint32_t *slots; /* index + 1, or 0 */
	size_t size;     /* a power of two */
	size_t probes;   /* slots that were looked at so far */
};

/*
 * Finds the storage with the same key among the 'count' indexed so far.  If
 * there is none, '*index' becomes 'count', which the caller must then add.
 * Returns 0; -ENOMEM; or CVQ_ERR_CONTENT if too many keys collide.
 */
cvq_err cvq_storage_index_find(struct cvq_storage_index *table,
			       const struct cvq_storage *storages, size_t count,
			       const struct cvq_storage *wanted, uint32_t *index);
void cvq_storage_index_release(struct cvq_storage_index *table);

#endif
