/* SPDX-License-Identifier: MIT */
/*
 * FP32 -> FP16 and BF16
 *
 * Round to nearest, ties to even.  FP16: |x| >= 65520 becomes infinity or, when
 * clamping, +-65504; NaN becomes sign | 0x7E00 | (mantissa >> 13 & 0x1FF), which
 * is what F16C and Arm's FCVT give.  BF16: NaN becomes sign | 0x7FC0; clamping
 * gives +-0x7F7F.  Clamping includes infinities.  Subnormals are kept.
 *
 * Every kernel gives the same bits for all 2^32 inputs, whatever floating-point
 * modes the calling thread has set (rounding, flush-to-zero, traps); exception flags
 * may be raised.  The portable one is the oracle of the tests.
 */
#ifndef CVQ_NUMERIC_CONVERT_H
#define CVQ_NUMERIC_CONVERT_H

#include <stddef.h>
#include <stdint.h>

#include "cvq/cvq.h"

/*
 * Converts 'count' values: 4 * count bytes in, 2 * count bytes out, in the
 * machine's byte order, of any alignment, not overlapping.
 */
typedef void cvq_convert_function(void *target, const void *source, size_t count);

/* One implementation for one kind of processor. */
struct cvq_kernel {
	const char *name; /* "portable", "f16c", "avx512", "neon" */
	cvq_convert_function *fp16;
	cvq_convert_function *fp16_clamp;
	cvq_convert_function *bf16;
	cvq_convert_function *bf16_clamp;
};

/*
 * All kernels that this processor can run, the portable one first, the best one
 * last; '*count' is at least 1.  Thread-safe; the array is constant.
 */
const struct cvq_kernel *const *cvq_kernels(size_t *count);

/* The best kernel of this processor. */
const struct cvq_kernel *cvq_kernel_best(void);

/* The function of 'kernel' for these settings. */
cvq_convert_function *cvq_kernel_function(const struct cvq_kernel *kernel,
					  enum cvq_dtype dtype, enum cvq_overflow overflow);

#endif
