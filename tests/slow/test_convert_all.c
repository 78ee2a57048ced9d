/* SPDX-License-Identifier: MIT */
/*
 * All 2^32 values, all kernels, all four conversions
 *
 * The reference is the definition of rounding, not a rounding algorithm: the
 * magnitudes of FP32 are visited in ascending order beside those of the small
 * format, and a value belongs to the next small number once it lies beyond the
 * middle between the two, or on it if the next one is even.  All of this is exact
 * in doubles.
 *
 * A part of the values is converted again in threads that have set unusual
 * floating-point modes, which must not change a bit.
 *
 * Usage: test_convert_all [N], to check every Nth block of 16384 values and the
 * ends of each binade only (for emulators).  Needs nothing but src/numeric/convert.c,
 * so that it is easily built for another architecture: see tests/arm.sh.
 */
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "base/cleanup.h"
#include "base/threads.h"
#include "numeric/convert.h"

#define LENGTH(array)     (sizeof(array) / sizeof((array)[0]))
#define BLOCK             16384u
#define BLOCKS            (0x100000000 / BLOCK)
#define BLOCKS_PER_BINADE ((1u << 23) / BLOCK)
#define FP32_INFINITY     0x7F800000u
#define MOST_KERNELS      8
#define MOST_THREADS      64

/* ========================================================================== */
/*                                The reference                               */
/* ========================================================================== */

struct format {
	int mantissa_bits;
	int bias;
	uint16_t infinity;     /* also the number of finite magnitudes */
	double middle[0x8000]; /* between magnitude i and i + 1 */
};

/* Beyond the largest number comes what infinity's bits would be as a number. */
static double value_of(const struct format *format, uint32_t half)
{
	uint32_t one = 1u << format->mantissa_bits;
	int exponent = (int)(half / one);
	double unit = ldexp(1, (exponent > 0 ? exponent : 1) - format->bias -
				       format->mantissa_bits);

	return (exponent > 0 ? half % one + one : half) * unit;
}

static void find_middles(struct format *format)
{
	for (uint32_t i = 0; i < format->infinity; i++)
		format->middle[i] = (value_of(format, i) + value_of(format, i + 1)) / 2;
}

/* Does 'value' belong to magnitude half + 1 or a larger one? */
static bool is_beyond(const struct format *format, float value, uint16_t half)
{
	double middle = format->middle[half];

	return value > middle || (value == middle && half % 2 == 1);
}

/* Walks from '*half' to what 'value' becomes. */
static void walk(const struct format *format, float value, uint16_t *half)
{
	while (*half < format->infinity && is_beyond(format, value, *half))
		++*half;
	while (*half > 0 && !is_beyond(format, value, *half - 1))
		--*half;
}

static uint16_t nan_of(const struct format *format, uint32_t magnitude)
{
	return format->mantissa_bits == 10 ? 0x7E00 | (magnitude >> 13 & 0x1FF) : 0x7FC0;
}

static void convert_by_definition(const struct format *format, const uint32_t *values,
				  uint16_t *halves, uint16_t *halves_clamped)
{
	uint16_t half = 0;

	for (size_t i = 0; i < BLOCK; i++) {
		uint16_t sign = values[i] >> 16 & 0x8000;
		uint32_t magnitude = values[i] & 0x7FFFFFFF;
		float value;

		if (magnitude > FP32_INFINITY) {
			halves[i] = halves_clamped[i] = sign | nan_of(format, magnitude);
			continue;
		}
		memcpy(&value, &magnitude, sizeof(value));
		walk(format, value, &half);
		halves[i] = sign | half;
		halves_clamped[i] = sign | (half == format->infinity ? half - 1 : half);
	}
}

/* ========================================================================== */
/*                            Floating-point modes                            */
/* ========================================================================== */

static void enter_default(void)
{
}

static void enter_upward(void)
{
	fesetround(FE_UPWARD);
}

static void enter_downward(void)
{
	fesetround(FE_DOWNWARD);
}

static void enter_toward_zero(void)
{
	fesetround(FE_TOWARDZERO);
}

/* Where the processor cannot trap this is the default once more. */
static void enter_traps(void)
{
	feenableexcept(FE_ALL_EXCEPT);
}

#if defined(__SSE__)
static void enter_flush_to_zero(void)
{
	_mm_setcsr(_mm_getcsr() | 0x8040); /* and denormals are zero */
}
#elif defined(__aarch64__)
static void set_fpcr(unsigned int bit)
{
	uint64_t fpcr = (uint64_t)1 << bit;

	__asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
}

static void enter_flush_to_zero(void)
{
	set_fpcr(24);
}

static void enter_default_nan(void)
{
	set_fpcr(25);
}

static void enter_alternative_half_precision(void)
{
	set_fpcr(26);
}
#endif

struct mode {
	const char *name;
	void (*enter)(void);
};

static const struct mode modes[] = {
	{"default modes", enter_default},
	{"rounding up", enter_upward},
	{"rounding down", enter_downward},
	{"rounding toward zero", enter_toward_zero},
	{"trapping", enter_traps},
#if defined(__SSE__) || defined(__aarch64__)
	{"flushing to zero", enter_flush_to_zero},
#endif
#if defined(__aarch64__)
	{"default NaN", enter_default_nan},
	{"alternative half precision", enter_alternative_half_precision},
#endif
};

/* ========================================================================== */
/*                                  The check                                 */
/* ========================================================================== */

static const char *const conversions[] = {"fp16", "fp16, clamped", "bf16", "bf16, clamped"};

/* What went wrong with one conversion of one kernel; the first fault in full. */
struct result {
	uint64_t checked;
	uint64_t faults;
	uint32_t value;
	uint16_t half;
	uint16_t expected;
	const struct mode *mode;
};

