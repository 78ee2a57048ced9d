/* SPDX-License-Identifier: MIT */
/*
 * The plan of a legacy stream
 *
 * It has neither checksums nor alignment nor an index: the object's pickle changes,
 * the numbers are half as long, and all else is as it is.
 */
#include "image/planning.h"

/* The source's bytes from 'begin' to 'end'. */
static cvq_err lay_out_source(struct cvq_planning *planning, uint64_t begin, uint64_t end)
{
	return cvq_layout_extent(&planning->layout, EXTENT_SOURCE, begin, end - begin);
}

cvq_err cvq_plan_legacy(struct cvq_planning *planning)
{
	const struct cvq_checkpoint *checkpoint = planning->checkpoint;
	struct cvq_image *image = planning->layout.image;
	uint64_t done = checkpoint->pickle_offset; /* of the source */
	cvq_err err = lay_out_source(planning, 0, done);
	if (!err)
		err = cvq_plan_pickle(planning, &image->literals);
	if (!err)
		err = cvq_layout_literals(&planning->layout);
	done += cvq_pickle_length(checkpoint->pickle);

	for (size_t i = 0; i < checkpoint->record_count && !err; i++) {
		const struct cvq_record *record = &checkpoint->records[i];
		if (!planning->edits[record->storage].convert)
			continue;
		err = lay_out_source(planning, done, record->offset);
		if (!err)
			err = cvq_plan_numbers(planning,
					       cvq_plan_conversion(planning, record));
		done = record->offset + record->size;
	}
	return err ? err : lay_out_source(planning, done, image->summary.source_size);
}
