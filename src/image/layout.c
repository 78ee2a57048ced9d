/* SPDX-License-Identifier: MIT */
#include "image/layout.h"

cvq_err cvq_layout_extent(struct cvq_layout *layout, enum cvq_extent_kind kind,
			  uint64_t origin, uint64_t length)
{
	struct cvq_image *image = layout->image;
	if (length == 0)
		return 0;
	if (cvq_grow((void **)&image->extents, &image->extent_capacity, image->extent_count,
		     sizeof(*image->extents)))
		return -ENOMEM;
	image->extents[image->extent_count++] = (struct cvq_extent){
		.start = image->summary.view_size,
		.origin = origin,
		.kind = kind,
	};
	image->summary.view_size += length;
	return 0;
}

cvq_err cvq_layout_literals(struct cvq_layout *layout)
{
	struct cvq_image *image = layout->image;
	if (image->literals.error)
		return image->literals.error;
	size_t from = layout->laid_out;
	uint64_t length = image->literals.length - from;
	layout->laid_out = image->literals.length;

	/* A literal behind a literal makes that one longer. */
	if (image->extent_count > 0 &&
	    image->extents[image->extent_count - 1].kind == EXTENT_LITERAL) {
		image->summary.view_size += length;
		return 0;
	}
	return cvq_layout_extent(layout, EXTENT_LITERAL, from, length);
}
