/* SPDX-License-Identifier: MIT */
/*
 * What FP32 becomes, and that every kernel thinks so
 *
 * tests/slow/test_convert_all.c does the same for all 2^32 values.
 */
#include <fenv.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__) || defined(__i386__)
#include <xmmintrin.h>
#endif

#include "base/cleanup.h"
#include "fixture.h"
#include "numeric/convert.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* ========================================================================== */
/*                                   Tools                                    */
/* ========================================================================== */

/* The four conversions by name. */
struct conversion {
	const char *name;
	enum cvq_dtype dtype;
	enum cvq_overflow overflow;
};

static const struct conversion conversions[] = {
	{"fp16", CVQ_FP16, CVQ_OVERFLOW_INF},
	{"fp16, clamped", CVQ_FP16, CVQ_OVERFLOW_CLAMP},
	{"bf16", CVQ_BF16, CVQ_OVERFLOW_INF},
	{"bf16, clamped", CVQ_BF16, CVQ_OVERFLOW_CLAMP},
};

static const struct cvq_kernel *portable(void)
{
	size_t count;

	return cvq_kernels(&count)[0];
}

/* The bits of an FP32 value and of what it has to become. */
struct expectation {
	uint32_t value;
	uint16_t half;
};

/* Returns the number of expectations that 'kernel' fails, and names each. */
static size_t check_kernel(const struct cvq_kernel *kernel,
			   const struct conversion *conversion,
			   const struct expectation *table, size_t count)
{
	cvq_convert_function *convert =
		cvq_kernel_function(kernel, conversion->dtype, conversion->overflow);
	size_t failures = 0;

	for (size_t i = 0; i < count; i++) {
		uint16_t half;

		convert(&half, &table[i].value, 1);
		if (half == table[i].half)
			continue;
		print_error("%s, %s: %08x becomes %04x, not %04x\n", kernel->name,
			    conversion->name, table[i].value, half, table[i].half);
		failures++;
	}
	return failures;
}

static void check_all_kernels(const struct conversion *conversion,
			      const struct expectation *table, size_t count)
{
	size_t kernel_count;
	const struct cvq_kernel *const *kernels = cvq_kernels(&kernel_count);
	size_t failures = 0;

	for (size_t i = 0; i < kernel_count; i++)
		failures += check_kernel(kernels[i], conversion, table, count);
	assert_int_equal(failures, 0);
}

/* Marsaglia's xorshift: the same values in every run. */
static uint32_t random_bits(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 32);
}

/*
 * Fills in values of every size: a third of them of any bits, a third of the size
 * of weights, a third around the ends of FP16's range.
 */
static void fill_with_values(uint32_t *values, size_t count)
{
	uint64_t state = 0x9E3779B97F4A7C15;

	for (size_t i = 0; i < count; i++) {
		uint32_t bits = random_bits(&state);
		uint32_t exponent = bits >> 23 & 0xFF;

		if (i % 3 == 1)
			exponent = 110 + exponent % 20;
		if (i % 3 == 2)
			exponent = exponent & 1 ? 100 + exponent % 15 : 140 + exponent % 4;
		values[i] = (bits & 0x807FFFFF) | exponent << 23;
	}
}

/* ========================================================================== */
/*                               What it becomes                              */
/* ========================================================================== */

