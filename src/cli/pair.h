/* SPDX-License-Identifier: MIT */
/*
 * Two tensors of one shape, walked through together
 *
 * An element is found by its index, wherever offset and strides put it on either side.
 * The walk goes from box to box: a box is a range of indices in each dimension that fits
 * a buffer, and is shaped so that both sides read runs of their file, not elements.
 */
#ifndef CVQ_CLI_PAIR_H
#define CVQ_CLI_PAIR_H

#include "checkpoint/checkpoint.h"

/* Dimensions that torch itself allows. */
#define CVQ_PAIR_AXES 64

/* Buffers of whoever walks: one of the first size for each side, and one to share. */
#define CVQ_PAIR_BOX_BYTES     (256u << 10)
#define CVQ_PAIR_SCRATCH_BYTES (1u << 20)

/* A tensor of an open checkpoint. */
struct cvq_tensor_at {
	const struct cvq_checkpoint *checkpoint;
	const struct cvq_source *source; /* of the checkpoint's bytes */
	const struct cvq_tensor *tensor;
};

enum { CVQ_SIDE_SOURCE, CVQ_SIDE_VIEW, CVQ_SIDES };

struct cvq_pair_side {
	struct cvq_spill *spill;
	const struct cvq_source *source;
	uint64_t start; /* of the first element, for cvq_spill_read() */
	unsigned item_size;
	unsigned word_size;
	bool swapped;                 /* the machine's byte order is the other one */
	uint8_t order[CVQ_PAIR_AXES]; /* the axes, the one of the largest stride first */
};

/* A dimension, or several that lie behind each other on both sides. */
struct cvq_axis {
	uint64_t size;
	uint64_t weight;            /* of its index in an element's cvq_pair_position() */
	uint64_t stride[CVQ_SIDES]; /* in elements */
	uint64_t box_size;
	uint64_t boxes;
};

struct cvq_pair {
	struct cvq_pair_side sides[CVQ_SIDES];
	struct cvq_axis axes[CVQ_PAIR_AXES]; /* as the source's side has them in order */
	unsigned axis_count;
	uint64_t boxes;
	uint64_t elements; /* in all boxes */
	/* How many indices each element walked through stands for: along a dimension of
	 * stride 0 on both sides (an expanded tensor) only the first one is looked at. */
	uint64_t repeat;
};

struct cvq_box {
	uint64_t first[CVQ_SIDES]; /* elements from the side's start */
	uint64_t position;
	uint64_t size[CVQ_PAIR_AXES];
	size_t elements;
};

/*
 * Prepares the walk.  Both tensors have one shape; what is referred to is borrowed.
 * Returns 0, or CVQ_ERR_CONTENT with the reason if they cannot be compared.
 */
cvq_err cvq_pair_open(struct cvq_pair *pair, const struct cvq_tensor_at *source,
		      const struct cvq_tensor_at *view, struct cvq_reason *reason);

/*
 * Tensors whose elements share their memory can have more of them than can ever be
 * compared.  Returns 0, or CVQ_ERR_CONTENT with the reason if 'elements' are too many for
 * a storage of 'distinct' ones.
 */
cvq_err cvq_pair_limit(uint64_t elements, uint64_t distinct, struct cvq_reason *reason);

/* Whether the tensor's elements have no size in bytes of their own: then it is walked
 * through as a vector of bytes. */
bool cvq_pair_is_bytes(const struct cvq_tensor_at *at);

/* Finds box number 'index'. */
void cvq_pair_box(const struct cvq_pair *pair, uint64_t index, struct cvq_box *box);

/*
 * Reads the elements of a box on one side, in the machine's byte order and in the same
 * order for both sides.  Returns 0 or what cvq_spill_read() failed with.
 */
cvq_err cvq_pair_read(const struct cvq_pair *pair, const struct cvq_box *box, unsigned side,
		      void *elements, void *scratch);

/*
 * The number of the box's element 'index' if all elements of the tensor were counted in
 * the order of their indices, the last dimension first; where pair->repeat is not 1, as
 * if its dimensions of stride 0 had the size 1.
 */
uint64_t cvq_pair_position(const struct cvq_pair *pair, const struct cvq_box *box,
			   size_t index);

/* The index of the element at a position: fills one number for each dimension. */
void cvq_pair_index(const struct cvq_tensor *source, const struct cvq_tensor *view,
		    uint64_t position, uint64_t *index);

#endif
