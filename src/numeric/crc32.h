/* SPDX-License-Identifier: MIT */
/*
 * CRC-32 as zip uses it (polynomial 0xEDB88320, reflected)
 */
#ifndef CVQ_NUMERIC_CRC32_H
#define CVQ_NUMERIC_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of 'length' bytes that follow bytes whose CRC is 'crc' (0 for none). */
uint32_t cvq_crc32(uint32_t crc, const void *data, size_t length);

/* The CRC of A followed by B, given the CRC of each and the length of B. */
uint32_t cvq_crc32_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b);

/*
 * The same for many B of one length: what each byte of the CRC of A comes to once as many
 * bytes have followed.  To prepare it takes as long as some ten cvq_crc32_combine().
 */
struct cvq_crc32_shift {
	uint32_t bytes[4][256];
};

void cvq_crc32_shift_prepare(struct cvq_crc32_shift *shift, uint64_t length_b);

static inline uint32_t cvq_crc32_shift(const struct cvq_crc32_shift *shift, uint32_t crc_a,
				       uint32_t crc_b)
{
	return shift->bytes[0][crc_a & 0xFF] ^ shift->bytes[1][crc_a >> 8 & 0xFF] ^
	       shift->bytes[2][crc_a >> 16 & 0xFF] ^ shift->bytes[3][crc_a >> 24] ^ crc_b;
}

/*
 * Computes the four bytes 'seal' for which
 *	CRC-32(A || seal || B) == target,
 * given the CRC of A, the CRC of B alone, and the length of B in bytes.
 */
void cvq_crc32_forge(uint8_t seal[4], uint32_t crc_a, uint32_t crc_b, uint64_t length_b,
		     uint32_t target);

#endif
