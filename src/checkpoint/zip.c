/* SPDX-License-Identifier: MIT */
/*
 * The zip archive that torch.save() writes since 1.6: which records there are
 */
#include <string.h>
#include <strings.h>

#include "checkpoint/archive.h"
#include "checkpoint/formats.h"

#define DEFAULT_ALIGNMENT 64
#define MAX_ALIGNMENT     65536

struct reading {
	struct cvq_checkpoint *checkpoint;
	struct cvq_archive *archive;
	uint64_t file_size;
	uint32_t *by_name;
	struct cvq_reason *reason;
};

/* ========================================================================== */
/*                                   Records                                  */
/* ========================================================================== */

const char *cvq_record_base(const struct cvq_checkpoint *checkpoint, size_t record)
{
	return checkpoint->records[record].name + checkpoint->folder_length;
}

static cvq_err list_records(struct reading *reading)
{
	struct cvq_checkpoint *checkpoint = reading->checkpoint;
	size_t count = cvq_archive_count(reading->archive);
	if (count == 0)
		return cvq_explain(reading->reason, CVQ_ERR_CONTENT,
				   "its zip archive is empty");
	checkpoint->records = calloc(count, sizeof(*checkpoint->records));
	if (!checkpoint->records)
		return -ENOMEM;
	cvq_err err = 0;
	for (size_t i = 0; i < count && !err; i++) {
		checkpoint->record_count = i + 1;
		err = cvq_archive_entry(reading->archive, i, &checkpoint->records[i],
					reading->reason);
	}
	return err;
}

/* torch takes the first entry's folder for the archive's, and wants all in it. */
static cvq_err check_folder(struct reading *reading)
{
	struct cvq_checkpoint *checkpoint = reading->checkpoint;
	const char *first = checkpoint->records[0].name;
	const char *slash = strchr(first, '/');
	if (!slash)
		return cvq_explain(
			reading->reason, CVQ_ERR_CONTENT,
			"its zip archive is no checkpoint: '%.100s' is in no folder",
			first);
	checkpoint->folder_length = (size_t)(slash + 1 - first);
	for (size_t i = 1; i < checkpoint->record_count; i++)
		if (strncmp(checkpoint->records[i].name, first,
			    checkpoint->folder_length) != 0)
			return cvq_explain(
				reading->reason, CVQ_ERR_CONTENT,
				"its zip archive is no checkpoint: '%.100s' is not "
				"in the folder of the others",
				checkpoint->records[i].name);
	return 0;
}

/* torch's zip reader finds names without regard to case. */
static int compare_names(const void *left, const void *right, void *records)
{
	const struct cvq_record *a =
		(const struct cvq_record *)records + *(const uint32_t *)left;
	const struct cvq_record *b =
		(const struct cvq_record *)records + *(const uint32_t *)right;
	return strcasecmp(a->name, b->name);
}

static cvq_err index_names(struct reading *reading)
{
	struct cvq_checkpoint *checkpoint = reading->checkpoint;
	size_t count = checkpoint->record_count;
	reading->by_name = calloc(count, sizeof(*reading->by_name));
	if (!reading->by_name)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		reading->by_name[i] = i;
	qsort_r(reading->by_name, count, sizeof(*reading->by_name), compare_names,
		checkpoint->records);
	for (size_t i = 1; i < count; i++)
		if (compare_names(&reading->by_name[i - 1], &reading->by_name[i],
				  checkpoint->records) == 0)
			return cvq_explain(
				reading->reason, CVQ_ERR_CONTENT,
				"its zip archive has two entries of the name '%.100s'",
				checkpoint->records[reading->by_name[i]].name);
	return 0;
}