struct worker {
	const struct format *formats; /* FP16, BF16 */
	uint64_t first_block;
	uint64_t end_block;
	uint64_t stride;
	struct result results[MOST_KERNELS][LENGTH(conversions)];
	uint32_t values[BLOCK];
	uint16_t expected[LENGTH(conversions)][BLOCK];
	uint16_t halves[BLOCK];
};

static void compare(struct worker *worker, struct result *result, const uint16_t *expected,
		    const struct mode *mode)
{
	result->checked += BLOCK;
	if (memcmp(worker->halves, expected, sizeof(worker->halves)) == 0)
		return;
	for (size_t i = 0; i < BLOCK; i++) {
		if (worker->halves[i] == expected[i])
			continue;
		if (result->faults++ > 0)
			continue;
		result->value = worker->values[i];
		result->half = worker->halves[i];
		result->expected = expected[i];
		result->mode = mode;
	}
}

static void check_in_mode(struct worker *worker, const struct mode *mode)
{
	size_t kernel_count;
	const struct cvq_kernel *const *kernels = cvq_kernels(&kernel_count);

	for (size_t k = 0; k < kernel_count; k++) {
		for (size_t c = 0; c < LENGTH(conversions); c++) {
			cvq_convert_function *convert = cvq_kernel_function(
				kernels[k], c / 2 ? CVQ_BF16 : CVQ_FP16,
				c % 2 ? CVQ_OVERFLOW_CLAMP : CVQ_OVERFLOW_INF);
			fenv_t environment;

			memset(worker->halves, 0xA5, sizeof(worker->halves));
			fegetenv(&environment);
			mode->enter();
			convert(worker->halves, worker->values, BLOCK);
			fesetenv(&environment);
			compare(worker, &worker->results[k][c], worker->expected[c], mode);
		}
	}
}

/* Each unusual mode sees one block in 32. */
static void check_block(struct worker *worker, uint64_t block)
{
	for (uint32_t i = 0; i < BLOCK; i++)
		worker->values[i] = (uint32_t)block * BLOCK + i;
	convert_by_definition(&worker->formats[0], worker->values, worker->expected[0],
			      worker->expected[1]);
	convert_by_definition(&worker->formats[1], worker->values, worker->expected[2],
			      worker->expected[3]);
	check_in_mode(worker, &modes[0]);
	for (size_t m = 1; m < LENGTH(modes); m++)
		if (block % 32 == m)
			check_in_mode(worker, &modes[m]);
}

static void *work(void *argument)
{
	struct worker *worker = argument;

	for (uint64_t block = worker->first_block; block < worker->end_block; block++) {
		uint64_t place = block % BLOCKS_PER_BINADE;

		if (block % worker->stride == 0 || place == 0 ||
		    place >= BLOCKS_PER_BINADE - 2)
			check_block(worker, block);
	}
	return NULL;
}

/* ========================================================================== */
/*                                 The report                                 */
/* ========================================================================== */

static struct result sum_up(const struct worker *workers, size_t count, size_t kernel,
			    size_t conversion)
{
	struct result sum = {0};

	for (size_t i = 0; i < count; i++) {
		struct result result = workers[i].results[kernel][conversion];

		if (sum.faults > 0 || result.faults == 0) {
			sum.checked += result.checked;
			sum.faults += result.faults;
			continue;
		}
		result.checked += sum.checked;
		sum = result;
	}
	return sum;
}

/* Returns the number of conversions that failed. */
static size_t report(const struct worker *workers, size_t count)
{
	size_t kernel_count;
	const struct cvq_kernel *const *kernels = cvq_kernels(&kernel_count);
	size_t failed = 0;

	for (size_t k = 0; k < kernel_count; k++) {
		for (size_t c = 0; c < LENGTH(conversions); c++) {
			struct result sum = sum_up(workers, count, k, c);

			printf("[ %s ] %s: %s (%llu checked)\n",
			       sum.faults ? " FAILED" : "     OK", kernels[k]->name,
			       conversions[c], (unsigned long long)sum.checked);
			if (sum.faults == 0)
				continue;
			failed++;
			printf("%llu wrong; %08x becomes %04x, not %04x (%s)\n",
			       (unsigned long long)sum.faults, sum.value, sum.half,
			       sum.expected, sum.mode->name);
		}
	}
	return failed;
}

static bool run(struct worker *workers, size_t count)
{
	pthread_t threads[MOST_THREADS];
	size_t started = 0;

	while (started < count &&
	       pthread_create(&threads[started], NULL, work, &workers[started]) == 0)
		started++;
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return started == count;
}

int main(int argc, char **argv)
{
	static struct format formats[] = {
		{.mantissa_bits = 10, .bias = 15, .infinity = 0x7C00},
		{.mantissa_bits = 7, .bias = 127, .infinity = 0x7F80},
	};
	uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	size_t count = cvq_processors();
	if (count > MOST_THREADS)
		count = MOST_THREADS;
	cleanup_free struct worker *workers = calloc(count, sizeof(*workers));
	size_t kernel_count;

	cvq_kernels(&kernel_count);
	if (stride == 0 || !workers || kernel_count > MOST_KERNELS) {
		fprintf(stderr, "usage: %s [N]\n", argv[0]);
		return 2;
	}
	find_middles(&formats[0]);
	find_middles(&formats[1]);
	for (size_t i = 0; i < count; i++) {
		workers[i].formats = formats;
		workers[i].first_block = BLOCKS * i / count;
		workers[i].end_block = BLOCKS * (i + 1) / count;
		workers[i].stride = stride;
	}
	if (!run(workers, count)) {
		fprintf(stderr, "%s: cannot start %zu threads\n", argv[0], count);
		return 2;
	}
	return report(workers, count) == 0 ? 0 : 1;
}
