/* SPDX-License-Identifier: MIT */
/*
 * The plan of a zip archive
 *
 * The records keep their order, names and folder.  data.pkl is rewritten, the
 * storages that convert are laid out as numbers to convert, everything else is
 * taken from the source as it is.
 */
#include <stdio.h>
#include <string.h>

#include "image/planning.h"
#include "numeric/crc32.h"

#define SEAL_BYTES 4

/* Numbers that are computed must not lie across the pages of which CRCs are kept. */
#define LEAST_ALIGNMENT_OF_COMPUTED 16

struct zip_planning {
	struct cvq_planning *shared;
	uint32_t alignment;
	struct cvq_buffer pickle;
	struct cvq_zip_entry *entries;
	size_t entry_count;
};

/* ========================================================================== */
/*                                    Seals                                   */
/* ========================================================================== */

/*
 * Between a seal and the next record there is a quiet zone of zeros, so that a
 * reader of the next record does not touch the page of the seal, which takes the
 * whole record to compute: one page for records that are worth it, and for those
 * that are large more than the kernel reads around a page fault.
 */
static uint64_t quiet_bytes(uint64_t bytes)
{
	if (bytes < 64 << 10)
		return 0;
	if (bytes < 2 << 20)
		return CVQ_PAGE_BYTES;
	return (128 << 10) + CVQ_PAGE_BYTES;
}

/* How long the record of 'bytes' bytes of numbers is with its seal, in whole elements. */
static uint64_t sealed_bytes(uint64_t bytes, unsigned item_size)
{
	if (bytes == 0)
		return 0;
	uint64_t sealed = bytes + SEAL_BYTES + quiet_bytes(bytes);
	return (sealed + item_size - 1) / item_size * item_size;
}

/* Whether the image's bytes of the storage are other than the source's. */
static bool is_computed(const struct cvq_planning *planning, size_t storage)
{
	return planning->edits[storage].convert ||
	       (planning->checkpoint->big_endian &&
		planning->checkpoint->storages[storage].word_size > 1);
}

/* What gives the record of a storage that is computed its CRC. */
static enum cvq_checksum checksum_of(const struct cvq_planning *planning, size_t storage)
{
	enum cvq_checksum checksum = planning->policy->checksum;
	bool fixed = planning->checkpoint->storages[storage].fixed_length;
	return checksum == CVQ_CHECKSUM_SEAL && fixed ? CVQ_CHECKSUM_EXACT : checksum;
}

/* Makes room for seals in what the pickle says of the storages. */
static void add_seals(struct cvq_planning *planning)
{
	for (size_t i = 0; i < planning->checkpoint->storage_count; i++) {
		uint64_t numel = planning->checkpoint->storages[i].numel;
		unsigned size = cvq_plan_item_size(planning, i);
		if (is_computed(planning, i) &&
		    checksum_of(planning, i) == CVQ_CHECKSUM_SEAL)
			planning->edits[i].more_numel =
				sealed_bytes(numel * size, size) / size - numel;
	}
}

/* ========================================================================== */
/*                                   Records                                  */
/* ========================================================================== */

static struct cvq_zip_entry *new_entry(struct zip_planning *zip, const char *name,
				       uint64_t size, uint32_t crc)
{
	struct cvq_zip_entry *entry = &zip->entries[zip->entry_count++];
	*entry = (struct cvq_zip_entry){
		.name = name, .size = size, .crc = crc, .checksum_of = -1};
	return entry;
}

/* A record whose bytes are known now. */
static cvq_err lay_out_literal(struct zip_planning *zip, const char *name, const void *data,
			       size_t length)
{
	struct cvq_layout *layout = &zip->shared->layout;
	struct cvq_zip_entry *entry =
		new_entry(zip, name, length, cvq_crc32(0, data, length));
	cvq_err err = cvq_zip_begin(layout, entry, zip->alignment);
	cvq_buffer_append(&layout->image->literals, data, length);
	return err ? err : cvq_zip_finish(layout, entry);
}

static cvq_err lay_out_text(struct zip_planning *zip, const char *name, const char *text)
{
	return lay_out_literal(zip, name, text, strlen(text));
}

/* A record as it is in the source. */
static cvq_err lay_out_verbatim(struct zip_planning *zip, const struct cvq_record *record)
{
	struct cvq_layout *layout = &zip->shared->layout;
	struct cvq_zip_entry *entry =
		new_entry(zip, record->name, record->size, record->crc);
	cvq_err err = cvq_zip_begin(layout, entry, zip->alignment);
	if (!err)
		err = cvq_layout_extent(layout, EXTENT_SOURCE, record->offset,
					record->size);
	return err ? err : cvq_zip_finish(layout, entry);
}

