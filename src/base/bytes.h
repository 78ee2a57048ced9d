/* SPDX-License-Identifier: MIT */
/*
 * The order of bytes: the machine's own, and little-endian integers whatever that is
 */
#ifndef CVQ_BASE_BYTES_H
#define CVQ_BASE_BYTES_H

#include <stdint.h>

#define CVQ_MACHINE_IS_BIG_ENDIAN (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)

static inline void cvq_put_u16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

static inline void cvq_put_u32(uint8_t *p, uint32_t value)
{
	cvq_put_u16(p, (uint16_t)value);
	cvq_put_u16(p + 2, (uint16_t)(value >> 16));
}

static inline void cvq_put_u64(uint8_t *p, uint64_t value)
{
	cvq_put_u32(p, (uint32_t)value);
	cvq_put_u32(p + 4, (uint32_t)(value >> 32));
}

static inline uint16_t cvq_get_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t cvq_get_u32(const uint8_t *p)
{
	return cvq_get_u16(p) | (uint32_t)cvq_get_u16(p + 2) << 16;
}

static inline uint64_t cvq_get_u64(const uint8_t *p)
{
	return cvq_get_u32(p) | (uint64_t)cvq_get_u32(p + 4) << 32;
}

#endif
