/* SPDX-License-Identifier: MIT */
/*
 * Which tensors of two checkpoints are to be equal, and in which form
 */
#ifndef CVQ_CLI_MATCHING_H
#define CVQ_CLI_MATCHING_H

#include "cli/compare.h"

/*
 * Finds for each of the source's tensors the view's of the same name (where several have
 * one name, the first for the first) and says what is expected of it.  The selection is
 * made.  Returns 0 or -ENOMEM.
 */
cvq_err cvq_match_tensors(struct cvq_comparison *comparison);

#endif
