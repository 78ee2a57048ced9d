/* SPDX-License-Identifier: MIT */
/*
 * Which storages of a checkpoint convert, and why the others stay as they are
 */
#ifndef CVQ_IMAGE_SELECTION_H
#define CVQ_IMAGE_SELECTION_H

#include "base/cleanup.h"
#include "checkpoint/checkpoint.h"
#include "policy/policy.h"

enum cvq_fate {
	CVQ_FATE_CONVERTED,
	CVQ_FATE_NOT_FLOAT32,
	CVQ_FATE_NOT_PLAIN, /* not only plain tensors use it */
	CVQ_FATE_KEPT,      /* a pattern keeps a tensor on it */
};

/* What becomes of one storage. */
struct cvq_choice {
	enum cvq_fate fate;
	uint32_t kept_tensor; /* CVQ_FATE_KEPT: the first one that a pattern keeps */
};

struct cvq_selection {
	struct cvq_choice *storages; /* one for each storage of the checkpoint */
	const char **patterns;       /* each tensor's: the one that keeps it, or NULL */
	uint64_t converted;          /* storages */
};

/*
 * Decides about all storages.  Both are borrowed for the selection's life.  Returns 0 or
 * -ENOMEM; release in either case.
 */
cvq_err cvq_selection_make(const struct cvq_checkpoint *checkpoint,
			   const struct cvq_policy *policy,
			   struct cvq_selection *selection);
void cvq_selection_release(struct cvq_selection *selection);

#define cleanup_selection cvq_cleanup(cvq_selection_release)

/* Whether the checkpoint's tensor is converted; if not, says why (unless 'reason' is
 * NULL). */
bool cvq_selection_converts(const struct cvq_selection *selection,
			    const struct cvq_checkpoint *checkpoint, size_t tensor,
			    struct cvq_reason *reason);

#endif
