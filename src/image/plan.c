/* SPDX-License-Identifier: MIT */
/*
 * What is converted, and the plan as a whole
 */
#include <string.h>

#include "image/planning.h"

/* Converts each FP32 storage that only plain tensors use and no pattern keeps. */
static cvq_err decide(struct cvq_planning *planning)
{
	const struct cvq_checkpoint *checkpoint = planning->checkpoint;
	struct cvq_image_summary *summary = &planning->layout.image->summary;
	size_t count = checkpoint->storage_count;
	planning->edits = calloc(count + 1, sizeof(*planning->edits));
	cleanup_free bool *kept = calloc(count + 1, sizeof(*kept));
	if (!planning->edits || !kept)
		return -ENOMEM;

	for (size_t i = 0; i < checkpoint->tensor_count; i++) {
		const struct cvq_tensor *tensor = &checkpoint->tensors[i];
		const struct cvq_storage *storage = &checkpoint->storages[tensor->storage];
		planning->edits[tensor->storage].convert =
			storage->is_float32 && storage->plain;
		kept[tensor->storage] |=
			cvq_policy_keeps_tensor(planning->policy, tensor->name);
	}
	summary->storages = count;
	for (size_t i = 0; i < count; i++) {
		planning->edits[i].convert &= !kept[i];
		summary->converted_storages += planning->edits[i].convert;
	}
	if (summary->converted_storages == 0)
		return cvq_explain(planning->reason, CVQ_ERR_CONTENT,
				   "it holds no FP32 tensor to convert");
	return 0;
}

cvq_err cvq_plan_pickle(struct cvq_planning *planning, struct cvq_buffer *out)
{
	const char *type =
		planning->policy->dtype == CVQ_FP16 ? "HalfStorage" : "BFloat16Storage";
	return cvq_pickle_rewrite(planning->checkpoint->pickle, planning->edits, type, out,
				  planning->reason);
}

struct cvq_conversion *cvq_plan_conversion(struct cvq_planning *planning,
					   const struct cvq_record *record)
{
	const struct cvq_checkpoint *checkpoint = planning->checkpoint;
	const struct cvq_storage *storage = &checkpoint->storages[record->storage];
	struct cvq_image *image = planning->layout.image;
	uint8_t from_size = (uint8_t)storage->word_size;
	struct cvq_conversion *conversion = &image->conversions[image->conversion_count++];
	*conversion = (struct cvq_conversion){
		.start = image->summary.view_size,
		.source = record->offset,
		.count = cvq_storage_bytes(storage) / from_size,
		.from_size = from_size,
		.to_size = planning->edits[record->storage].convert ? 2 : from_size,
		.big_endian = checkpoint->big_endian,
	};
	return conversion;
}

cvq_err cvq_plan_numbers(struct cvq_planning *planning,
			 const struct cvq_conversion *conversion)
{
	uint64_t index = (uint64_t)(conversion - planning->layout.image->conversions);
	return cvq_layout_extent(&planning->layout, EXTENT_CONVERTED, index,
				 cvq_conversion_bytes(conversion));
}

/* ========================================================================== */
/*                                  The whole                                 */
/* ========================================================================== */

static cvq_err plan(struct cvq_planning *planning)
{
	struct cvq_image *image = planning->layout.image;
	cvq_err err = decide(planning);
	if (err)
		return err;
	image->conversions =
		calloc(planning->checkpoint->storage_count, sizeof(*image->conversions));
	if (!image->conversions)
		return -ENOMEM;
	switch (planning->checkpoint->format) {
	case CVQ_FORMAT_ZIP:
		return cvq_plan_zip(planning);
	case CVQ_FORMAT_LEGACY:
		return cvq_plan_legacy(planning);
	case CVQ_FORMAT_SAFETENSORS:
		return cvq_plan_safetensors(planning);
	}
	return CVQ_ERR_CONTENT;
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
	image->checksum = CVQ_CHECKSUM_NONE; /* but for a format that has them */
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
	struct cvq_planning planning = {
		.layout = {.image = new_image(policy, size)},
		.checkpoint = checkpoint,
		.policy = policy,
		.reason = reason,
	};
	err = planning.layout.image ? plan(&planning) : -ENOMEM;
	if (!err)
		planning.layout.image->spill = steal_pointer(checkpoint->spill);
	free(planning.edits);
	cvq_checkpoint_free(checkpoint);
	if (err)
		cvq_image_unref(planning.layout.image);
	else
		*image = planning.layout.image;
	return err;
}
