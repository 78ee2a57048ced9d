/* SPDX-License-Identifier: MIT */
/*
 * The plan of a safetensors file
 *
 * The tensors are ordered by the size of their elements, the largest first, as
 * safetensors itself orders them: so each is aligned to its elements without gaps,
 * also where some are half as long as they were.
 */
#include "checkpoint/safetensors.h"
#include "image/planning.h"

static int compare_items(const void *left, const void *right, void *context)
{
	const struct cvq_planning *planning = context;
	uint32_t a = *(const uint32_t *)left;
	uint32_t b = *(const uint32_t *)right;
	unsigned a_size = cvq_plan_item_size(planning, a);
	unsigned b_size = cvq_plan_item_size(planning, b);
	if (a_size != b_size)
		return a_size > b_size ? -1 : 1;
	uint64_t a_offset = planning->checkpoint->records[a].offset;
	uint64_t b_offset = planning->checkpoint->records[b].offset;
	return a_offset < b_offset ? -1 : a_offset > b_offset;
}

static cvq_err lay_out_header(struct cvq_planning *planning, const uint32_t *order)
{
	const struct cvq_checkpoint *checkpoint = planning->checkpoint;
	const char *converted = planning->policy->dtype == CVQ_FP16 ? "F16" : "BF16";
	cleanup_free struct cvq_safetensor *tensors =
		calloc(checkpoint->storage_count, sizeof(*tensors));
	if (!tensors)
		return -ENOMEM;
	uint64_t end = 0;
	for (size_t i = 0; i < checkpoint->storage_count; i++) {
		struct cvq_safetensor *tensor = &tensors[order[i]];
		bool convert = planning->edits[order[i]].convert;
		tensor->dtype = convert ? converted : NULL;
		tensor->begin = end;
		end += convert ? checkpoint->records[order[i]].size / 2
			       : checkpoint->records[order[i]].size;
		tensor->end = end;
	}
	cvq_err err = cvq_safetensors_write(checkpoint, tensors,
					    &planning->layout.image->literals);
	return err ? err : cvq_layout_literals(&planning->layout);
}

static cvq_err lay_out_tensor(struct cvq_planning *planning, uint32_t index)
{
	const struct cvq_record *record = &planning->checkpoint->records[index];
	if (planning->edits[index].convert)
		return cvq_plan_numbers(planning, cvq_plan_conversion(planning, record));
	return cvq_layout_extent(&planning->layout, EXTENT_SOURCE, record->offset,
				 record->size);
}

cvq_err cvq_plan_safetensors(struct cvq_planning *planning)
{
	size_t count = planning->checkpoint->storage_count;
	cleanup_free uint32_t *order = calloc(count, sizeof(*order));
	if (!order)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		order[i] = i;
	qsort_r(order, count, sizeof(*order), compare_items, planning);
	cvq_err err = lay_out_header(planning, order);
	for (size_t i = 0; i < count && !err; i++)
		err = lay_out_tensor(planning, order[i]);
	return err;
}
