/* SPDX-License-Identifier: MIT */
#include "checkpoint/zip_directory.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "checkpoint/checkpoint.h"

/* What precedes the name of an entry, its extra fields and its comment. */
#define ENTRY_BYTES 46

/* That of CVQ_MAX_RECORDS entries, with room for their names. */
#define MAX_DIRECTORY_BYTES ((uint64_t)CVQ_MAX_RECORDS * 400)

/* Read at a time; the longest entry is shorter. */
#define PIECE_BYTES (256u << 10)

/*
 * How many names libzip may compare.  A million ordinary names are less than a million
 * comparisons, which take about a tenth of a second.
 */
#define MAX_COMPARISONS (64u << 20)

/* The field that gives the name of an entry once more, in UTF-8. */
#define UNICODE_PATH 0x7075

struct walk {
	const struct cvq_source *source;
	uint64_t position; /* where the next entry begins */
	uint64_t end;

	uint8_t *piece; /* of the file */
	uint64_t piece_offset;
	size_t piece_length;

	uint32_t *hashes; /* of the names */
	size_t count, capacity;
};

struct entry {
	const uint8_t *name, *extra;
	size_t name_length, extra_length;
};

/* ========================================================================== */
/*                                   Entries                                  */
/* ========================================================================== */

/* Gives the next 'length' bytes; NULL if there are less. */
static cvq_err look_ahead(struct walk *walk, size_t length, const uint8_t **bytes)
{
	uint64_t left = walk->end - walk->position;
	*bytes = NULL;
	if (length > left)
		return 0;
	uint64_t place = walk->position - walk->piece_offset;
	if (place + length > walk->piece_length) {
		size_t wanted = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
		cvq_err err =
			cvq_source_read(walk->source, walk->piece, wanted, walk->position);
		if (err)
			return err;
		walk->piece_offset = walk->position;
		walk->piece_length = wanted;
		place = 0;
	}
	*bytes = walk->piece + place;
	return 0;
}

/* '*found' says whether there is a next entry; without one, libzip goes no farther. */
static cvq_err next_entry(struct walk *walk, struct entry *entry, bool *found)
{
	const uint8_t *bytes;
	*found = false;
	cvq_err err = look_ahead(walk, ENTRY_BYTES, &bytes);
	if (err || !bytes || memcmp(bytes, "PK\1\2", 4) != 0)
		return err;
	entry->name_length = cvq_get_u16(bytes + 28);
	entry->extra_length = cvq_get_u16(bytes + 30);
	size_t length = ENTRY_BYTES + entry->name_length + entry->extra_length +
			cvq_get_u16(bytes + 32);
	err = look_ahead(walk, length, &bytes);
	if (err || !bytes)
		return err;
	entry->name = bytes + ENTRY_BYTES;
	entry->extra = entry->name + entry->name_length;
	walk->position += length;
	*found = true;
	return 0;
}

/* libzip takes the name that an extra field gives; torch does not look there. */
static bool has_another_name(const struct entry *entry)
{
	const uint8_t *field = entry->extra;
	size_t left = entry->extra_length;
	while (left >= 4 && left - 4 >= cvq_get_u16(field + 2)) {
		/* A version and a CRC-32 precede the name. */
		size_t length = cvq_get_u16(field + 2);
		if (cvq_get_u16(field) == UNICODE_PATH && length >= 5 &&
		    (length - 5 != entry->name_length ||
		     memcmp(field + 4 + 5, entry->name, entry->name_length) != 0))
			return true;
		field += 4 + length;
		left -= 4 + length;
	}
	return false;
}

/* ========================================================================== */
/*                                    Names                                   */
/* ========================================================================== */

/* What libzip recodes before it hashes it is none of what is readable. */
static bool is_readable(const struct entry *entry)
{
	char name[UINT16_MAX + 1];
	memcpy(name, entry->name, entry->name_length);
	name[entry->name_length] = '\0';
	cvq_make_readable(name);
	return strlen(name) == entry->name_length &&
	       memcmp(name, entry->name, entry->name_length) == 0;
}

/* As libzip does it (lib/zip_hash.c).  Names of which that is not sure count as if all of
 * them had the same. */
static uint32_t hash_name(const struct entry *entry)
{
	uint32_t hash = 5381;
	if (!is_readable(entry))
		return 0;
	for (size_t i = 0; i < entry->name_length; i++)
		hash = hash * 33 + entry->name[i];
	return hash;
}

static cvq_err check_comparisons(const struct walk *walk, struct cvq_reason *reason)
{
	/* At most three quarters full, but no larger than needed. */
	size_t size = 1;
	while (size * 3 < walk->count * 4)
		size *= 2;
	cleanup_free uint32_t *table = calloc(size, sizeof(*table));
	if (!table)
		return -ENOMEM;
	uint64_t comparisons = 0;
	for (size_t i = 0; i < walk->count; i++)
		comparisons += table[walk->hashes[i] % size]++;
	if (comparisons <= MAX_COMPARISONS)
		return 0;
	return cvq_explain(reason, CVQ_ERR_CONTENT,
			   "too many names in its zip archive have the same hash");
}

/* ========================================================================== */
/*                                  The whole                                 */
/* ========================================================================== */

static cvq_err refuse_many(struct cvq_reason *reason)
{
	return cvq_explain(reason, CVQ_ERR_CONTENT,
			   "its zip archive has more than %u entries", CVQ_MAX_RECORDS);
}

static cvq_err add_entry(struct walk *walk, const struct entry *entry,
			 struct cvq_reason *reason)
{
	if (walk->count == CVQ_MAX_RECORDS)
		return refuse_many(reason);
	if (has_another_name(entry))
		return cvq_explain(
			reason, CVQ_ERR_CONTENT, "its entry '%.*s' has a second name",
			(int)(entry->name_length < 100 ? entry->name_length : 100),
			entry->name);
	if (cvq_grow((void **)&walk->hashes, &walk->capacity, walk->count,
		     sizeof(*walk->hashes)))
		return -ENOMEM;
	walk->hashes[walk->count++] = hash_name(entry);
	return 0;
}

static cvq_err walk_through(struct walk *walk, struct cvq_reason *reason)
{
	uint64_t start = walk->position;
	for (;;) {
		struct entry entry;
		bool found;
		cvq_err err = next_entry(walk, &entry, &found);
		if (err || !found)
			return err;
		if (walk->position - start > MAX_DIRECTORY_BYTES)
			return cvq_explain(reason, CVQ_ERR_CONTENT,
					   "its zip archive has a directory of more than "
					   "%u MB",
					   (unsigned)(MAX_DIRECTORY_BYTES / 1000000));
		err = add_entry(walk, &entry, reason);
		if (err)
			return err;
	}
}

cvq_err cvq_zip_directory_check(const struct cvq_source *source,
				const struct cvq_zip_end *end, struct cvq_reason *reason)
{
	if (end->entries > CVQ_MAX_RECORDS)
		return refuse_many(reason);
	if (end->directory >= end->record)
		return 0;
	/* However long it says to be: with an entry that ends behind its end, libzip 1.7
	 * goes on. */
	struct walk walk = {
		.source = source,
		.position = end->directory,
		.end = end->record,
		.piece = malloc(PIECE_BYTES),
	};
	cvq_err err = walk.piece ? walk_through(&walk, reason) : -ENOMEM;
	err = err ? err : check_comparisons(&walk, reason);
	free(walk.piece);
	free(walk.hashes);
	return err;
}
