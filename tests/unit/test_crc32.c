/* SPDX-License-Identifier: MIT */
/*
 * CRC-32: the sum itself, sums put together, and sums made to order
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "fixture.h"
#include "numeric/crc32.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define MEBIBYTE      ((size_t)1 << 20)
#define GIBIBYTE      ((uint64_t)1 << 30)
#define ORDER_OF_X    0xFFFFFFFFu /* multiplying by x so often changes nothing */

/* Marsaglia's xorshift: the same values in every run. */
static uint32_t random_bits(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 32);
}

static uint8_t *random_bytes(size_t length, uint64_t seed)
{
	uint8_t *bytes = malloc(length);

	assert_non_null(bytes);
	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)random_bits(&seed);
	return bytes;
}

/* The CRC after 'length' zero bytes more, by going through all of them. */
static uint32_t crc_of_zeros(uint32_t crc, uint64_t length)
{
	cleanup_free uint8_t *zeros = calloc(1, MEBIBYTE);

	assert_non_null(zeros);
	for (; length > MEBIBYTE; length -= MEBIBYTE)
		crc = cvq_crc32(crc, zeros, MEBIBYTE);
	return cvq_crc32(crc, zeros, (size_t)length);
}

/* ========================================================================== */
/*                                   The sum                                  */
/* ========================================================================== */

static void the_published_check_values_come_out(void **state)
{
	uint8_t bytes[32];

	(void)state;
	assert_int_equal(cvq_crc32(0, "", 0), 0);
	assert_int_equal(cvq_crc32(0, NULL, 0), 0);
	assert_int_equal(cvq_crc32(0, "a", 1), 0xE8B7BE43);
	assert_int_equal(cvq_crc32(0, "123456789", 9), 0xCBF43926);
	memset(bytes, 0x00, sizeof(bytes));
	assert_int_equal(cvq_crc32(0, bytes, sizeof(bytes)), 0x190A55AD);
	memset(bytes, 0xFF, sizeof(bytes));
	assert_int_equal(cvq_crc32(0, bytes, sizeof(bytes)), 0xFF6CAB0B);
}

static void zlib_agrees_on_any_length_and_alignment(void **state)
{
	cleanup_free uint8_t *bytes = random_bytes(5000, 1);

	(void)state;
	for (size_t offset = 0; offset < 64; offset++)
		for (size_t length = 0; length < 4900; length += 1 + length / 8)
			assert_int_equal(cvq_crc32(0, bytes + offset, length),
					 crc32(0, bytes + offset, (uInt)length));
}

static void a_sum_can_be_continued_at_any_byte(void **state)
{
	cleanup_free uint8_t *bytes = random_bytes(1000, 2);
	uint32_t whole = cvq_crc32(0, bytes, 1000);

	(void)state;
	for (size_t i = 0; i <= 1000; i++)
		assert_int_equal(cvq_crc32(cvq_crc32(0, bytes, i), bytes + i, 1000 - i),
				 whole);
	assert_int_equal(cvq_crc32(whole, NULL, 0), whole);
}

/* ========================================================================== */
/*                              Sums put together                             */
/* ========================================================================== */

static void two_sums_combine_to_the_sum_of_the_whole(void **state)
{
	const size_t length = 140000;
	cleanup_free uint8_t *bytes = random_bytes(length, 3);
	uint32_t whole = cvq_crc32(0, bytes, length);

	(void)state;
	for (size_t i = 0; i <= length; i += 1 + i / 4) {
		uint32_t crc_a = cvq_crc32(0, bytes, i);
		uint32_t crc_b = cvq_crc32(0, bytes + i, length - i);

		assert_int_equal(cvq_crc32_combine(crc_a, crc_b, length - i), whole);
	}
	assert_int_equal(cvq_crc32_combine(0, whole, length), whole);
	assert_int_equal(cvq_crc32_combine(whole, 0, 0), whole);
}

static void lengths_beyond_4_gib_combine(void **state)
{
	const uint64_t length = 4 * GIBIBYTE + MEBIBYTE + 3;
	const uint32_t crc_a = 0xDEADBEEF;

	(void)state;
	assert_int_equal(cvq_crc32_combine(crc_a, crc_of_zeros(0, length), length),
			 crc_of_zeros(crc_a, length));
}

/* Combining with a length of n, then m, is combining with n + m. */
static void any_lengths_combine_consistently(void **state)
{
	const uint64_t lengths[] = {
		0,          1,           0x7FFFFFFF,     0x80000000, 0xFFFFFFFE,
		0xFFFFFFFF, 0x100000000, 0x123456789ABC, 1ull << 62, (1ull << 63) - 1};

	(void)state;
	for (size_t i = 0; i < LENGTH(lengths); i++) {
		for (size_t j = 0; j < LENGTH(lengths); j++) {
			uint64_t both = lengths[i] + lengths[j];
			uint32_t crc = cvq_crc32_combine(0xDEADBEEF, 0, lengths[i]);

			assert_int_equal(cvq_crc32_combine(crc, 0x12345678, lengths[j]),
					 cvq_crc32_combine(0xDEADBEEF, 0x12345678, both));
		}
	}
}

static void a_prepared_length_combines_the_same(void **state)
{
	const uint64_t lengths[] = {0, 1, 4096, 0xFFFFFFFF, 0x123456789ABC};
	uint64_t seed = 5;

	(void)state;
	for (size_t i = 0; i < LENGTH(lengths); i++) {
		struct cvq_crc32_shift shift;
		cvq_crc32_shift_prepare(&shift, lengths[i]);
		for (int round = 0; round < 1000; round++) {
			uint32_t crc_a = random_bits(&seed);
			uint32_t crc_b = random_bits(&seed);
			assert_int_equal(cvq_crc32_shift(&shift, crc_a, crc_b),
					 cvq_crc32_combine(crc_a, crc_b, lengths[i]));
		}
	}
}

