/* SPDX-License-Identifier: MIT */
/*
 * What conversion costs: which numbers leave the range, and how far the others move
 */
#ifndef CVQ_NUMERIC_ACCURACY_H
#define CVQ_NUMERIC_ACCURACY_H

#include <stddef.h>
#include <stdint.h>

#include "cvq/cvq.h"

/*
 * Counts of numbers, and measures of those that are finite both before and after.
 * Zeroed, it stands for no numbers.
 */
struct cvq_accuracy {
	uint64_t count;
	uint64_t overflow;  /* finite, but too large for the type: infinite or clamped */
	uint64_t subnormal; /* subnormal in the type, so less precise */
	uint64_t underflow; /* not zero before, but after */
	uint64_t infinite;  /* before */
	uint64_t nan;
	uint64_t measured;
	double largest_error;          /* |after - before| */
	double largest_relative_error; /* the same by |before|, of all except zeros */
	double error_squares;          /* sums */
	double signal_squares;
};

/* Takes 'count' FP32 numbers and what they were converted to. */
void cvq_accuracy_add(struct cvq_accuracy *accuracy, const float *before,
		      const uint16_t *after, size_t count, enum cvq_dtype dtype);

/* Adds what was found of other numbers. */
void cvq_accuracy_merge(struct cvq_accuracy *accuracy, const struct cvq_accuracy *other);

/* Makes it stand for all of its numbers 'times' times.  Counts end at INT64_MAX. */
void cvq_accuracy_repeat(struct cvq_accuracy *accuracy, uint64_t times);

/* The root of the mean square of the errors; 0 if nothing was measured. */
double cvq_accuracy_rms_error(const struct cvq_accuracy *accuracy);

/* The signal-to-noise ratio in dB; infinite if there is no error, NaN if no signal. */
double cvq_accuracy_snr(const struct cvq_accuracy *accuracy);

#endif
