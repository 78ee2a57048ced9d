/* SPDX-License-Identifier: MIT */
/*
 * x86: F16C with AVX2, and AVX-512
 *
 * VCVTPS2PH is the definition in hardware: the rounding is part of the
 * instruction, and neither flush-to-zero nor denormals-are-zero of MXCSR changes a
 * result, as every FP32 subnormal is far below the smallest FP16.  What remains is
 * that a program can have asked for a trap (SIGFPE) on overflow, underflow or
 * inexact results; then the portable kernel does the work.
 *
 * To clamp, the limits are the first operand of MIN and MAX: if one operand is a
 * NaN these yield the second, so NaN passes unchanged.
 */
#ifndef CVQ_NUMERIC_CONVERT_X86_H
#define CVQ_NUMERIC_CONVERT_X86_H

#include <cpuid.h>
#include <immintrin.h>

#define FP16_LARGEST 65504.0f

static inline bool no_traps(void)
{
	return (_mm_getcsr() & _MM_MASK_MASK) == _MM_MASK_MASK;
}

static force_inline __attribute__((target("avx2,f16c"))) void
fp16_block_f16c(uint8_t *target, const uint8_t *source, bool clamp)
{
	const __m256 largest = _mm256_set1_ps(FP16_LARGEST);
	const __m256 lowest = _mm256_set1_ps(-FP16_LARGEST);

#pragma GCC unroll 4
	for (size_t i = 0; i < BLOCK; i += 8) {
		__m256 values =
			_mm256_loadu_ps((const float *)(const void *)(source + 4 * i));

		if (clamp)
			values = _mm256_max_ps(lowest, _mm256_min_ps(largest, values));
		_mm_storeu_si128((__m128i *)(void *)(target + 2 * i),
				 _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
	}
}

#define KERNEL        f16c
#define ATTRIBUTES    __attribute__((target("avx2,f16c")))
#define MODES_ALLOW() no_traps()
#include "numeric/convert_template.h"

static force_inline __attribute__((target("avx512f,avx512bw,avx512vl"))) void
fp16_block_avx512(uint8_t *target, const uint8_t *source, bool clamp)
{
	const __m512 largest = _mm512_set1_ps(FP16_LARGEST);
	const __m512 lowest = _mm512_set1_ps(-FP16_LARGEST);

#pragma GCC unroll 2
	for (size_t i = 0; i < BLOCK; i += 16) {
		__m512 values = _mm512_loadu_ps(source + 4 * i);

		if (clamp)
			values = _mm512_max_ps(lowest, _mm512_min_ps(largest, values));
		_mm256_storeu_si256((__m256i *)(void *)(target + 2 * i),
				    _mm512_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
	}
}

#define KERNEL        avx512
#define ATTRIBUTES    __attribute__((target("avx512f,avx512bw,avx512vl")))
#define MODES_ALLOW() no_traps()
#include "numeric/convert_template.h"

#undef FP16_LARGEST

#define KERNELS_OF_THE_ARCHITECTURE &kernel_f16c, &kernel_avx512

/* Older versions of clang have no name for F16C in __builtin_cpu_supports(). */
static bool has_f16c(void)
{
#ifdef __clang__
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
#else
	return __builtin_cpu_supports("f16c");
#endif
}

/*
 * How many of these the processor runs and the operating system allows.  The
 * compiler's run-time library asks the processor once, when the program starts.
 *
 * AVX-512 is used where it comes with VBMI2, from Ice Lake and Zen 4 on: older
 * processors slow all code on the core down when they see 512-bit registers.
 */
static size_t count_of_the_architecture(void)
{
	if (!__builtin_cpu_supports("avx2") || !has_f16c())
		return 0;
	if (!__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl") ||
	    !__builtin_cpu_supports("avx512vbmi2"))
		return 1;
	return 2;
}

#endif
