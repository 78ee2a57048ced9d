/* SPDX-License-Identifier: MIT */
/*
 * The conversions in integer arithmetic: what every other kernel has to match
 *
 * Integers, because they have no rounding mode, no flush-to-zero and no traps
 * that the calling program could have set.  There are no branches, so that the
 * compiler can turn a block into vector code for whatever it compiles it for;
 * for BF16 that is as good as anything written by hand, and all kernels use it.
 */
#ifndef CVQ_NUMERIC_CONVERT_PORTABLE_H
#define CVQ_NUMERIC_CONVERT_PORTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define force_inline inline __attribute__((always_inline))

/* A block is what a kernel converts at once: this many values. */
#define BLOCK ((size_t)32)

typedef void block_function(uint8_t *target, const uint8_t *source, bool clamp);

/* Values at any address, in memory that may have been written as another type. */
typedef uint32_t unaligned_u32 __attribute__((aligned(1), may_alias));
typedef uint16_t unaligned_u16 __attribute__((aligned(1), may_alias));

#define FP32_MAGNITUDE 0x7FFFFFFFu /* all except the sign */
#define FP32_INFINITY  0x7F800000u /* magnitudes above are NaN */

static force_inline uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Drops the lowest 'drop' bits (1 to 31): to nearest, ties to even. */
static force_inline uint32_t round_off(uint32_t value, uint32_t drop)
{
	uint32_t almost_half = (1u << (drop - 1)) - 1;
	uint32_t odd = value >> drop & 1;

	return (value + almost_half + odd) >> drop;
}

/*
 * Sign, exponent and mantissa have 1 + 8 + 23 bits in FP32 and 1 + 5 + 10 in
 * FP16, and the exponent's bias is 127 and 15.
 *
 * From 2^-14 on the result is a normal number: subtract the biases' difference
 * from the exponent and round 13 mantissa bits off.  A mantissa that rounds up to
 * the next power of two carries into the exponent, which is just right, and past
 * the largest exponent it gives infinity or more.
 *
 * Below, the result is a multiple of 2^-24: the mantissa with its hidden bit,
 * which counts in units of 2^(exponent - 150), with 126 - exponent bits rounded
 * off.  From 25 bits on nothing is left, so the bound of 31 changes no result.
 */
static force_inline uint32_t fp16_of(uint32_t value, bool clamp)
{
	const uint32_t smallest_normal = 113u << 23;
	const uint32_t rebias = (127u - 15u) << 23;
	uint32_t sign = value >> 16 & 0x8000;
	uint32_t magnitude = value & FP32_MAGNITUDE;
	bool normal = magnitude >= smallest_normal;
	uint32_t hidden = (magnitude & 0x007FFFFF) | 0x00800000;
	uint32_t kept = normal ? magnitude - rebias : hidden;
	uint32_t drop = normal ? 13 : smaller(126 - (magnitude >> 23), 31);
	uint32_t number = smaller(round_off(kept, drop), clamp ? 0x7BFF : 0x7C00);
	uint32_t nan = 0x7E00 | (magnitude >> 13 & 0x01FF);

	return sign | (magnitude > FP32_INFINITY ? nan : number);
}

/*
 * BF16 is the upper half of an FP32, so there is nothing but rounding to do; the
 * sign may take part in it, since the carry out of a finite number ends at infinity.
 */
static force_inline uint32_t bf16_of(uint32_t value, bool clamp)
{
	uint32_t sign = value >> 16 & 0x8000;
	uint32_t number = round_off(value, 16);

	if (clamp)
		number = sign | smaller(number & 0x7FFF, 0x7F7F);
	return (value & FP32_MAGNITUDE) > FP32_INFINITY ? sign | 0x7FC0 : number;
}

static force_inline void fp16_block_portable(uint8_t *restrict target,
					     const uint8_t *restrict source, bool clamp)
{
	unaligned_u16 *halves = (unaligned_u16 *)target;
	const unaligned_u32 *values = (const unaligned_u32 *)source;

	for (size_t i = 0; i < BLOCK; i++)
		halves[i] = (uint16_t)fp16_of(values[i], clamp);
}

static force_inline void bf16_block(uint8_t *restrict target,
				    const uint8_t *restrict source, bool clamp)
{
	unaligned_u16 *halves = (unaligned_u16 *)target;
	const unaligned_u32 *values = (const unaligned_u32 *)source;

	for (size_t i = 0; i < BLOCK; i++)
		halves[i] = (uint16_t)bf16_of(values[i], clamp);
}

#define KERNEL        portable
#define ATTRIBUTES    /* whatever the compiler was told to compile for */
#define MODES_ALLOW() true
#include "numeric/convert_template.h"

#endif