static const struct expectation fp16_table[] = {
	/* Zeros keep their sign; 1, -1, 0.2, pi. */
	{0x00000000, 0x0000},
	{0x80000000, 0x8000},
	{0x3F800000, 0x3C00},
	{0xBF800000, 0xBC00},
	{0x3E4CCCCD, 0x3266},
	{0x40490FDB, 0x4248},
	/* Ties go to the even neighbour; a bit more or less goes to the nearer one. */
	{0x3F801000, 0x3C00},
	{0x3F800FFF, 0x3C00},
	{0x3F801001, 0x3C01},
	{0x3F803000, 0x3C02},
	{0x3F802FFF, 0x3C01},
	{0xBF803000, 0xBC02},
	/* A mantissa that rounds up to 2 is the next power of two. */
	{0x3FFFF000, 0x4000},
	{0x3FFFEFFF, 0x3FFF},
	/* The largest number, and what is too large for it: from 65520 on. */
	{0x477FE000, 0x7BFF},
	{0x477FEFFF, 0x7BFF},
	{0x477FF000, 0x7C00},
	{0x47800000, 0x7C00},
	{0xC77FEFFF, 0xFBFF},
	{0xC77FF000, 0xFC00},
	{0x7F7FFFFF, 0x7C00},
	{0x7F800000, 0x7C00},
	{0xFF800000, 0xFC00},
	/* The smallest normal number, 2^-14, and its neighbours below. */
	{0x38800000, 0x0400},
	{0x387FE000, 0x0400},
	{0x387FDFFF, 0x03FF},
	{0x387FC000, 0x03FF},
	{0xB8800000, 0x8400},
	/* Subnormal numbers: 2^-24, 3 * 2^-25 is a tie, 1.5 * 2^-23. */
	{0x33800000, 0x0001},
	{0x33C00000, 0x0002},
	{0x33BFFFFF, 0x0001},
	{0x34400000, 0x0003},
	{0xB3800000, 0x8001},
	/* 2^-25 is a tie between zero and 2^-24; what is less is zero. */
	{0x33000000, 0x0000},
	{0x33000001, 0x0001},
	{0xB3000000, 0x8000},
	{0xB3000001, 0x8001},
	{0x32FFFFFF, 0x0000},
	{0x00800000, 0x0000},
	{0x00000001, 0x0000},
	{0x007FFFFF, 0x0000},
	{0x807FFFFF, 0x8000},
	/* NaN becomes quiet and keeps its sign and upper payload. */
	{0x7F800001, 0x7E00},
	{0x7FA00000, 0x7F00},
	{0x7FC00000, 0x7E00},
	{0x7FFFFFFF, 0x7FFF},
	{0xFF812345, 0xFE09},
	{0xFFC00000, 0xFE00},
	{0xFFFFFFFF, 0xFFFF},
	{0x7F801FFF, 0x7E00},
	{0x7F802000, 0x7E01},
};

static const struct expectation fp16_clamp_table[] = {
	{0x477FEFFF, 0x7BFF}, {0x477FF000, 0x7BFF}, {0xC77FF000, 0xFBFF}, /* 65520 */
	{0x47800000, 0x7BFF}, {0x7F7FFFFF, 0x7BFF}, {0xFF7FFFFF, 0xFBFF},
	{0x7F800000, 0x7BFF}, {0xFF800000, 0xFBFF}, /* infinities too */
	{0x477FE000, 0x7BFF}, {0x477FDFFF, 0x7BFF}, {0x477FCFFF, 0x7BFE}, /* below */
	{0x3F803000, 0x3C02}, {0x33000001, 0x0001}, {0x80000000, 0x8000},
	{0x7F800001, 0x7E00}, {0x7FFFFFFF, 0x7FFF}, {0xFF812345, 0xFE09}, /* NaN */
};

static const struct expectation bf16_table[] = {
	{0x00000000, 0x0000},
	{0x80000000, 0x8000},
	{0x3F800000, 0x3F80},
	{0xC0490FDB, 0xC049}, /* -pi */
	/* Ties to even. */
	{0x3F808000, 0x3F80},
	{0x3F807FFF, 0x3F80},
	{0x3F808001, 0x3F81},
	{0x3F818000, 0x3F82},
	{0x3F817FFF, 0x3F81},
	{0xBF818000, 0xBF82},
	{0x3FFF8000, 0x4000}, /* carry into the exponent */
	/* Subnormals are as good as other numbers. */
	{0x00008000, 0x0000},
	{0x00008001, 0x0001},
	{0x00018000, 0x0002},
	{0x807FFFFF, 0x8080},
	{0x007F7FFF, 0x007F},
	/* The largest number, and what is too large for it. */
	{0x7F7F0000, 0x7F7F},
	{0x7F7F7FFF, 0x7F7F},
	{0x7F7F8000, 0x7F80},
	{0xFF7FFFFF, 0xFF80},
	{0x7F800000, 0x7F80},
	{0xFF800000, 0xFF80},
	/* All NaN are one, except for the sign. */
	{0x7F800001, 0x7FC0},
	{0x7FFFFFFF, 0x7FC0},
	{0xFF800001, 0xFFC0},
	{0xFFFFFFFF, 0xFFC0},
};

