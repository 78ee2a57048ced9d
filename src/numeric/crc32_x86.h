/* SPDX-License-Identifier: MIT */
/*
 * x86: CRC-32 with VPCLMULQDQ, which libdeflate has since its version 1.20
 *
 * Without it, the CRCs of a stream cost two to three times what its conversion costs.
 *
 * As a polynomial, 256 bytes A in front of 256 bytes B are worth A * x^2048 + B.  Four
 * registers hold A; multiplied by x^2048 mod P it is added to the next 256 bytes,
 * and so on.  A carry-less multiplication takes 64 bits by 32: so each half of
 * every 128 bits is multiplied by its own power, and the products are 32 bits short of
 * where the next ones begin.  As CRC-32 reflects its bits, a power is reflected,
 * and moved up by one as the product of two reflected factors is one bit short.
 *
 * Fact: Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
 * Instruction", Intel 2009.
 */
#ifndef CVQ_NUMERIC_CRC32_X86_H
#define CVQ_NUMERIC_CRC32_X86_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What fold_crc32() takes is a multiple of this, and at least as much. */
#define FOLD_BYTES 256

/* reflect(x^n mod P) << 1, for folding by d bits: n = d + 32 and n = d - 32. */
#define X_2080 0x11542778a
#define X_2016 0x1322d1430
#define X_544  0x154442bd4
#define X_480  0x1c6e41596
#define X_160  0x1751997d0
#define X_96   0x0ccaa009e

#define ATTRIBUTES __attribute__((target("avx512f,pclmul,vpclmulqdq")))

static bool crc32_folds(void)
{
	return __builtin_cpu_supports("avx512vbmi2") &&
	       __builtin_cpu_supports("vpclmulqdq");
}

/* 'sum', moved on by as many bits as 'powers' are for, and 'next'. */
static inline ATTRIBUTES __m512i fold_512(__m512i sum, __m512i powers, __m512i next)
{
	__m512i low = _mm512_clmulepi64_epi128(sum, powers, 0x00);
	__m512i high = _mm512_clmulepi64_epi128(sum, powers, 0x11);
	return _mm512_xor_si512(_mm512_xor_si512(low, high), next);
}

static inline ATTRIBUTES __m128i fold_128(__m128i sum, __m128i powers, __m128i next)
{
	__m128i low = _mm_clmulepi64_si128(sum, powers, 0x00);
	__m128i high = _mm_clmulepi64_si128(sum, powers, 0x11);
	return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/* Reduces 'length' bytes after 'crc' to 16 bytes of the same CRC if that starts from a
 * register of 0, not of all ones. */
static ATTRIBUTES void fold_crc32(uint8_t folded[16], uint32_t crc, const uint8_t *data,
				  size_t length)
{
	const __m512i by_2048 = _mm512_broadcast_i32x4(_mm_set_epi64x(X_2016, X_2080));
	const __m512i by_512 = _mm512_broadcast_i32x4(_mm_set_epi64x(X_480, X_544));
	const __m128i by_128 = _mm_set_epi64x(X_96, X_160);
	__m512i sums[4];

	for (size_t i = 0; i < 4; i++)
		sums[i] = _mm512_loadu_si512(data + 64 * i);
	__m512i before = _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)~crc));
	sums[0] = _mm512_xor_si512(sums[0], before);
	for (size_t done = FOLD_BYTES; done < length; done += FOLD_BYTES)
		for (size_t i = 0; i < 4; i++)
			sums[i] = fold_512(sums[i], by_2048,
					   _mm512_loadu_si512(data + done + 64 * i));

	__m512i sum = sums[0];
	for (size_t i = 1; i < 4; i++)
		sum = fold_512(sum, by_512, sums[i]);
	__m128i last = _mm512_extracti32x4_epi32(sum, 0);
	last = fold_128(last, by_128, _mm512_extracti32x4_epi32(sum, 1));
	last = fold_128(last, by_128, _mm512_extracti32x4_epi32(sum, 2));
	last = fold_128(last, by_128, _mm512_extracti32x4_epi32(sum, 3));
	_mm_storeu_si128((__m128i *)(void *)folded, last);
}

#undef ATTRIBUTES

#endif
