/* SPDX-License-Identifier: MIT */
/*
 * From a checkpoint and a policy to an image
 *
 * The records keep their order, names and folder.  data.pkl is rewritten, the
 * storages that convert are laid out as numbers to convert, everything else is
 * taken from the source as it is.
 */
#include <stdio.h>
#include <string.h>

#include "checkpoint/checkpoint.h"
#include "image/layout.h"
#include "numeric/crc32.h"

#define SEAL_BYTES 4

struct planning {
	struct cvq_layout layout;
	const struct cvq_checkpoint *checkpoint;
	const struct cvq_policy *policy;
	uint32_t alignment;
	struct cvq_storage_edit *edits; /* one per storage */
	struct cvq_buffer pickle;
	struct cvq_zip_entry *entries;
	size_t entry_count;
	struct cvq_reason *reason;
};

/* ========================================================================== */
/*                                  Decisions                                 */
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

static uint64_t sealed_bytes(uint64_t numel)
{
	return numel ? numel * 2 + SEAL_BYTES + quiet_bytes(numel * 2) : 0;
}

/* Converts each FP32 storage that only plain tensors use and no pattern keeps. */
static cvq_err decide(struct planning *planning)
{
	const struct cvq_pickle *pickle = planning->checkpoint->pickle;
	struct cvq_image_summary *summary = &planning->layout.image->summary;
	size_t count = cvq_pickle_storage_count(pickle);
	planning->edits = calloc(count + 1, sizeof(*planning->edits));
	cleanup_free bool *kept = calloc(count + 1, sizeof(*kept));
	if (!planning->edits || !kept)
		return -ENOMEM;

	for (size_t i = 0; i < cvq_pickle_tensor_count(pickle); i++) {
		const struct cvq_tensor *tensor = cvq_pickle_tensor(pickle, i);
		const struct cvq_storage *storage =
			cvq_pickle_storage(pickle, tensor->storage);
		planning->edits[tensor->storage].convert =
			storage->is_float32 && storage->plain;
		kept[tensor->storage] |=
			cvq_policy_keeps_tensor(planning->policy, tensor->name);
	}
	summary->storages = count;
	for (size_t i = 0; i < count; i++) {
		struct cvq_storage_edit *edit = &planning->edits[i];
		uint64_t numel = cvq_pickle_storage(pickle, i)->numel;
		edit->convert &= !kept[i];
		summary->converted_storages += edit->convert;
		if (edit->convert && planning->policy->checksum == CVQ_CHECKSUM_SEAL)
			edit->more_numel = sealed_bytes(numel) / 2 - numel;
	}
	if (summary->converted_storages == 0)
		return cvq_explain(planning->reason, CVQ_ERR_CONTENT,
				   "it holds no FP32 tensor to convert");
	return 0;
}

static cvq_err rewrite_pickle(struct planning *planning)
{
	const char *type =
		planning->policy->dtype == CVQ_FP16 ? "HalfStorage" : "BFloat16Storage";
	return cvq_pickle_rewrite(planning->checkpoint->pickle, planning->edits, type,
				  &planning->pickle, planning->reason);
}

/* ========================================================================== */
/*                                   Records                                  */
/* ========================================================================== */

static struct cvq_zip_entry *new_entry(struct planning *planning, const char *name,
				       uint64_t size, uint32_t crc)
{
	struct cvq_zip_entry *entry = &planning->entries[planning->entry_count++];
	*entry = (struct cvq_zip_entry){
		.name = name, .size = size, .crc = crc, .checksum_of = -1};
	return entry;
}

/* A record whose bytes are known now. */
static cvq_err lay_out_literal(struct planning *planning, const char *name,
			       const void *data, size_t length)
{
	struct cvq_zip_entry *entry =
		new_entry(planning, name, length, cvq_crc32(0, data, length));
	cvq_err err = cvq_zip_begin(&planning->layout, entry, planning->alignment);
	cvq_buffer_append(&planning->layout.image->literals, data, length);
	return err ? err : cvq_zip_finish(&planning->layout, entry);
}

/* A record as it is in the source. */
static cvq_err lay_out_verbatim(struct planning *planning, const struct cvq_record *record)
{
	if (record->inflated)
		return lay_out_literal(planning, record->name, record->inflated,
				       (size_t)record->size);
	struct cvq_zip_entry *entry =
		new_entry(planning, record->name, record->size, record->crc);
	cvq_err err = cvq_zip_begin(&planning->layout, entry, planning->alignment);
	if (!err)
		err = cvq_layout_extent(&planning->layout, EXTENT_SOURCE, record->offset,
					record->size);
	return err ? err : cvq_zip_finish(&planning->layout, entry);
}

/* Numbers, and behind them what the checksum mode wants. */
static cvq_err lay_out_conversion(struct planning *planning, struct cvq_zip_entry *entry,
				  struct cvq_conversion *conversion, uint64_t index)
{
	struct cvq_layout *layout = &planning->layout;
	cvq_err err = cvq_layout_extent(layout, EXTENT_CONVERTED, index,
					cvq_conversion_bytes(conversion));
	if (!err && conversion->sealed) {
		err = cvq_layout_extent(layout, EXTENT_SEAL, index, SEAL_BYTES);
		if (!err)
			err = cvq_layout_extent(layout, EXTENT_FILL, 0, conversion->quiet);
	}
	return err ? err : cvq_zip_finish(layout, entry);
}

