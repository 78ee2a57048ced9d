/* SPDX-License-Identifier: MIT */
#include "cli/pair.h"

#include <string.h>

#include "base/bytes.h"
#include "numeric/swap.h"

/* A side of a box is no wider than this if the other side runs along another axis. */
#define TILE_ELEMENTS 256

/* Elements are read together if this many lie among them that nobody asked for, for each
 * one that somebody did. */
#define MOST_BETWEEN 8

/* See cvq_pair_limit(): what somebody could mean stays below. */
#define MANY_ELEMENTS ((uint64_t)1 << 30)
#define MOST_SHARED   64

/* ========================================================================== */
/*                                    Sides                                   */
/* ========================================================================== */

static const struct cvq_storage *storage_of(const struct cvq_tensor_at *at)
{
	return &at->checkpoint->storages[at->tensor->storage];
}

static const struct cvq_record *record_of(const struct cvq_tensor_at *at)
{
	const struct cvq_checkpoint *checkpoint = at->checkpoint;
	return &checkpoint->records[checkpoint->storage_records[at->tensor->storage]];
}

bool cvq_pair_is_bytes(const struct cvq_tensor_at *at)
{
	return at->checkpoint->format == CVQ_FORMAT_SAFETENSORS &&
	       record_of(at)->size != cvq_storage_bytes(storage_of(at));
}

static void open_side(struct cvq_pair_side *side, const struct cvq_tensor_at *at,
		      bool is_bytes)
{
	const struct cvq_storage *storage = storage_of(at);
	*side = (struct cvq_pair_side){
		.spill = at->checkpoint->spill,
		.source = at->source,
		.item_size = is_bytes ? 1 : storage->item_size,
		.word_size = is_bytes ? 1 : storage->word_size,
		.swapped = at->checkpoint->big_endian != CVQ_MACHINE_IS_BIG_ENDIAN,
	};
	side->start = record_of(at)->offset + at->tensor->offset * side->item_size;
}

/* ========================================================================== */
/*                                    Axes                                    */
/* ========================================================================== */

static cvq_err add_axis(struct cvq_pair *pair, const struct cvq_axis *axis,
			struct cvq_reason *reason)
{
	struct cvq_axis *inner =
		pair->axis_count ? &pair->axes[pair->axis_count - 1] : NULL;
	bool continues = inner != NULL;
	for (unsigned side = 0; side < CVQ_SIDES && continues; side++)
		continues = axis->stride[side] == inner->stride[side] * inner->size;
	if (continues) {
		inner->size *= axis->size;
		return 0;
	}
	if (pair->axis_count == CVQ_PAIR_AXES)
		return cvq_explain(reason, CVQ_ERR_CONTENT,
				   "has too many dimensions to be compared");
	pair->axes[pair->axis_count++] = *axis;
	return 0;
}

cvq_err cvq_pair_limit(uint64_t elements, uint64_t distinct, struct cvq_reason *reason)
{
	if (elements <= MANY_ELEMENTS || elements / MOST_SHARED <= distinct)
		return 0;
	return cvq_explain(reason, CVQ_ERR_CONTENT,
			   "has too many elements that share their memory to be compared");
}

/* Along a dimension of stride 0 on both sides, only the first index counts. */
static bool is_repeated(const struct cvq_tensor *source, const struct cvq_tensor *view,
			uint32_t dimension)
{
	return source->stride[dimension] == 0 && view->stride[dimension] == 0;
}

/* From the last dimension to the first; all have a size of at least 1. */
static cvq_err add_axes(struct cvq_pair *pair, const struct cvq_tensor *source,
			const struct cvq_tensor *view, struct cvq_reason *reason)
{
	uint64_t reach = 1;
	cvq_err err = 0;
	pair->elements = 1;
	for (uint32_t i = source->dimensions; i-- > 0 && !err;) {
		uint64_t size = source->shape[i];
		if (size == 1)
			continue;
		if (is_repeated(source, view, i)) {
			if (__builtin_mul_overflow(pair->repeat, size, &pair->repeat))
				pair->repeat = UINT64_MAX;
			continue;
		}
		const struct cvq_axis axis = {
			.size = size,
			.weight = pair->elements,
			.stride = {source->stride[i], view->stride[i]},
		};
		err = add_axis(pair, &axis, reason);
		reach += (size - 1) * (axis.stride[0] + axis.stride[1]);
		if (__builtin_mul_overflow(pair->elements, size, &pair->elements))
			pair->elements = UINT64_MAX;
	}
	return err ? err : cvq_pair_limit(pair->elements, reach, reason);
}

/* Whether axis 'a' comes before 'b', the larger stride first. */
static bool comes_before(const struct cvq_axis *a, const struct cvq_axis *b, unsigned side)
{
	unsigned other = CVQ_SIDES - 1 - side;
	return a->stride[side] != b->stride[side] ? a->stride[side] > b->stride[side]
						  : a->stride[other] > b->stride[other];
}

