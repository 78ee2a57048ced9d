/* SPDX-License-Identifier: MIT */
/*
 * The stream that torch.save() wrote before 1.6
 *
 * Five pickles follow each other: a magic number, the protocol version, what the
 * writing machine was like, the object, and the list of the storages' keys.  Then, in
 * the order of that list, each storage: its number of elements in 8 bytes, and the
 * elements, little-endian on every machine.  What follows is none of torch.load()'s
 * business: people save several objects into one file.
 *
 * Facts: torch/serialization.py (_legacy_save, _legacy_load), torch/csrc/serialization.cpp.
 */
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "checkpoint/formats.h"

/* The pickles before the object are almost fixed. */
#define MAX_PREFIX_BYTES 4096u

/* How much is read before it is known how long a pickle is. */
#define FIRST_PIECE_BYTES (64u << 10)

#define COUNT_BYTES 8u

struct reading {
	const struct cvq_file_bytes *file;
	struct cvq_checkpoint *checkpoint;
	struct cvq_reason *reason;
	uint64_t offset; /* of what comes next */
};

/* ========================================================================== */
/*                                   Pickles                                  */
/* ========================================================================== */

bool cvq_legacy_begins(const uint8_t *bytes, size_t length)
{
	static const uint8_t magic[] = {0x8a, 10,   0x6c, 0xfc, 0x9c, 0x46, 0xf9,
					0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};
	const size_t frame = 9; /* of protocols 4 and 5: an opcode and a length */
	size_t at = length > 2 && bytes[2] == 0x95 ? 2 + frame : 2;
	return length >= at + sizeof(magic) && bytes[0] == 0x80 &&
	       memcmp(bytes + at, magic, sizeof(magic)) == 0;
}

static cvq_err refuse_cut_off(const struct reading *reading)
{
	return cvq_explain(reading->reason, CVQ_ERR_CONTENT, "its stream is cut off");
}

/* Reads the pickle that comes next, of at most 'limit' bytes, and moves behind it.
 * '*data' is the caller's. */
static cvq_err read_pickle(struct reading *reading, size_t limit, uint8_t **data,
			   size_t *length)
{
	uint64_t left = reading->file->size - reading->offset;
	size_t most = left < limit ? (size_t)left : limit;
	cleanup_free uint8_t *bytes = NULL;
	*length = 0;
	for (size_t have = FIRST_PIECE_BYTES; *length == 0; have *= 2) {
		have = have < most ? have : most;
		free(bytes);
		bytes = malloc(have + 1);
		if (!bytes)
			return -ENOMEM;
		cvq_err err = cvq_source_read(reading->file->source, bytes, have,
					      reading->offset);
		if (!err)
			err = cvq_pickle_find_end(bytes, have, length, reading->reason);
		if (err)
			return err;
		if (*length == 0 && have == left)
			return refuse_cut_off(reading);
		if (*length == 0 && have == limit)
			return cvq_explain(reading->reason, CVQ_ERR_CONTENT,
					   "one of its pickles is too long");
	}
	reading->offset += *length;
	*data = steal_pointer(bytes);
	return 0;
}

/* The pickles before the object. */
static cvq_err read_prefix(struct reading *reading)
{
	cvq_err err = 0;
	for (int i = 0; i < 3 && !err; i++) {
		cleanup_free uint8_t *data = NULL;
		size_t length;
		err = read_pickle(reading, MAX_PREFIX_BYTES, &data, &length);
		/* The second is the number 1001. */
		if (!err && i == 1 &&
		    (length < 4 || memcmp(data + length - 4, "M\xe9\x03.", 4) != 0))
			err = cvq_explain(reading->reason, CVQ_ERR_CONTENT,
					  "its stream has an unknown protocol version");
	}
	return err;
}

static cvq_err read_object(struct reading *reading)
{
	struct cvq_checkpoint *checkpoint = reading->checkpoint;
	size_t length;
	checkpoint->pickle_offset = reading->offset;
	cvq_err err = read_pickle(reading, CVQ_PICKLE_MAX_BYTES, &checkpoint->pickle_data,
				  &length);
	if (!err)
		err = cvq_pickle_parse(checkpoint->pickle_data, length, &checkpoint->pickle,
				       reading->reason);
	if (!err)
		cvq_checkpoint_use_pickle(checkpoint);
	return err;
}

/* ========================================================================== */
/*                                  Storages                                  */
/* ========================================================================== */

