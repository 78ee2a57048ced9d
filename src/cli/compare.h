/* SPDX-License-Identifier: MIT */
/*
 * The tensors of a view's checkpoint against our own conversion of the source's
 *
 * Tensors are found by their names and elements by their indices, so the two may be of
 * different formats, and one of them may have been written by another program.
 */
#ifndef CVQ_CLI_COMPARE_H
#define CVQ_CLI_COMPARE_H

#include "cli/element.h"
#include "cli/pair.h"
#include "image/selection.h"
#include "numeric/accuracy.h"

enum cvq_outcome {
	CVQ_OUTCOME_EQUAL,
	CVQ_OUTCOME_VALUES,
	CVQ_OUTCOME_DTYPE,
	CVQ_OUTCOME_SHAPE,
	CVQ_OUTCOME_MISSING,    /* the view has no such tensor */
	CVQ_OUTCOME_SURPLUS,    /* the source has none */
	CVQ_OUTCOME_UNREADABLE, /* the view's bytes, or they cannot be compared */
};

/* Elements that are not what they must be. */
struct cvq_differences {
	uint64_t count;
	uint64_t position; /* of the first one, see cvq_pair_position() */
	uint8_t expected[CVQ_ELEMENT_BYTES], found[CVQ_ELEMENT_BYTES];
};

struct cvq_compared {
	const struct cvq_tensor *source, *view; /* NULL: there is none of the name */
	bool converted;            /* else the source's own bits are expected */
	const char *waived;        /* the pattern that keeps it, but not here; or NULL */
	const char *expected_type; /* "HalfStorage"; NULL without 'source' */
	unsigned expected_size;    /* of an element */
	enum cvq_outcome outcome;
	char *fault; /* the outcome in a sentence without the name; NULL: equal */
	struct cvq_differences differences;
	struct cvq_accuracy accuracy; /* if converted */
	/* NaNs whose bits are not ours: those of other programs are not, and equal all the
	 * same if the sign does (of BF16 in any case: torch itself has both). */
	uint64_t other_nans;
};

/* A checkpoint that is open, and its bytes. */
struct cvq_opened {
	struct cvq_source source;
	struct cvq_checkpoint *checkpoint;
};

/* What is expected of the view. */
struct cvq_rules {
	const struct cvq_policy *policy;
	/* Of the patterns that keep tensors, those that whoever made the view may not have
	 * known; NULL: there are none. */
	const struct cvq_globs *waived;
};

struct cvq_comparison {
	const struct cvq_opened *source, *view; /* borrowed */
	const struct cvq_rules *rules;          /* too */
	struct cvq_selection selection;
	struct cvq_compared *tensors; /* in the source's order, then the surplus */
	size_t count;
	uint64_t faults; /* tensors that are not equal */
};

/* Told now and then, by the calling thread, how many of the source's bytes are done. */
struct cvq_compare_watch {
	void (*report)(void *context, uint64_t done);
	void *context;
};

/*
 * Compares all tensors, on all cores, in memory that does not grow with them.  The view's
 * faults are in the comparison, to be released in any case.
 *
 * Returns 0; -ENOMEM; or what reading the source failed with.
 */
cvq_err cvq_compare(const struct cvq_opened *source, const struct cvq_opened *view,
		    const struct cvq_rules *rules, const struct cvq_compare_watch *watch,
		    struct cvq_comparison *comparison);
void cvq_comparison_release(struct cvq_comparison *comparison);

/* Says why a checkpoint's bytes could not be read. */
const char *cvq_compare_failure(cvq_err err);

/* The index of the first difference.  Returns how many numbers '*index' has, which is to be
 * freed; 0 also if memory ran out. */
size_t cvq_compared_index(const struct cvq_comparison *comparison,
			  const struct cvq_compared *tensor, uint64_t **index);

#endif
