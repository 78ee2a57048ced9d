/* SPDX-License-Identifier: MIT */
#include "numeric/accuracy.h"

#include <math.h>
#include <stdbool.h>

#include "numeric/widen.h"

/* Magnitudes from here on overflow the type (as FP32 bits, in which NaN come last). */
#define FP16_OVERFLOW 0x477FF000u /* 65520 */
#define BF16_OVERFLOW 0x7F7F8000u

#define FP32_MAGNITUDE 0x7FFFFFFFu
#define FP32_INFINITY  0x7F800000u

/* Counts a number whose magnitude is beyond the type's.  Returns whether its error can be
 * measured. */
static bool count_large(struct cvq_accuracy *accuracy, uint32_t magnitude, float after)
{
	if (magnitude > FP32_INFINITY)
		accuracy->nan++;
	else if (magnitude == FP32_INFINITY)
		accuracy->infinite++;
	else
		accuracy->overflow++;
	return magnitude < FP32_INFINITY && isfinite(after);
}

static void measure(struct cvq_accuracy *accuracy, double before, double after)
{
	double signal = fabs(before);
	double error = fabs(after - before);
	accuracy->measured++;
	accuracy->signal_squares += signal * signal;
	if (error == 0)
		return;
	accuracy->error_squares += error * error;
	if (error > accuracy->largest_error)
		accuracy->largest_error = error;
	if (error > accuracy->largest_relative_error * signal)
		accuracy->largest_relative_error = error / signal;
}

void cvq_accuracy_add(struct cvq_accuracy *accuracy, const float *before,
		      const uint16_t *after, size_t count, enum cvq_dtype dtype)
{
	const uint32_t overflow = dtype == CVQ_FP16 ? FP16_OVERFLOW : BF16_OVERFLOW;
	const uint16_t normal = dtype == CVQ_FP16 ? 0x0400 : 0x0080;

	accuracy->count += count;
	for (size_t i = 0; i < count; i++) {
		uint32_t magnitude = cvq_bits_of_float(before[i]) & FP32_MAGNITUDE;
		float value = cvq_widen(after[i], dtype);
		if (magnitude >= overflow && !count_large(accuracy, magnitude, value))
			continue;
		uint16_t size = after[i] & 0x7FFF;
		accuracy->subnormal += size < normal && size > 0;
		accuracy->underflow += size == 0 && magnitude > 0;
		measure(accuracy, before[i], value);
	}
}

void cvq_accuracy_merge(struct cvq_accuracy *accuracy, const struct cvq_accuracy *other)
{
	accuracy->count += other->count;
	accuracy->overflow += other->overflow;
	accuracy->subnormal += other->subnormal;
	accuracy->underflow += other->underflow;
	accuracy->infinite += other->infinite;
	accuracy->nan += other->nan;
	accuracy->measured += other->measured;
	accuracy->largest_error = fmax(accuracy->largest_error, other->largest_error);
	accuracy->largest_relative_error =
		fmax(accuracy->largest_relative_error, other->largest_relative_error);
	accuracy->error_squares += other->error_squares;
	accuracy->signal_squares += other->signal_squares;
}

void cvq_accuracy_repeat(struct cvq_accuracy *accuracy, uint64_t times)
{
	uint64_t *const counts[] = {&accuracy->count,     &accuracy->overflow,
				    &accuracy->subnormal, &accuracy->underflow,
				    &accuracy->infinite,  &accuracy->nan,
				    &accuracy->measured};
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		if (__builtin_mul_overflow(*counts[i], times, counts[i]) ||
		    *counts[i] > INT64_MAX)
			*counts[i] = INT64_MAX;
	accuracy->error_squares *= (double)times;
	accuracy->signal_squares *= (double)times;
}

double cvq_accuracy_rms_error(const struct cvq_accuracy *accuracy)
{
	return accuracy->measured
		       ? sqrt(accuracy->error_squares / (double)accuracy->measured)
		       : 0;
}

double cvq_accuracy_snr(const struct cvq_accuracy *accuracy)
{
	if (accuracy->signal_squares == 0)
		return NAN;
	return 10 * log10(accuracy->signal_squares / accuracy->error_squares);
}