/* A converted storage. */
static cvq_err lay_out_converted(struct planning *planning, const struct cvq_record *record)
{
	struct cvq_image *image = planning->layout.image;
	enum cvq_checksum checksum = planning->policy->checksum;
	uint64_t numel =
		cvq_pickle_storage(planning->checkpoint->pickle, (size_t)record->storage)
			->numel;
	if (numel == 0)
		return lay_out_literal(planning, record->name, NULL, 0);

	bool sealed = checksum == CVQ_CHECKSUM_SEAL;
	struct cvq_zip_entry *entry =
		new_entry(planning, record->name, sealed ? sealed_bytes(numel) : numel * 2,
			  sealed ? record->crc : 0);
	uint64_t index = image->conversion_count++;
	if (checksum == CVQ_CHECKSUM_EXACT)
		entry->checksum_of = (int64_t)index;
	cvq_err err = cvq_zip_begin(&planning->layout, entry, planning->alignment);
	struct cvq_conversion *conversion = &image->conversions[index];
	*conversion = (struct cvq_conversion){
		.start = image->summary.view_size,
		.source = record->offset,
		.numel = numel,
		.sealed = sealed,
		.quiet = sealed ? quiet_bytes(numel * 2) : 0,
		.sealed_crc = record->crc,
	};
	return err ? err : lay_out_conversion(planning, entry, conversion, index);
}

/*
 * .format_version invites torch to compute offsets; it stays only where that
 * gives the right ones.  The layout for 65536 has gaps, see zip.c.
 */
static bool is_dropped(const struct planning *planning, const char *base)
{
	return strcmp(base, ".format_version") == 0 &&
	       (!planning->checkpoint->computable_offsets || planning->alignment == 65536);
}

static cvq_err lay_out_record(struct planning *planning, size_t index)
{
	const struct cvq_checkpoint *checkpoint = planning->checkpoint;
	const struct cvq_record *record = &checkpoint->records[index];
	const char *base = cvq_record_base(checkpoint, index);
	if (is_dropped(planning, base))
		return 0;
	if (index == checkpoint->pickle_record)
		return lay_out_literal(planning, record->name, planning->pickle.data,
				       planning->pickle.length);
	if (record->storage >= 0 && planning->edits[record->storage].convert)
		return lay_out_converted(planning, record);
	if (strcmp(base, ".storage_alignment") == 0) {
		char text[16];
		int length = snprintf(text, sizeof(text), "%u", planning->alignment);
		return lay_out_literal(planning, record->name, text, (size_t)length);
	}
	return lay_out_verbatim(planning, record);
}

static cvq_err lay_out(struct planning *planning)
{
	const struct cvq_checkpoint *checkpoint = planning->checkpoint;
	struct cvq_image *image = planning->layout.image;
	planning->entries = calloc(checkpoint->record_count, sizeof(*planning->entries));
	image->conversions = calloc((size_t)image->summary.converted_storages,
				    sizeof(*image->conversions));
	if (!planning->entries || !image->conversions)
		return -ENOMEM;
	cvq_err err = 0;
	for (size_t i = 0; i < checkpoint->record_count && !err; i++)
		err = lay_out_record(planning, i);
	if (!err)
		err = cvq_zip_directory(&planning->layout, planning->entries,
					planning->entry_count);
	return err;
}

/* ========================================================================== */
/*                                  The whole                                 */
/* ========================================================================== */

static cvq_err plan(struct planning *planning)
{
	if (planning->checkpoint->big_endian)
		return cvq_explain(planning->reason, CVQ_ERR_CONTENT,
				   "its numbers are big-endian");
	cvq_err err = decide(planning);
	if (!err)
		err = rewrite_pickle(planning);
	return err ? err : lay_out(planning);
}

static struct cvq_image *new_image(const struct cvq_policy *policy, uint64_t source_size)
{
	struct cvq_image *image = calloc(1, sizeof(*image));
	if (!image)
		return NULL;
	atomic_init(&image->references, 1);
	image->summary.source_size = source_size;
	image->convert =
		cvq_kernel_function(cvq_kernel_best(), policy->dtype, policy->overflow);
	image->checksum = policy->checksum;
	return image;
}

cvq_err cvq_image_plan(const struct cvq_source *source, uint64_t size,
		       const struct cvq_policy *policy, struct cvq_image **image,
		       struct cvq_reason *reason)
{
	struct cvq_checkpoint *checkpoint = NULL;
	cvq_err err = cvq_checkpoint_open(source, size, &checkpoint, reason);
	if (err)
		return err;
	struct planning planning = {
		.layout = {.image = new_image(policy, size)},
		.checkpoint = checkpoint,
		.policy = policy,
		.alignment = policy->align ? policy->align : checkpoint->alignment,
		.reason = reason,
	};
	err = planning.layout.image ? plan(&planning) : -ENOMEM;
	free(planning.edits);
	free(planning.entries);
	cvq_buffer_release(&planning.pickle);
	cvq_checkpoint_free(checkpoint);
	if (err)
		cvq_image_unref(planning.layout.image);
	else
		*image = planning.layout.image;
	return err;
}
