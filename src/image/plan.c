/* SPDX-License-Identifier: MIT */
/*
 * The plan as a whole
 */
#include "image/planning.h"

/* More literal bytes than this, and the image counts as large (holds_much); most pickles
 * are much smaller. */
#define MUCH_BYTES (4u << 20)

/* Makes the selection's choices edits of the pickle. */
static cvq_err take_selection(struct cvq_planning *planning,
			      const struct cvq_selection *selection)
{
	struct cvq_image_summary *summary = &planning->layout.image->summary;
	size_t count = planning->checkpoint->storage_count;
	planning->edits = calloc(count + 1, sizeof(*planning->edits));
	if (!planning->edits)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		planning->edits[i].convert =
			selection->storages[i].fate == CVQ_FATE_CONVERTED;
	summary->storages = count;
	summary->converted_storages = selection->converted;
	if (selection->converted == 0)
		return cvq_explain(planning->reason, CVQ_ERR_NOTHING,
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

unsigned cvq_plan_item_size(const struct cvq_planning *planning, size_t storage)
{
	return planning->edits[storage].convert
		       ? 2
		       : planning->checkpoint->storages[storage].item_size;
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

static cvq_err plan(struct cvq_planning *planning, const struct cvq_selection *selection)
{
	struct cvq_image *image = planning->layout.image;
	cvq_err err = take_selection(planning, selection);
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
	image->checksum = CVQ_CHECKSUM_NONE; /* a format that has them takes the policy's */
	return image;
}

cvq_err cvq_image_plan_selected(struct cvq_checkpoint *checkpoint, uint64_t size,
				const struct cvq_selection *selection,
				const struct cvq_policy *policy, struct cvq_image **image,
				struct cvq_reason *reason)
{
	struct cvq_planning planning = {
		.layout = {.image = new_image(policy, size)},
		.checkpoint = checkpoint,
		.policy = policy,
		.reason = reason,
	};
	cvq_err err = planning.layout.image ? plan(&planning, selection) : -ENOMEM;
	free(planning.edits);
	if (err) {
		cvq_image_unref(planning.layout.image);
		return err;
	}
	*image = planning.layout.image;
	(*image)->spill = steal_pointer(checkpoint->spill);
	(*image)->summary.holds_much =
		(*image)->spill || (*image)->literals.length > MUCH_BYTES;
	return 0;
}

cvq_err cvq_image_plan(const struct cvq_source *source, uint64_t size,
		       const struct cvq_policy *policy, struct cvq_image **image,
		       struct cvq_reason *reason)
{
	struct cvq_checkpoint *checkpoint = NULL;
	cleanup_selection struct cvq_selection selection = {0};
	cvq_err err = cvq_checkpoint_open(source, size, &checkpoint, reason);
	if (!err)
		err = cvq_selection_make(checkpoint, policy, &selection);
	if (!err)
		err = cvq_image_plan_selected(checkpoint, size, &selection, policy, image,
					      reason);
	cvq_checkpoint_free(checkpoint);
	return err;
}
