/* SPDX-License-Identifier: MIT */
#include "pickle/storages.h"

#include <string.h>

static const struct cvq_storage_type types[] = {
	{"torch", "FloatStorage", 4, 4},
	{"torch", "HalfStorage", 2, 2},
	{"torch", "BFloat16Storage", 2, 2},
	{"torch", "DoubleStorage", 8, 8},
	{"torch", "LongStorage", 8, 8},
	{"torch", "IntStorage", 4, 4},
	{"torch", "ShortStorage", 2, 2},
	{"torch", "CharStorage", 1, 1},
	{"torch", "ByteStorage", 1, 1},
	{"torch", "BoolStorage", 1, 1},
	{"torch", "ComplexFloatStorage", 8, 4},
	{"torch", "ComplexDoubleStorage", 16, 8},
	{"torch", "QInt8Storage", 1, 1},
	{"torch", "QUInt8Storage", 1, 1},
	{"torch", "QInt32Storage", 4, 4},
	{"torch", "QUInt4x2Storage", 1, 1},
	{"torch", "QUInt2x4Storage", 1, 1},
	/* The length of an untyped storage is in bytes. */
	{"torch.storage", "UntypedStorage", 1, 1},
	{"torch.storage", "_UntypedStorage", 1, 1},
};

const struct cvq_storage_type *cvq_storage_type_find(struct cvq_slice module,
						     struct cvq_slice name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (cvq_slice_is(module, types[i].module) &&
		    cvq_slice_is(name, types[i].name))
			return &types[i];
	return NULL;
}

/* Of one pickle.  With a table that is half full at most, a million ordinary keys need
 * some 5 million. */
#define MOST_PROBES (1u << 25)

/* FNV-1a */
static size_t hash_key(const struct cvq_storage *storage)
{
	uint64_t hash = 0xcbf29ce484222325;
	for (size_t i = 0; i < storage->key_length; i++)
		hash = (hash ^ (uint8_t)storage->key[i]) * 0x100000001b3;
	return (size_t)(hash ^ hash >> 32);
}

static bool same_key(const struct cvq_storage *a, const struct cvq_storage *b)
{
	return a->key_length == b->key_length && memcmp(a->key, b->key, a->key_length) == 0;
}

/* The slot that holds the key, or the empty one where it belongs; NULL if so many were
 * looked at by now that somebody must have made keys for it. */
static uint32_t *find_slot(struct cvq_storage_index *table,
			   const struct cvq_storage *storages,
			   const struct cvq_storage *wanted)
{
	for (size_t at = hash_key(wanted); table->probes < MOST_PROBES; at++) {
		uint32_t *slot = &table->slots[at & (table->size - 1)];
		table->probes++;
		if (*slot == 0 || same_key(&storages[*slot - 1], wanted))
			return slot;
	}
	return NULL;
}

static cvq_err resize(struct cvq_storage_index *table, const struct cvq_storage *storages,
		      size_t count)
{
	struct cvq_storage_index larger = {.size = table->size ? table->size * 2 : 64,
					   .probes = table->probes};
	larger.slots = calloc(larger.size, sizeof(*larger.slots));
	if (!larger.slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t *slot = find_slot(&larger, storages, &storages[i]);
		if (!slot) {
			free(larger.slots);
			return CVQ_ERR_CONTENT;
		}
		*slot = i + 1;
	}
	free(table->slots);
	*table = larger;
	return 0;
}

cvq_err cvq_storage_index_find(struct cvq_storage_index *table,
			       const struct cvq_storage *storages, size_t count,
			       const struct cvq_storage *wanted, uint32_t *index)
{
	if (count * 2 >= table->size) {
		cvq_err err = resize(table, storages, count);
		if (err)
			return err;
	}
	uint32_t *slot = find_slot(table, storages, wanted);
	if (!slot)
		return CVQ_ERR_CONTENT;
	if (*slot == 0)
		*slot = (uint32_t)count + 1;
	*index = *slot - 1;
	return 0;
}

void cvq_storage_index_release(struct cvq_storage_index *table)
{
	free(table->slots);
}
