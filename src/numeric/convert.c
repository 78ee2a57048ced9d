/* SPDX-License-Identifier: MIT */
/*
 * The choice of a conversion kernel
 *
 * convert_portable.h defines the conversions; the header of an architecture adds
 * kernels that are faster, and says how many of them this processor can run.
 */
#include "numeric/convert.h"

#include <string.h>

#include "numeric/convert_portable.h"

#if defined(__x86_64__) || defined(__i386__)
#include "numeric/convert_x86.h"
#elif defined(__AARCH64EL__) && defined(__ARM_NEON)
#include "numeric/convert_neon.h"
#else
#define KERNELS_OF_THE_ARCHITECTURE
static size_t count_of_the_architecture(void)
{
	return 0;
}
#endif

/* Each needs more of the processor than the one before it. */
static const struct cvq_kernel *const kernels[] = {&kernel_portable,
						   KERNELS_OF_THE_ARCHITECTURE};

const struct cvq_kernel *const *cvq_kernels(size_t *count)
{
	*count = 1 + count_of_the_architecture();
	return kernels;
}

const struct cvq_kernel *cvq_kernel_best(void)
{
	return kernels[count_of_the_architecture()];
}

cvq_convert_function *cvq_kernel_function(const struct cvq_kernel *kernel,
					  enum cvq_dtype dtype, enum cvq_overflow overflow)
{
	bool clamp = overflow == CVQ_OVERFLOW_CLAMP;

	if (dtype == CVQ_BF16)
		return clamp ? kernel->bf16_clamp : kernel->bf16;
	return clamp ? kernel->fp16_clamp : kernel->fp16;
}

/* ========================================================================== */
/*                                 Public API                                 */
/* ========================================================================== */

void cvq_convert(void *target, const void *source, size_t count, enum cvq_dtype dtype,
		 enum cvq_overflow overflow)
{
	cvq_kernel_function(cvq_kernel_best(), dtype, overflow)(target, source, count);
}

const char *cvq_kernel_name(void)
{
	return cvq_kernel_best()->name;
}