/* Puts the axes in the order of the source's side, and lists the view's. */
static void order_axes(struct cvq_pair *pair)
{
	for (unsigned i = 1; i < pair->axis_count; i++) {
		struct cvq_axis axis = pair->axes[i];
		unsigned at = i;
		for (; at > 0 && comes_before(&axis, &pair->axes[at - 1], CVQ_SIDE_SOURCE);
		     at--)
			pair->axes[at] = pair->axes[at - 1];
		pair->axes[at] = axis;
	}
	uint8_t *order = pair->sides[CVQ_SIDE_VIEW].order;
	for (unsigned i = 0; i < pair->axis_count; i++) {
		pair->sides[CVQ_SIDE_SOURCE].order[i] = (uint8_t)i;
		unsigned at = i;
		for (; at > 0 && comes_before(&pair->axes[i], &pair->axes[order[at - 1]],
					      CVQ_SIDE_VIEW);
		     at--)
			order[at] = order[at - 1];
		order[at] = (uint8_t)i;
	}
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Shapes the boxes: wide along the innermost axis of either side. */
static void shape_boxes(struct cvq_pair *pair)
{
	if (pair->axis_count == 0)
		return;
	unsigned largest = pair->sides[0].item_size > pair->sides[1].item_size
				   ? pair->sides[0].item_size
				   : pair->sides[1].item_size;
	uint64_t room = CVQ_PAIR_BOX_BYTES / largest;
	unsigned last = pair->axis_count - 1;
	unsigned views_last = pair->sides[CVQ_SIDE_VIEW].order[last];

	for (unsigned i = 0; i <= last; i++)
		pair->axes[i].box_size = 0;
	if (views_last != last) {
		struct cvq_axis *axis = &pair->axes[views_last];
		axis->box_size = smaller(axis->size, TILE_ELEMENTS);
		room /= axis->box_size;
	}
	for (unsigned i = pair->axis_count; i-- > 0;) {
		struct cvq_axis *axis = &pair->axes[i];
		if (axis->box_size == 0) {
			axis->box_size = smaller(axis->size, room);
			room /= axis->box_size;
		}
		axis->boxes = (axis->size + axis->box_size - 1) / axis->box_size;
		pair->boxes *= axis->boxes;
	}
}

cvq_err cvq_pair_open(struct cvq_pair *pair, const struct cvq_tensor_at *source,
		      const struct cvq_tensor_at *view, struct cvq_reason *reason)
{
	const bool is_bytes = cvq_pair_is_bytes(source) || cvq_pair_is_bytes(view);
	const struct cvq_tensor *tensor = source->tensor;
	*pair = (struct cvq_pair){.boxes = 1, .repeat = 1};
	open_side(&pair->sides[CVQ_SIDE_SOURCE], source, is_bytes);
	open_side(&pair->sides[CVQ_SIDE_VIEW], view, is_bytes);

	cvq_err err = 0;
	uint64_t bytes = record_of(source)->size;
	bool is_empty = is_bytes && bytes == 0;
	for (uint32_t i = 0; i < tensor->dimensions; i++)
		is_empty |= tensor->shape[i] == 0;
	if (is_empty)
		pair->boxes = 0;
	if (is_bytes && bytes != record_of(view)->size)
		err = cvq_explain(reason, CVQ_ERR_CONTENT, "has another length");
	if (err || is_empty)
		return err;
	if (is_bytes) {
		pair->elements = bytes;
		err = add_axis(pair, &(struct cvq_axis){bytes, 1, {1, 1}, 0, 0}, reason);
	} else {
		err = add_axes(pair, tensor, view->tensor, reason);
	}
	if (err)
		return err;
	order_axes(pair);
	shape_boxes(pair);
	return 0;
}

/* ========================================================================== */
/*                                    Boxes                                   */
/* ========================================================================== */

void cvq_pair_box(const struct cvq_pair *pair, uint64_t index, struct cvq_box *box)
{
	box->first[CVQ_SIDE_SOURCE] = box->first[CVQ_SIDE_VIEW] = 0;
	box->position = 0;
	box->elements = 1;
	for (unsigned i = pair->axis_count; i-- > 0;) {
		const struct cvq_axis *axis = &pair->axes[i];
		uint64_t first = index % axis->boxes * axis->box_size;
		index /= axis->boxes;
		box->first[CVQ_SIDE_SOURCE] += first * axis->stride[CVQ_SIDE_SOURCE];
		box->first[CVQ_SIDE_VIEW] += first * axis->stride[CVQ_SIDE_VIEW];
		box->position += first * axis->weight;
		box->size[i] = smaller(axis->box_size, axis->size - first);
		box->elements *= (size_t)box->size[i];
	}
}

uint64_t cvq_pair_position(const struct cvq_pair *pair, const struct cvq_box *box,
			   size_t index)
{
	uint64_t position = box->position;
	for (unsigned i = pair->axis_count; i-- > 0;) {
		position += index % box->size[i] * pair->axes[i].weight;
		index /= box->size[i];
	}
	return position;
}

void cvq_pair_index(const struct cvq_tensor *source, const struct cvq_tensor *view,
		    uint64_t position, uint64_t *index)
{
	for (uint32_t i = source->dimensions; i-- > 0;) {
		uint64_t size = is_repeated(source, view, i) ? 1 : source->shape[i];
		index[i] = position % size;
		position /= size;
	}
}

/* ========================================================================== */
/*                                   Reading                                  */
/* ========================================================================== */

struct gathering {
	const struct cvq_pair *pair;
	const struct cvq_box *box;
	unsigned side;
	uint64_t step[CVQ_PAIR_AXES]; /* of each axis among the box's elements */
	uint8_t *elements, *scratch;
};

/* Copies 'count' elements; steps are in elements. */
static void copy(uint8_t *to, uint64_t to_step, const uint8_t *from, uint64_t from_step,
		 uint64_t count, unsigned item_size)
{
	for (uint64_t i = 0; i < count; i++) {
		memcpy(to, from, item_size);
		to += to_step * item_size;
		from += from_step * item_size;
	}
}

/* Moves the axes from 'level' on, in the side's order, from scratch to their places. */
static void scatter(const struct gathering *gathering, unsigned level, uint64_t from,
		    uint64_t to)
{
	const struct cvq_pair *pair = gathering->pair;
	const struct cvq_pair_side *side = &pair->sides[gathering->side];
	unsigned axis = side->order[level];
	uint64_t size = gathering->box->size[axis];
	uint64_t stride = pair->axes[axis].stride[gathering->side];
	uint64_t step = gathering->step[axis];
	if (level + 1 == pair->axis_count) {
		copy(gathering->elements + to * side->item_size, step,
		     gathering->scratch + from * side->item_size, stride, size,
		     side->item_size);
		return;
	}
	for (uint64_t i = 0; i < size; i++)
		scatter(gathering, level + 1, from + i * stride, to + i * step);
}

static cvq_err read_run(const struct cvq_pair_side *side, void *target, uint64_t element,
			uint64_t count)
{
	return cvq_spill_read(side->spill, side->source, target,
			      (size_t)(count * side->item_size),
			      side->start + element * side->item_size);
}

/*
 * Reads the axes from 'level' on, which begin at 'element' of the side and at 'to' of the
 * box: in one piece where they lie together, else one index after the other.
 */
static cvq_err gather(const struct gathering *gathering, unsigned level, uint64_t element,
		      uint64_t to)
{
	const struct cvq_pair *pair = gathering->pair;
	const struct cvq_pair_side *side = &pair->sides[gathering->side];
	uint64_t count = 1, span = 1;
	bool in_order = true;
	for (unsigned i = level; i < pair->axis_count; i++) {
		unsigned axis = side->order[i];
		uint64_t size = gathering->box->size[axis];
		uint64_t stride = pair->axes[axis].stride[gathering->side];
		count *= size;
		span += (size - 1) * stride;
		in_order &= size == 1 || stride == gathering->step[axis];
	}
	if (in_order && span == count)
		return read_run(side, gathering->elements + to * side->item_size, element,
				count);
	if (span <= CVQ_PAIR_SCRATCH_BYTES / side->item_size &&
	    span / (MOST_BETWEEN + 1) <= count) {
		cvq_err err = read_run(side, gathering->scratch, element, span);
		if (!err)
			scatter(gathering, level, 0, to);
		return err;
	}
	unsigned axis = side->order[level];
	cvq_err err = 0;
	for (uint64_t i = 0; i < gathering->box->size[axis] && !err; i++)
		err = gather(gathering, level + 1,
			     element + i * pair->axes[axis].stride[gathering->side],
			     to + i * gathering->step[axis]);
	return err;
}

cvq_err cvq_pair_read(const struct cvq_pair *pair, const struct cvq_box *box, unsigned side,
		      void *elements, void *scratch)
{
	struct gathering gathering = {
		.pair = pair,
		.box = box,
		.side = side,
		.elements = elements,
		.scratch = scratch,
	};
	uint64_t step = 1;
	for (unsigned i = pair->axis_count; i-- > 0;) {
		gathering.step[i] = step;
		step *= box->size[i];
	}
	cvq_err err = gather(&gathering, 0, box->first[side], 0);
	const struct cvq_pair_side *from = &pair->sides[side];
	if (!err && from->swapped)
		cvq_swap_words(elements, from->word_size,
			       box->elements * (from->item_size / from->word_size));
	return err;
}