static void zlib_agrees_on_long_lengths(void **state)
{
	uint64_t seed = 4;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t length = (uint64_t)random_bits(&seed) << (i % 31);
		uint32_t crc_a = random_bits(&seed);
		uint32_t crc_b = random_bits(&seed);

		assert_int_equal(cvq_crc32_combine(crc_a, crc_b, length),
				 crc32_combine(crc_a, crc_b, (z_off_t)length));
	}
}

/* The forging rests on this: 2^32 - 1 is the least power of x that is 1. */
static void the_polynomial_is_primitive(void **state)
{
	const uint32_t primes[] = {3, 5, 17, 257, 65537}; /* of 2^32 - 1 */
	const uint32_t crc = 1;

	(void)state;
	assert_int_equal((uint32_t)crc32_combine_gen(ORDER_OF_X),
			 (uint32_t)crc32_combine_gen(0));
	for (size_t i = 0; i < LENGTH(primes); i++)
		assert_int_not_equal(cvq_crc32_combine(crc, 0, ORDER_OF_X / primes[i]),
				     crc);
}

/* ========================================================================== */
/*                             Sums made to order                             */
/* ========================================================================== */

static const uint32_t targets[] = {0x00000000, 0xFFFFFFFF, 0x00000001,
				   0x80000000, 0xCBF43926, 0x12345678};

static void a_seal_gives_the_bytes_around_it_any_sum(void **state)
{
	const size_t lengths_a[] = {0, 1, 2, 1000, 4096};
	const size_t lengths_b[] = {0, 1, 2, 3, 4, 4095, 4096, 135168};
	cleanup_free uint8_t *a = random_bytes(4096, 5);
	cleanup_free uint8_t *b = random_bytes(135168, 6);
	uint64_t seed = 7;

	(void)state;
	for (size_t i = 0; i < LENGTH(lengths_a); i++) {
		for (size_t j = 0; j < LENGTH(lengths_b); j++) {
			uint32_t crc_a = cvq_crc32(0, a, lengths_a[i]);
			uint32_t crc_b = cvq_crc32(0, b, lengths_b[j]);

			for (size_t k = 0; k < LENGTH(targets) + 50; k++) {
				uint32_t target = k < LENGTH(targets) ? targets[k]
								      : random_bits(&seed);
				uint8_t seal[4];
				uint32_t crc;

				cvq_crc32_forge(seal, crc_a, crc_b, lengths_b[j], target);
				crc = cvq_crc32(crc_a, seal, sizeof(seal));
				crc = cvq_crc32(crc, b, lengths_b[j]);
				if (crc != target)
					fail_msg("%zu bytes, seal, %zu bytes: %08x, not "
						 "%08x",
						 lengths_a[i], lengths_b[j], crc, target);
			}
		}
	}
}

static void a_seal_can_lie_more_than_4_gib_before_the_end(void **state)
{
	const uint64_t length_b = 4 * GIBIBYTE + 5;
	const uint32_t crc_a = 0xDEADBEEF;
	uint8_t seal[4];

	(void)state;
	cvq_crc32_forge(seal, crc_a, crc_of_zeros(0, length_b), length_b, 0xCBF43926);
	assert_int_equal(crc_of_zeros(cvq_crc32(crc_a, seal, 4), length_b), 0xCBF43926);
}

/* Lengths for which 'back' in the derivation wraps around, or nearly so. */
static void a_seal_is_right_for_every_kind_of_length(void **state)
{
	const uint64_t lengths[] = {0xFFFFFFFA,       0xFFFFFFFB,     0xFFFFFFFC,
				    0xFFFFFFFE,       0xFFFFFFFF,     0x100000000,
				    0x1FFFFFFFA,      0x1FFFFFFFE,    1ull << 40,
				    (1ull << 63) - 1, UINT64_MAX - 3, UINT64_MAX};
	uint64_t seed = 8;

	(void)state;
	for (size_t i = 0; i < LENGTH(lengths); i++) {
		uint32_t crc_a = random_bits(&seed);
		uint32_t crc_b = random_bits(&seed);
		uint32_t target = random_bits(&seed);
		uint8_t seal[4];
		uint32_t crc;

		cvq_crc32_forge(seal, crc_a, crc_b, lengths[i], target);
		crc = cvq_crc32_combine(cvq_crc32(crc_a, seal, 4), crc_b, lengths[i]);
		if (crc != target)
			fail_msg("before %llu bytes: %08x, not %08x",
				 (unsigned long long)lengths[i], crc, target);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_check_values_come_out),
		cmocka_unit_test(zlib_agrees_on_any_length_and_alignment),
		cmocka_unit_test(a_sum_can_be_continued_at_any_byte),
		cmocka_unit_test(two_sums_combine_to_the_sum_of_the_whole),
		cmocka_unit_test(lengths_beyond_4_gib_combine),
		cmocka_unit_test(any_lengths_combine_consistently),
		cmocka_unit_test(a_prepared_length_combines_the_same),
		cmocka_unit_test(zlib_agrees_on_long_lengths),
		cmocka_unit_test(the_polynomial_is_primitive),
		cmocka_unit_test(a_seal_gives_the_bytes_around_it_any_sum),
		cmocka_unit_test(a_seal_can_lie_more_than_4_gib_before_the_end),
		cmocka_unit_test(a_seal_is_right_for_every_kind_of_length),
	};

	return cmocka_run_group_tests_name("CRC-32", tests, NULL, NULL);
}
