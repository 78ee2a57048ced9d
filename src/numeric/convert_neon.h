/* SPDX-License-Identifier: MIT */
/*
 * AArch64: NEON, which every such processor has
 *
 * FCVTN rounds as FPCR says, and FPCR can also ask for default NaNs or for the
 * alternative half-precision format, which has no infinities.  In a thread that
 * has set anything but flush-to-zero there (which is harmless: FP32 subnormals
 * are far below the smallest FP16) the portable kernel does the work.
 */
#ifndef CVQ_NUMERIC_CONVERT_NEON_H
#define CVQ_NUMERIC_CONVERT_NEON_H

#include <arm_neon.h>

#define FPCR_FLUSH_TO_ZERO ((uint64_t)1 << 24)

static inline bool modes_are_default(void)
{
	uint64_t fpcr;

	__asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
	return (fpcr & ~FPCR_FLUSH_TO_ZERO) == 0;
}

/* FMIN and FMAX, unlike FMINNM and FMAXNM, let a NaN pass. */
static force_inline float16x4_t fp16x4_neon(const uint8_t *source, bool clamp)
{
	float32x4_t values = vreinterpretq_f32_u8(vld1q_u8(source));

	if (clamp) {
		values = vminq_f32(values, vdupq_n_f32(65504.0f));
		values = vmaxq_f32(values, vdupq_n_f32(-65504.0f));
	}
	return vcvt_f16_f32(values);
}

static force_inline void fp16_block_neon(uint8_t *target, const uint8_t *source, bool clamp)
{
#pragma GCC unroll 4
	for (size_t i = 0; i < BLOCK; i += 8) {
		float16x4_t low = fp16x4_neon(source + 4 * i, clamp);
		float16x4_t high = fp16x4_neon(source + 4 * i + 16, clamp);

		vst1q_u8(target + 2 * i, vreinterpretq_u8_f16(vcombine_f16(low, high)));
	}
}

#define KERNEL        neon
#define ATTRIBUTES    /* part of the base architecture */
#define MODES_ALLOW() modes_are_default()
#include "numeric/convert_template.h"

#undef FPCR_FLUSH_TO_ZERO

#define KERNELS_OF_THE_ARCHITECTURE &kernel_neon

static size_t count_of_the_architecture(void)
{
	return 1;
}

#endif
