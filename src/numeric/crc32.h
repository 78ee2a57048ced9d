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
 * The same for many B of one length: derive the operator once, apply it often.
 */
uint32_t cvq_crc32_combine_operator(uint64_t length_b);
uint32_t cvq_crc32_combine_apply(uint32_t crc_a, uint32_t crc_b, uint32_t combine_operator);

/*
 * Computes the four bytes 'seal' for which
 *	CRC-32(A || seal || B) == target,
 * given the CRC of A, the CRC of B alone, and the length of B in bytes.
 */
void cvq_crc32_forge(uint8_t seal[4], uint32_t crc_a, uint32_t crc_b, uint64_t length_b,
		     uint32_t target);

#endif
