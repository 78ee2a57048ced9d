/* SPDX-License-Identifier: MIT */
/*
 * CRC-32, and the four bytes that make it what one wants
 *
 * A CRC is a polynomial over GF(2), reduced modulo P.  For the bytes A followed
 * by B,
 *
 *	crc(A || B) = crc(A) * x^(8 * length of B) + crc(B)			(1)
 *
 * where + is exclusive or.  zlib calls the factor x^(8n) an operator, finds it in
 * O(log n) steps and multiplies by it.
 *
 * CRC-32's P is primitive: the powers of x run through all 2^32 - 1 nonzero
 * remainders before they repeat.  So x^(-8n) is the operator of the length
 * 2^32 - 1 - n: multiplying by it takes n zero bytes back.  And lengths count
 * modulo 2^32 - 1, which keeps them within any zlib's offset type.
 *
 * Now the seal.  Four bytes are one 32-bit word S in the order of CRC-32's bits
 * (little-endian), and the CRC starts from and ends with an inversion, all ones:
 *
 *	crc(S) = (S + ones) * x^32 + ones					(2)
 *
 * With (1) twice, CRC(A || S || B) = T says
 *
 *	(crc(A) * x^32 + crc(S)) * x^(8b) + crc(B) = T
 *
 * and with (2), solved for S,
 *
 *	S = (T + crc(B)) * x^(-8(b + 4)) + crc(A) + ones + ones * x^-32
 *
 * The last two terms are constant; by the same formula they are the four bytes
 * whose own CRC is 0.
 */
#include "numeric/crc32.h"

#include <libdeflate.h>
#include <zlib.h>

#include "base/bytes.h"

#if defined(__x86_64__) && LIBDEFLATE_VERSION_MAJOR == 1 && LIBDEFLATE_VERSION_MINOR < 20
#include "numeric/crc32_x86.h"
#endif

#define ORDER_OF_X     0xFFFFFFFFu /* 2^32 - 1 */
#define SEAL_OF_ZERO   0x6DD90A9Du
#define LENGTH_OF_SEAL 4

_Static_assert(sizeof(z_off_t) == 8, "zlib must take lengths of 64 bits");

/* x^(8 * length), for any length that has been reduced to less than 2^32. */
static uint32_t power_of_x(uint64_t length)
{
	return (uint32_t)crc32_combine_gen((z_off_t)length);
}

/* zlib's combination is multiplication, then addition of the second CRC. */
static uint32_t multiply(uint32_t value, uint32_t power)
{
	return (uint32_t)crc32_combine_op(value, 0, power);
}

uint32_t cvq_crc32(uint32_t crc, const void *data, size_t length)
{
#ifdef FOLD_BYTES
	size_t head = length - length % FOLD_BYTES;
	if (head > 0 && crc32_folds()) {
		uint8_t folded[16];
		fold_crc32(folded, crc, data, head);
		/* As if all ones, which libdeflate inverts, were the CRC before. */
		crc = libdeflate_crc32(UINT32_MAX, folded, sizeof(folded));
		data = (const uint8_t *)data + head;
		length -= head;
	}
#endif
	/* libdeflate takes a NULL pointer for a request of the initial value. */
	return length ? libdeflate_crc32(crc, data, length) : crc;
}

uint32_t cvq_crc32_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b)
{
	return multiply(crc_a, power_of_x(length_b % ORDER_OF_X)) ^ crc_b;
}

/* Multiplication is linear, so 32 products give all of them. */
void cvq_crc32_shift_prepare(struct cvq_crc32_shift *shift, uint64_t length_b)
{
	uint32_t power = power_of_x(length_b % ORDER_OF_X);
	for (unsigned i = 0; i < 4; i++) {
		uint32_t *byte = shift->bytes[i];
		byte[0] = 0;
		for (unsigned value = 1; value < 256; value++) {
			unsigned rest = value & (value - 1);
			byte[value] = rest ? byte[rest] ^ byte[value ^ rest]
					   : multiply(value << 8 * i, power);
		}
	}
}

void cvq_crc32_forge(uint8_t seal[4], uint32_t crc_a, uint32_t crc_b, uint64_t length_b,
		     uint32_t target)
{
	uint64_t behind_a = length_b % ORDER_OF_X + LENGTH_OF_SEAL;
	uint64_t back = (2ull * ORDER_OF_X - behind_a) % ORDER_OF_X;

	cvq_put_u32(seal,
		    multiply(target ^ crc_b, power_of_x(back)) ^ crc_a ^ SEAL_OF_ZERO);
}
