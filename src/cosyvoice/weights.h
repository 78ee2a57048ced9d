/* SPDX-License-Identifier: MIT */
/*
 * The weights in a file: the keys that load_state_dict() is given
 *
 * Private to the room.
 */
#ifndef CVQ_COSYVOICE_WEIGHTS_H
#define CVQ_COSYVOICE_WEIGHTS_H

#include "base/source.h"
#include "checkpoint/checkpoint.h"

struct cvq_weight {
	char *name;
	const struct cvq_tensor *tensor; /* NULL: what the key has is no tensor */
};

struct cvq_weights {
	struct cvq_source source;
	struct cvq_checkpoint *checkpoint;
	struct cvq_weight *list; /* in the order of the file; none until names are read */
	size_t count;
};

/*
 * Opens the checkpoint in the file 'fd' of 'size' bytes, which is taken over in any case.
 * Returns as cvq_checkpoint_open().
 */
cvq_err cvq_weights_open(int fd, uint64_t size, struct cvq_weights **weights,
			 struct cvq_reason *reason);
void cvq_weights_close(struct cvq_weights *weights);

/*
 * Reads the names under which load_state_dict() is given the weights.  Returns 0;
 * CVQ_ERR_CONTENT with the reason if they are no dict of names to tensors; -ENOMEM.
 */
cvq_err cvq_weights_read_names(struct cvq_weights *weights, struct cvq_reason *reason);

/*
 * Gives hift's weights the names under which they are loaded: without "generator.", and
 * those of a weight_norm() of before torch 2 as today's.
 */
cvq_err cvq_weights_rename_hift(struct cvq_weights *weights);

/* Whether there is a name with this beginning. */
bool cvq_weights_has_prefix(const struct cvq_weights *weights, const char *prefix);

/* The weight of that name, or NULL. */
const struct cvq_weight *cvq_weights_find(const struct cvq_weights *weights,
					  const char *name);

#endif