static int compare_bytes(const char *a, size_t a_length, const char *b, size_t b_length)
{
	int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
	return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare_storages(const void *left, const void *right, void *storages)
{
	const struct cvq_storage *a =
		(const struct cvq_storage *)storages + *(const uint32_t *)left;
	const struct cvq_storage *b =
		(const struct cvq_storage *)storages + *(const uint32_t *)right;
	return compare_bytes(a->key, a->key_length, b->key, b->key_length);
}

/* The storage of that key, or NULL.  'by_key' lists all in the order of their keys. */
static const uint32_t *find_storage(const struct cvq_checkpoint *checkpoint,
				    const uint32_t *by_key, struct cvq_slice key)
{
	size_t low = 0, high = checkpoint->storage_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct cvq_storage *storage = &checkpoint->storages[by_key[middle]];
		int order = compare_bytes(key.data, key.length, storage->key,
					  storage->key_length);
		if (order == 0)
			return &by_key[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Reads how long the next storage is, and moves behind it. */
static cvq_err read_storage(struct reading *reading, uint32_t index)
{
	struct cvq_checkpoint *checkpoint = reading->checkpoint;
	const struct cvq_storage *storage = &checkpoint->storages[index];
	uint8_t count[COUNT_BYTES];
	uint64_t left = reading->file->size - reading->offset;
	if (left < COUNT_BYTES || left - COUNT_BYTES < cvq_storage_bytes(storage))
		return refuse_cut_off(reading);
	cvq_err err =
		cvq_source_read(reading->file->source, count, COUNT_BYTES, reading->offset);
	if (!err && cvq_get_u64(count) != storage->numel)
		err = cvq_refuse_storage(storage, "has another length than its pickle says",
					 reading->reason);
	if (err)
		return err;
	checkpoint->storage_records[index] = (uint32_t)checkpoint->record_count;
	checkpoint->records[checkpoint->record_count++] = (struct cvq_record){
		.offset = reading->offset + COUNT_BYTES,
		.size = cvq_storage_bytes(storage),
		.storage = (int32_t)index,
	};
	reading->offset += COUNT_BYTES + cvq_storage_bytes(storage);
	return 0;
}

/* Reads the storages of all 'keys', each of which must be there once. */
static cvq_err read_storages(struct reading *reading, const struct cvq_slice *keys,
			     size_t count)
{
	struct cvq_checkpoint *checkpoint = reading->checkpoint;
	size_t storages = checkpoint->storage_count;
	cleanup_free uint32_t *by_key = calloc(storages + 1, sizeof(*by_key));
	cleanup_free bool *seen = calloc(storages + 1, sizeof(*seen));
	checkpoint->records = calloc(storages + 1, sizeof(*checkpoint->records));
	checkpoint->storage_records =
		calloc(storages + 1, sizeof(*checkpoint->storage_records));
	if (!by_key || !seen || !checkpoint->records || !checkpoint->storage_records)
		return -ENOMEM;
	for (uint32_t i = 0; i < storages; i++)
		by_key[i] = i;
	if (storages > 0)
		qsort_r(by_key, storages, sizeof(*by_key), compare_storages,
			(void *)(uintptr_t)checkpoint->storages);

	bool fits = count == storages;
	cvq_err err = 0;
	for (size_t i = 0; fits && i < count && !err; i++) {
		const uint32_t *index = find_storage(checkpoint, by_key, keys[i]);
		fits = index && !seen[*index];
		if (fits) {
			seen[*index] = true;
			err = read_storage(reading, *index);
		}
	}
	return fits ? err
		    : cvq_explain(reading->reason, CVQ_ERR_CONTENT,
				  "its list of keys does not fit its pickle");
}

cvq_err cvq_legacy_read(const struct cvq_file_bytes *file,
			struct cvq_checkpoint *checkpoint, struct cvq_reason *reason)
{
	struct reading reading = {file, checkpoint, reason, 0};
	cleanup_free uint8_t *data = NULL;
	cleanup_free struct cvq_slice *keys = NULL;
	size_t length, count = 0;
	checkpoint->format = CVQ_FORMAT_LEGACY;
	cvq_err err = read_prefix(&reading);
	if (!err)
		err = read_object(&reading);
	if (!err)
		err = read_pickle(&reading, CVQ_PICKLE_MAX_BYTES, &data, &length);
	if (!err)
		err = cvq_pickle_strings(data, length, &keys, &count, reason);
	return err ? err : read_storages(&reading, keys, count);
}
