/* SPDX-License-Identifier: MIT */
/*
 * From a checkpoint to an image: what the formats share while it is planned
 *
 * Private to the room.
 */
#ifndef CVQ_IMAGE_PLANNING_H
#define CVQ_IMAGE_PLANNING_H

#include "checkpoint/checkpoint.h"
#include "image/layout.h"
#include "image/selection.h"

struct cvq_planning {
	struct cvq_layout layout;
	const struct cvq_checkpoint *checkpoint;
	const struct cvq_policy *policy;
	struct cvq_storage_edit *edits; /* one per storage */
	struct cvq_reason *reason;
};

/* Lays out the whole image.  The functions return as cvq_image_plan(). */
cvq_err cvq_plan_zip(struct cvq_planning *planning);
cvq_err cvq_plan_legacy(struct cvq_planning *planning);
cvq_err cvq_plan_safetensors(struct cvq_planning *planning);

/* --- plan.c --- */

/* Appends the pickle, edited, to 'out'. */
cvq_err cvq_plan_pickle(struct cvq_planning *planning, struct cvq_buffer *out);

/* Bytes of an element of the storage in the image. */
unsigned cvq_plan_item_size(const struct cvq_planning *planning, size_t storage);

/*
 * Adds the conversion of the record's storage, whose numbers are laid out next, and
 * returns it; cvq_plan_numbers() lays them out.
 */
struct cvq_conversion *cvq_plan_conversion(struct cvq_planning *planning,
					   const struct cvq_record *record);
cvq_err cvq_plan_numbers(struct cvq_planning *planning,
			 const struct cvq_conversion *conversion);

#endif
