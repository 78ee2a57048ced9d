/* SPDX-License-Identifier: MIT */
#include "checkpoint/zip_end.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "checkpoint/checkpoint.h"

#define MAGIC_BYTES   4
#define RECORD_BYTES  22 /* the end record, without the comment that may follow */
#define LOCATOR_BYTES 20 /* right before it, says where the zip64 end record lies */
#define ZIP64_BYTES   56

/* As far back as libzip looks; miniz looks a bit farther. */
#define TAIL_BYTES (UINT16_MAX + RECORD_BYTES + LOCATOR_BYTES)

static bool begins_with(const uint8_t *bytes, const char *magic)
{
	return memcmp(bytes, magic, MAGIC_BYTES) == 0;
}

/* The last end record that begins before 'before', a place in the tail; NULL if there is
 * none. */
static uint8_t *find_record(const struct cvq_zip_end *end, size_t before)
{
	while (before-- > 0)
		if (begins_with(end->tail + before, "PK\5\6"))
			return end->tail + before;
	return NULL;
}

/*
 * What the zip64 end record says counts for more than what the end record says, if there
 * is one.  Lowers '*begin' to where it begins.
 */
static cvq_err read_zip64(const struct cvq_source *source, uint64_t size,
			  struct cvq_zip_end *end, uint64_t *begin)
{
	uint64_t place = end->record - end->tail_offset;
	if (place < LOCATOR_BYTES)
		return 0;
	const uint8_t *locator = end->tail + place - LOCATOR_BYTES;
	if (!begins_with(locator, "PK\6\7"))
		return 0;
	uint64_t offset = cvq_get_u64(locator + 8);
	if (size < ZIP64_BYTES || offset > size - ZIP64_BYTES)
		return 0;
	uint8_t record[ZIP64_BYTES];
	cvq_err err = cvq_source_read(source, record, sizeof(record), offset);
	if (err || !begins_with(record, "PK\6\6"))
		return err;
	uint64_t here = cvq_get_u64(record + 24); /* on this disk */
	uint64_t all = cvq_get_u64(record + 32);
	end->entries = here > all ? here : all;
	end->directory = cvq_get_u64(record + 48);
	*begin = end->record - LOCATOR_BYTES;
	if (offset < *begin)
		*begin = offset;
	return 0;
}

/*
 * Blanks the other end records.  Those in a payload, as of an archive that is a record
 * of this one, are nobody's loss; but where the directory and its end lie, which begin at
 * 'begin', all that libzip reads has to be as it is.
 */
static cvq_err hide_others(struct cvq_zip_end *end, uint64_t begin,
			   struct cvq_reason *reason)
{
	size_t before = (size_t)(end->record - end->tail_offset);
	for (uint8_t *other; (other = find_record(end, before));) {
		before = (size_t)(other - end->tail);
		if (end->tail_offset + before + MAGIC_BYTES > begin)
			return cvq_explain(reason, CVQ_ERR_CONTENT,
					   "its zip archive has more than one end");
		memset(other, 0, MAGIC_BYTES);
	}
	return 0;
}

cvq_err cvq_zip_end_read(const struct cvq_source *source, uint64_t size,
			 struct cvq_zip_end *end, struct cvq_reason *reason)
{
	*end = (struct cvq_zip_end){.tail_offset = size};
	if (size < RECORD_BYTES)
		return 0;
	end->tail_length = size < TAIL_BYTES ? (size_t)size : TAIL_BYTES;
	end->tail_offset = size - end->tail_length;
	end->tail = malloc(end->tail_length);
	if (!end->tail)
		return -ENOMEM;
	cvq_err err =
		cvq_source_read(source, end->tail, end->tail_length, end->tail_offset);
	if (err)
		return err;
	/* miniz takes the last one that is not cut off, wherever its comment ends. */
	const uint8_t *record = find_record(end, end->tail_length - RECORD_BYTES + 1);
	if (!record)
		return 0;
	end->record = end->tail_offset + (uint64_t)(record - end->tail);
	end->entries = cvq_get_u16(record + 10);
	end->directory = cvq_get_u32(record + 16);
	uint64_t begin = end->record;
	err = read_zip64(source, size, end, &begin);
	if (end->directory < begin)
		begin = end->directory;
	return err ? err : hide_others(end, begin, reason);
}

void cvq_zip_end_release(struct cvq_zip_end *end)
{
	free(end->tail);
	*end = (struct cvq_zip_end){0};
}

size_t cvq_zip_end_copy(const struct cvq_zip_end *end, void *data, size_t length,
			uint64_t offset)
{
	if (offset + length <= end->tail_offset)
		return length;
	size_t before = offset < end->tail_offset ? (size_t)(end->tail_offset - offset) : 0;
	memcpy((uint8_t *)data + before, end->tail + (offset + before - end->tail_offset),
	       length - before);
	return before;
}