static int compare_offsets(const void *left, const void *right, void *records)
{
	const struct cvq_record *a =
		(const struct cvq_record *)records + *(const uint32_t *)left;
	const struct cvq_record *b =
		(const struct cvq_record *)records + *(const uint32_t *)right;
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static cvq_err check_overlap(struct reading *reading)
{
	struct cvq_checkpoint *checkpoint = reading->checkpoint;
	size_t count = checkpoint->record_count;
	cleanup_free uint32_t *order = calloc(count, sizeof(*order));
	if (!order)
		return -ENOMEM;
	size_t stored = 0;
	for (uint32_t i = 0; i < count; i++)
		if (checkpoint->records[i].offset != CVQ_NO_OFFSET &&
		    checkpoint->records[i].size > 0)
			order[stored++] = i;
	qsort_r(order, stored, sizeof(*order), compare_offsets, checkpoint->records);
	for (size_t i = 1; i < stored; i++) {
		const struct cvq_record *before = &checkpoint->records[order[i - 1]];
		const struct cvq_record *after = &checkpoint->records[order[i]];
		if (before->size > after->offset - before->offset)
			return cvq_explain(reading->reason, CVQ_ERR_CONTENT,
					   "its entries '%.60s' and '%.60s' overlap",
					   before->name, after->name);
	}
	return 0;
}

/* The record FOLDER/base, or -1. */
static int64_t find_record(const struct reading *reading, const char *base, size_t length)
{
	const struct cvq_checkpoint *checkpoint = reading->checkpoint;
	size_t low = 0, high = checkpoint->record_count;
	if (memchr(base, '\0', length))
		return -1;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uint32_t record = reading->by_name[middle];
		const char *name = cvq_record_base(checkpoint, record);
		int order = strncasecmp(name, base, length);
		if (order == 0 && name[length] != '\0')
			order = 1;
		if (order == 0)
			return strncmp(name, base, length) == 0 ? (int64_t)record : -1;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

static bool has_record(const struct reading *reading, const char *base)
{
	return find_record(reading, base, strlen(base)) >= 0;
}

/* ========================================================================== */
/*                                  Attributes                                */
/* ========================================================================== */

/* The text of a small record; NULL if there is no such record. */
static cvq_err read_text(struct reading *reading, const char *base, char **text)
{
	*text = NULL;
	int64_t index = find_record(reading, base, strlen(base));
	if (index < 0)
		return 0;
	const struct cvq_record *record = &reading->checkpoint->records[index];
	if (record->size > 64)
		return cvq_explain(reading->reason, CVQ_ERR_CONTENT,
				   "its entry '%.100s' is too long", record->name);
	return cvq_archive_extract(reading->archive, (size_t)index, record,
				   (uint8_t **)text, reading->reason);
}

static cvq_err read_byte_order(struct reading *reading)
{
	cleanup_free char *text = NULL;
	cvq_err err = read_text(reading, "byteorder", &text);
	if (err || !text || strcmp(text, "little") == 0)
		return err;
	reading->checkpoint->big_endian = strcmp(text, "big") == 0;
	return reading->checkpoint->big_endian
		       ? 0
		       : cvq_explain(reading->reason, CVQ_ERR_CONTENT,
				     "its byte order '%.20s' is unknown", text);
}

static cvq_err read_alignment(struct reading *reading)
{
	reading->checkpoint->alignment = DEFAULT_ALIGNMENT;
	cleanup_free char *text = NULL;
	cvq_err err = read_text(reading, ".storage_alignment", &text);
	if (err || !text)
		return err;
	char *end;
	unsigned long alignment = strtoul(text, &end, 10);
	if (end == text || *end || alignment < 2 || alignment > MAX_ALIGNMENT ||
	    (alignment & (alignment - 1)) != 0)
		return cvq_explain(reading->reason, CVQ_ERR_CONTENT,
				   "its storage alignment '%.20s' is unknown", text);
	reading->checkpoint->alignment = (uint32_t)alignment;
	reading->checkpoint->tells_alignment = true;
	return 0;
}

static cvq_err check_kind(struct reading *reading)
{
	if (has_record(reading, "constants.pkl"))
		return cvq_explain(reading->reason, CVQ_ERR_NOTHING,
				   "it is a TorchScript file");
	if (has_record(reading, ".data/extern_modules"))
		return cvq_explain(reading->reason, CVQ_ERR_NOTHING,
				   "it is a torch.package file");
	if (!has_record(reading, "data.pkl") ||
	    (!has_record(reading, "version") && !has_record(reading, ".data/version")))
		return cvq_explain(reading->reason, CVQ_ERR_CONTENT,
				   "its zip archive is no checkpoint: it lacks data.pkl or "
				   "version");
	return 0;
}

/* ========================================================================== */
/*                             Pickle and storages                            */
/* ========================================================================== */

/* What a larger pickle may have of the file's size, lest small files take much memory.
 * The most regular state_dict deflates to a seventeenth: its memo repeats nothing. */
#define MOST_INFLATION  64
#define ANY_PICKLE_SIZE (1u << 20)

static cvq_err read_pickle(struct reading *reading)
{
	struct cvq_checkpoint *checkpoint = reading->checkpoint;
	size_t index = (size_t)find_record(reading, "data.pkl", strlen("data.pkl"));
	const struct cvq_record *record = &checkpoint->records[index];
	if (record->size > CVQ_PICKLE_MAX_BYTES)
		return cvq_explain(reading->reason, CVQ_ERR_CONTENT,
				   "its pickle is larger than %u MiB",
				   CVQ_PICKLE_MAX_BYTES >> 20);
	if (record->size > ANY_PICKLE_SIZE &&
	    record->size / MOST_INFLATION > reading->file_size)
		return cvq_explain(reading->reason, CVQ_ERR_CONTENT,
				   "its pickle is more than %d times as large as the file",
				   MOST_INFLATION);
	checkpoint->pickle_record = index;
	cvq_err err = cvq_archive_extract(reading->archive, index, record,
					  &checkpoint->pickle_data, reading->reason);
	if (!err)
		err = cvq_pickle_parse(checkpoint->pickle_data, (size_t)record->size,
				       &checkpoint->pickle, reading->reason);
	if (!err && cvq_pickle_length(checkpoint->pickle) != record->size)
		err = cvq_explain(reading->reason, CVQ_ERR_CONTENT,
				  "bytes follow the end of its pickle");
	if (!err)
		cvq_checkpoint_use_pickle(checkpoint);
	return err;
}

/* Finds the record of one storage and sees that it is long enough. */
static cvq_err attach_storage(struct reading *reading, uint32_t index)
{
	struct cvq_checkpoint *checkpoint = reading->checkpoint;
	const struct cvq_storage *storage = &checkpoint->storages[index];

	cleanup_buffer struct cvq_buffer base = {0};
	cvq_buffer_append(&base, "data/", 5);
	cvq_buffer_append(&base, storage->key, storage->key_length);
	if (base.error)
		return base.error;
	int64_t found = find_record(reading, (const char *)base.data, base.length);
	if (found < 0)
		return cvq_refuse_storage(storage, "has no record", reading->reason);
	struct cvq_record *record = &checkpoint->records[found];
	if (record->size < cvq_storage_bytes(storage))
		return cvq_refuse_storage(storage, "has too short a record",
					  reading->reason);
	record->storage = (int32_t)index;
	checkpoint->storage_records[index] = (uint32_t)found;
	return 0;
}

static cvq_err attach_storages(struct reading *reading)
{
	struct cvq_checkpoint *checkpoint = reading->checkpoint;
	size_t count = checkpoint->storage_count;
	checkpoint->storage_records =
		calloc(count + 1, sizeof(*checkpoint->storage_records));
	if (!checkpoint->storage_records)
		return -ENOMEM;
	cvq_err err = 0;
	for (uint32_t i = 0; i < count && !err; i++)
		err = attach_storage(reading, i);
	return err;
}

/*
 * torch may compute offsets (torch/serialization.py, _get_offset) if the first
 * storage of the pickle has the key "0" and the records of all storages follow
 * each other in the pickle's order.
 */
static bool are_offsets_computable(const struct reading *reading)
{
	const struct cvq_checkpoint *checkpoint = reading->checkpoint;
	size_t count = checkpoint->storage_count;
	if (count == 0)
		return true;
	const struct cvq_storage *first = &checkpoint->storages[0];
	if (first->key_length != 1 || first->key[0] != '0')
		return false;
	for (size_t i = 1; i < count; i++)
		if (checkpoint->storage_records[i] !=
		    checkpoint->storage_records[i - 1] + 1)
			return false;
	return true;
}

/* Gives the compressed records, except the pickle, a place in a spill file. */
static cvq_err place_compressed(struct reading *reading)
{
	struct cvq_checkpoint *checkpoint = reading->checkpoint;
	cvq_err err = 0;
	for (size_t i = 0; i < checkpoint->record_count && !err; i++) {
		struct cvq_record *record = &checkpoint->records[i];
		if (record->offset != CVQ_NO_OFFSET || i == checkpoint->pickle_record)
			continue;
		if (!checkpoint->spill)
			err = cvq_spill_create(steal_pointer(reading->archive),
					       &checkpoint->spill);
		if (!err)
			err = cvq_spill_add(checkpoint->spill, i, record, reading->reason);
	}
	return err;
}

/* ========================================================================== */
/*                                  The whole                                 */
/* ========================================================================== */

static cvq_err read_archive(struct reading *reading)
{
	cvq_err (*const steps[])(struct reading *) = {
		list_records,    check_folder,     index_names,    check_overlap,
		check_kind,      read_byte_order,  read_alignment, read_pickle,
		attach_storages, place_compressed,
	};
	cvq_err err = 0;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps) && !err; i++)
		err = steps[i](reading);
	if (!err)
		reading->checkpoint->computable_offsets = are_offsets_computable(reading);
	return err;
}

cvq_err cvq_zip_read(const struct cvq_file_bytes *file, struct cvq_checkpoint *checkpoint,
		     struct cvq_reason *reason)
{
	struct reading reading = {
		.checkpoint = checkpoint, .file_size = file->size, .reason = reason};
	checkpoint->format = CVQ_FORMAT_ZIP;
	cvq_err err = cvq_archive_open(file->source, file->size, &reading.archive, reason);
	if (!err)
		err = read_archive(&reading);
	cvq_archive_close(reading.archive);
	free(reading.by_name);
	return err;
}