static const struct expectation bf16_clamp_table[] = {
	{0x7F7F7FFF, 0x7F7F}, {0x7F7F8000, 0x7F7F}, {0xFF7F8000, 0xFF7F},
	{0x7F7FFFFF, 0x7F7F}, {0xFF7FFFFF, 0xFF7F}, {0x7F800000, 0x7F7F},
	{0xFF800000, 0xFF7F}, {0x7F7E8000, 0x7F7E}, {0x3F818000, 0x3F82},
	{0x80000001, 0x8000}, {0x7F800001, 0x7FC0}, {0xFFFFFFFF, 0xFFC0},
};

static void check_tables(void)
{
	check_all_kernels(&conversions[0], fp16_table, LENGTH(fp16_table));
	check_all_kernels(&conversions[1], fp16_clamp_table, LENGTH(fp16_clamp_table));
	check_all_kernels(&conversions[2], bf16_table, LENGTH(bf16_table));
	check_all_kernels(&conversions[3], bf16_clamp_table, LENGTH(bf16_clamp_table));
}

static void fp16_is_the_nearest_and_of_two_the_even(void **state)
{
	(void)state;
	check_all_kernels(&conversions[0], fp16_table, LENGTH(fp16_table));
}

static void fp16_clamped_has_no_infinity(void **state)
{
	(void)state;
	check_all_kernels(&conversions[1], fp16_clamp_table, LENGTH(fp16_clamp_table));
}

static void bf16_is_the_nearest_and_of_two_the_even(void **state)
{
	(void)state;
	check_all_kernels(&conversions[2], bf16_table, LENGTH(bf16_table));
}

static void bf16_clamped_has_no_infinity(void **state)
{
	(void)state;
	check_all_kernels(&conversions[3], bf16_clamp_table, LENGTH(bf16_clamp_table));
}

/* ========================================================================== */
/*                        Whatever the caller's thread does                   */
/* ========================================================================== */

static void the_rounding_mode_of_the_thread_is_ignored(void **state)
{
	const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

	(void)state;
	for (size_t i = 0; i < LENGTH(modes); i++) {
		assert_int_equal(fesetround(modes[i]), 0);
		check_tables();
		fesetround(FE_TONEAREST);
	}
}

static void a_thread_that_traps_on_overflow_is_not_killed(void **state)
{
	(void)state;
	if (feenableexcept(FE_ALL_EXCEPT) < 0)
		skip(); /* this processor has no such traps */
	check_tables();
	fedisableexcept(FE_ALL_EXCEPT);
	feclearexcept(FE_ALL_EXCEPT);
}

#if defined(__SSE__)
static void flush_to_zero_changes_nothing(void **state)
{
	unsigned int modes = _mm_getcsr();

	(void)state;
	_mm_setcsr(modes | 0x8040); /* flush to zero, denormals are zero */
	check_tables();
	_mm_setcsr(modes);
}
#endif

/* ========================================================================== */
/*                       Any length, at any address                           */
/* ========================================================================== */

#define LONGEST    300
#define ALIGNMENTS 64
#define GUARD      0xA5

/* Where a conversion under test reads and writes; the rest of 'written' is a guard. */
struct arena {
	_Alignas(ALIGNMENTS) uint8_t written[2 * LONGEST + 2 * ALIGNMENTS];
	_Alignas(ALIGNMENTS) uint8_t source[4 * LONGEST + ALIGNMENTS];
	uint32_t values[LONGEST];
	uint16_t expected[LONGEST];
};

