/* SPDX-License-Identifier: MIT */
/*
 * FP16 and BF16 -> FP32, which holds each of their numbers exactly
 */
#ifndef CVQ_NUMERIC_WIDEN_H
#define CVQ_NUMERIC_WIDEN_H

#include <stdint.h>
#include <string.h>

#include "cvq/cvq.h"

static inline float cvq_float_of_bits(uint32_t bits)
{
	float value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static inline uint32_t cvq_bits_of_float(float value)
{
	uint32_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static inline float cvq_widen_fp16(uint16_t half)
{
	uint32_t sign = (uint32_t)(half & 0x8000) << 16;
	uint32_t magnitude = (uint32_t)(half & 0x7FFF) << 13;
	if (magnitude >= 0x7C00u << 13) /* infinity and NaN */
		return cvq_float_of_bits(sign | 0x7F800000 | magnitude);
	/* The exponent's bias is 112 less; multiplying also makes subnormals normal. */
	uint32_t bits = cvq_bits_of_float(cvq_float_of_bits(magnitude) * 0x1p112f);
	return cvq_float_of_bits(sign | bits);
}

static inline float cvq_widen_bf16(uint16_t half)
{
	return cvq_float_of_bits((uint32_t)half << 16);
}

static inline float cvq_widen(uint16_t half, enum cvq_dtype dtype)
{
	return dtype == CVQ_FP16 ? cvq_widen_fp16(half) : cvq_widen_bf16(half);
}

#endif