/* A storage whose numbers are computed, and behind them what the checksum mode wants. */
static cvq_err lay_out_computed(struct zip_planning *zip, const struct cvq_record *record)
{
	struct cvq_planning *planning = zip->shared;
	struct cvq_layout *layout = &planning->layout;
	size_t storage = (size_t)record->storage;
	unsigned size = cvq_plan_item_size(planning, storage);
	uint64_t bytes = planning->checkpoint->storages[storage].numel * size;
	if (bytes == 0)
		return lay_out_literal(zip, record->name, NULL, 0);

	bool sealed = checksum_of(planning, storage) == CVQ_CHECKSUM_SEAL;
	struct cvq_zip_entry *entry =
		new_entry(zip, record->name, sealed ? sealed_bytes(bytes, size) : bytes,
			  sealed ? record->crc : 0);
	uint64_t index = layout->image->conversion_count;
	if (checksum_of(planning, storage) == CVQ_CHECKSUM_EXACT)
		entry->checksum_of = (int64_t)index;
	cvq_err err = cvq_zip_begin(layout, entry, zip->alignment);
	struct cvq_conversion *conversion = cvq_plan_conversion(planning, record);
	if (!err)
		err = cvq_plan_numbers(planning, conversion);
	if (!err && sealed) {
		conversion->sealed_crc = record->crc;
		conversion->quiet = entry->size - bytes - SEAL_BYTES;
		err = cvq_layout_extent(layout, EXTENT_SEAL, index, SEAL_BYTES);
		if (!err)
			err = cvq_layout_extent(layout, EXTENT_FILL, 0, conversion->quiet);
	}
	return err ? err : cvq_zip_finish(layout, entry);
}

/*
 * .format_version invites torch to compute offsets; it stays only where that
 * gives the right ones.  The layout for 65536 has gaps, see zip.c.
 */
static bool is_dropped(const struct zip_planning *zip, const char *base)
{
	const struct cvq_checkpoint *checkpoint = zip->shared->checkpoint;
	bool aligned_as_told =
		checkpoint->tells_alignment || zip->alignment == checkpoint->alignment;
	return strcmp(base, ".format_version") == 0 &&
	       (!checkpoint->computable_offsets || !aligned_as_told ||
		zip->alignment == 65536);
}

static cvq_err lay_out_record(struct zip_planning *zip, size_t index)
{
	const struct cvq_planning *planning = zip->shared;
	const struct cvq_checkpoint *checkpoint = planning->checkpoint;
	const struct cvq_record *record = &checkpoint->records[index];
	const char *base = cvq_record_base(checkpoint, index);
	if (is_dropped(zip, base))
		return 0;
	if (index == checkpoint->pickle_record)
		return lay_out_literal(zip, record->name, zip->pickle.data,
				       zip->pickle.length);
	if (record->storage >= 0 && is_computed(planning, (size_t)record->storage))
		return lay_out_computed(zip, record);
	if (strcmp(base, "byteorder") == 0)
		return lay_out_text(zip, record->name, "little");
	if (strcmp(base, ".storage_alignment") == 0) {
		char text[16];
		snprintf(text, sizeof(text), "%u", zip->alignment);
		return lay_out_text(zip, record->name, text);
	}
	return lay_out_verbatim(zip, record);
}

static cvq_err lay_out(struct zip_planning *zip)
{
	const struct cvq_checkpoint *checkpoint = zip->shared->checkpoint;
	zip->entries = calloc(checkpoint->record_count, sizeof(*zip->entries));
	if (!zip->entries)
		return -ENOMEM;
	cvq_err err = cvq_plan_pickle(zip->shared, &zip->pickle);
	for (size_t i = 0; i < checkpoint->record_count && !err; i++)
		err = lay_out_record(zip, i);
	return err ? err
		   : cvq_zip_directory(&zip->shared->layout, zip->entries,
				       zip->entry_count);
}

cvq_err cvq_plan_zip(struct cvq_planning *planning)
{
	const struct cvq_policy *policy = planning->policy;
	struct zip_planning zip = {.shared = planning};
	zip.alignment = policy->align ? policy->align : planning->checkpoint->alignment;
	if (zip.alignment < LEAST_ALIGNMENT_OF_COMPUTED && planning->checkpoint->big_endian)
		zip.alignment = LEAST_ALIGNMENT_OF_COMPUTED;
	planning->layout.image->checksum = policy->checksum;
	add_seals(planning);
	cvq_err err = lay_out(&zip);
	free(zip.entries);
	cvq_buffer_release(&zip.pickle);
	return err;
}