static void check_placement(struct arena *arena, const struct cvq_kernel *kernel,
			    const struct conversion *conversion, size_t source_offset,
			    size_t target_offset, size_t count)
{
	uint8_t *source = arena->source + source_offset;
	uint8_t *target = arena->written + target_offset;
	bool intact = true;

	memcpy(source, arena->values, 4 * count);
	memset(arena->written, GUARD, sizeof(arena->written));
	cvq_kernel_function(kernel, conversion->dtype, conversion->overflow)(target, source,
									     count);
	for (uint8_t *byte = arena->written; byte < target; byte++)
		intact &= *byte == GUARD;
	for (size_t i = target_offset + 2 * count; i < sizeof(arena->written); i++)
		intact &= arena->written[i] == GUARD;
	if (!intact || memcmp(target, arena->expected, 2 * count) != 0)
		fail_msg("%s, %s: %zu values from address %zu to %zu (modulo %d): %s",
			 kernel->name, conversion->name, count, source_offset,
			 target_offset, ALIGNMENTS,
			 intact ? "wrong values" : "wrote elsewhere");
}

static void every_kernel_is_right_at_every_alignment_and_length(void **state)
{
	size_t kernel_count;
	const struct cvq_kernel *const *kernels = cvq_kernels(&kernel_count);
	static struct arena arena;

	(void)state;
	fill_with_values(arena.values, LONGEST);
	for (size_t c = 0; c < LENGTH(conversions); c++) {
		const struct conversion *conversion = &conversions[c];

		cvq_kernel_function(portable(), conversion->dtype, conversion->overflow)(
			arena.expected, arena.values, LONGEST);
		for (size_t k = 0; k < kernel_count; k++)
			for (size_t offset = 0; offset < ALIGNMENTS; offset++)
				for (size_t count = 0; count <= LONGEST; count++)
					check_placement(
						&arena, kernels[k], conversion, offset,
						(offset * 37 + count) % ALIGNMENTS, count);
	}
}

/* Memory of 'size' bytes between two pages that nobody may touch. */
static uint8_t *map_between_guards(size_t size, size_t page)
{
	uint8_t *map =
		mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(map != MAP_FAILED);
	assert_int_equal(mprotect(map + page, size, PROT_READ | PROT_WRITE), 0);
	return map + page;
}

/* A kernel that oversteps dies of SIGSEGV here. */
static void no_kernel_touches_memory_beyond_its_values(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *source = map_between_guards(page, page);
	uint8_t *target = map_between_guards(page, page);
	size_t kernel_count;
	const struct cvq_kernel *const *kernels = cvq_kernels(&kernel_count);

	(void)state;
	memset(source, 0x3C, page);
	for (size_t k = 0; k < kernel_count; k++) {
		for (size_t count = 0; count <= LONGEST; count++) {
			uint8_t *source_end = source + page - 4 * count;
			uint8_t *target_end = target + page - 2 * count;

			kernels[k]->fp16(target, source, count);
			kernels[k]->fp16(target_end, source_end, count);
			kernels[k]->bf16(target, source, count);
			kernels[k]->bf16(target_end, source_end, count);
		}
	}
	munmap(source - page, 3 * page);
	munmap(target - page, 3 * page);
}

static void every_kernel_gives_the_bits_of_the_portable_one(void **state)
{
	const size_t count = 1 << 20;
	cleanup_free uint32_t *values = malloc(4 * count);
	cleanup_free uint16_t *expected = malloc(2 * count);
	cleanup_free uint16_t *halves = malloc(2 * count);
	size_t kernel_count;
	const struct cvq_kernel *const *kernels = cvq_kernels(&kernel_count);

	(void)state;
	assert_true(values && expected && halves);
	fill_with_values(values, count);
	for (size_t c = 0; c < LENGTH(conversions); c++) {
		const struct conversion *conversion = &conversions[c];

		cvq_kernel_function(portable(), conversion->dtype,
				    conversion->overflow)(expected, values, count);
		for (size_t k = 1; k < kernel_count; k++) {
			cvq_kernel_function(kernels[k], conversion->dtype,
					    conversion->overflow)(halves, values, count);
			for (size_t i = 0; i < count; i++)
				if (halves[i] != expected[i])
					fail_msg("%s, %s: %08x becomes %04x, not %04x",
						 kernels[k]->name, conversion->name,
						 values[i], halves[i], expected[i]);
		}
	}
}

/* ========================================================================== */
/*                                The choice                                  */
/* ========================================================================== */

static void the_portable_kernel_is_first_and_the_best_is_last(void **state)
{
	size_t count;
	const struct cvq_kernel *const *kernels = cvq_kernels(&count);

	(void)state;
	assert_true(count >= 1);
	assert_string_equal(kernels[0]->name, "portable");
	assert_ptr_equal(kernels[count - 1], cvq_kernel_best());
	assert_string_equal(cvq_kernel_name(), cvq_kernel_best()->name);
}

#if defined(__x86_64__) || defined(__i386__)
/* Does the kernel's list of this processor's features have ' feature '? */
static bool cpuinfo_has(const char *feature)
{
	cleanup_free char *line = NULL;
	size_t size = 0;
	bool found = false;
	FILE *file = fopen("/proc/cpuinfo", "r");

	if (!file)
		skip();
	while (!found && getline(&line, &size, file) >= 0)
		found = strncmp(line, "flags", 5) == 0 && strstr(line, feature);
	fclose(file);
	return found;
}

static void f16c_is_used_where_linux_says_that_it_can_be(void **state)
{
	size_t count;

	(void)state;
	cvq_kernels(&count);
	assert_int_equal(count > 1, cpuinfo_has(" f16c ") && cpuinfo_has(" avx2 "));
	if (count > 2)
		assert_true(cpuinfo_has(" avx512_vbmi2 "));
}
#endif

static void the_public_function_converts_as_its_options_say(void **state)
{
	const float values[] = {1.00390625f, 1e6f, -1e6f, 3.4e38f, -3.4e38f};
	const uint16_t expected[][LENGTH(values)] = {
		{0x3C04, 0x7C00, 0xFC00, 0x7C00, 0xFC00},
		{0x3C04, 0x7BFF, 0xFBFF, 0x7BFF, 0xFBFF},
		{0x3F80, 0x4974, 0xC974, 0x7F80, 0xFF80},
		{0x3F80, 0x4974, 0xC974, 0x7F7F, 0xFF7F},
	};

	(void)state;
	for (size_t c = 0; c < LENGTH(conversions); c++) {
		uint16_t halves[LENGTH(values)];

		cvq_convert(halves, values, LENGTH(values), conversions[c].dtype,
			    conversions[c].overflow);
		assert_memory_equal(halves, expected[c], sizeof(halves));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fp16_is_the_nearest_and_of_two_the_even),
		cmocka_unit_test(fp16_clamped_has_no_infinity),
		cmocka_unit_test(bf16_is_the_nearest_and_of_two_the_even),
		cmocka_unit_test(bf16_clamped_has_no_infinity),
		cmocka_unit_test(the_rounding_mode_of_the_thread_is_ignored),
		cmocka_unit_test(a_thread_that_traps_on_overflow_is_not_killed),
#if defined(__SSE__)
		cmocka_unit_test(flush_to_zero_changes_nothing),
#endif
		cmocka_unit_test(every_kernel_is_right_at_every_alignment_and_length),
		cmocka_unit_test(no_kernel_touches_memory_beyond_its_values),
		cmocka_unit_test(every_kernel_gives_the_bits_of_the_portable_one),
		cmocka_unit_test(the_portable_kernel_is_first_and_the_best_is_last),
#if defined(__x86_64__) || defined(__i386__)
		cmocka_unit_test(f16c_is_used_where_linux_says_that_it_can_be),
#endif
		cmocka_unit_test(the_public_function_converts_as_its_options_say),
	};

	return cmocka_run_group_tests_name("numbers", tests, NULL, NULL);
}
