/* SPDX-License-Identifier: MIT */
/*
 * What conversion costs: how numbers are counted, and what their errors come to
 *
 * tests/mount/51-verify.sh has torch compute the same for whole tensors.
 */
#include <math.h>
#include <stdbool.h>

#include "fixture.h"
#include "numeric/accuracy.h"
#include "numeric/convert.h"
#include "numeric/widen.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static cvq_convert_function *kernel(enum cvq_dtype dtype, enum cvq_overflow overflow)
{
	size_t count;
	return cvq_kernel_function(cvq_kernels(&count)[0], dtype, overflow);
}

static struct cvq_accuracy measure(const float *numbers, size_t count, enum cvq_dtype dtype,
				   enum cvq_overflow overflow)
{
	uint16_t halves[16];
	struct cvq_accuracy accuracy = {0};
	assert_true(count <= LENGTH(halves));
	kernel(dtype, overflow)(halves, numbers, count);
	cvq_accuracy_add(&accuracy, numbers, halves, count, dtype);
	return accuracy;
}

static bool is_close(double a, double b)
{
	return fabs(a - b) <= 1e-12 * fabs(b);
}

static void every_half_is_exact_in_fp32(void **state)
{
	(void)state;
	const enum cvq_dtype dtypes[] = {CVQ_FP16, CVQ_BF16};
	for (size_t i = 0; i < LENGTH(dtypes); i++) {
		for (uint32_t half = 0; half <= UINT16_MAX; half++) {
			float wide = cvq_widen((uint16_t)half, dtypes[i]);
			uint16_t again;
			kernel(dtypes[i], CVQ_OVERFLOW_INF)(&again, &wide, 1);
			if (isnan(wide) ? (half & 0x8000) != (again & 0x8000)
					: half != again)
				fail_msg("0x%04x became %a and 0x%04x", half, (double)wide,
					 again);
		}
	}
	assert_true(isnan(cvq_widen_fp16(0x7C01)) && isnan(cvq_widen_bf16(0xFF81)));
	assert_true(isinf(cvq_widen_fp16(0xFC00)) && isinf(cvq_widen_bf16(0x7F80)));
	assert_true(cvq_widen_fp16(0x0001) == 0x1p-24f);
}

static void numbers_are_counted_by_what_becomes_of_them(void **state)
{
	(void)state;
	const float numbers[] = {0,        -0.0f,     1,        65504,     65519.99f,
				 65520,    -1e30f,    INFINITY, -NAN,      0x1p-14f,
				 0x1p-15f, -0x1p-24f, 0x1p-25f, 0x1p-149f, -3.5f};
	struct cvq_accuracy accuracy =
		measure(numbers, LENGTH(numbers), CVQ_FP16, CVQ_OVERFLOW_INF);
	assert_int_equal(accuracy.count, LENGTH(numbers));
	assert_int_equal(accuracy.overflow, 2);
	assert_int_equal(accuracy.subnormal, 2);
	assert_int_equal(accuracy.underflow, 2);
	assert_int_equal(accuracy.infinite, 1);
	assert_int_equal(accuracy.nan, 1);
	assert_int_equal(accuracy.measured, LENGTH(numbers) - 4);

	/* What is clamped has an error, an infinity has none that could be measured. */
	accuracy = measure(numbers, LENGTH(numbers), CVQ_FP16, CVQ_OVERFLOW_CLAMP);
	assert_int_equal(accuracy.overflow, 2);
	assert_int_equal(accuracy.measured, LENGTH(numbers) - 2);
	assert_true(is_close(accuracy.largest_error, (double)1e30f - 65504));

	accuracy = measure(numbers, LENGTH(numbers), CVQ_BF16, CVQ_OVERFLOW_INF);
	assert_int_equal(accuracy.overflow, 0);
	assert_int_equal(accuracy.underflow, 1);
	assert_int_equal(accuracy.measured, LENGTH(numbers) - 2);
}

static void errors_are_those_of_the_numbers(void **state)
{
	(void)state;
	/* A tie that is rounded to 1, and what becomes zero. */
	const float numbers[] = {1, 1 + 0x1p-11f, -0x1p-26f};
	struct cvq_accuracy accuracy =
		measure(numbers, LENGTH(numbers), CVQ_FP16, CVQ_OVERFLOW_INF);
	double noise = 0x1p-22 + 0x1p-52;
	double signal = 1 + (1 + 0x1p-11) * (1 + 0x1p-11) + 0x1p-52;
	assert_true(accuracy.largest_error == 0x1p-11);
	assert_true(accuracy.largest_relative_error == 1);
	assert_true(is_close(cvq_accuracy_rms_error(&accuracy), sqrt(noise / 3)));
	assert_true(is_close(cvq_accuracy_snr(&accuracy), 10 * log10(signal / noise)));

	accuracy = measure(numbers, 1, CVQ_FP16, CVQ_OVERFLOW_INF);
	assert_true(isinf(cvq_accuracy_snr(&accuracy)));
	const struct cvq_accuracy none = {0};
	assert_true(isnan(cvq_accuracy_snr(&none)));
	assert_true(cvq_accuracy_rms_error(&none) == 0);
}

static void parts_add_up(void **state)
{
	(void)state;
	const float numbers[] = {0.1f, -7e4f, 1e-7f, 0.3f, NAN, 2e-8f, -0.7f};
	for (size_t cut = 0; cut <= LENGTH(numbers); cut++) {
		struct cvq_accuracy whole =
			measure(numbers, LENGTH(numbers), CVQ_FP16, CVQ_OVERFLOW_INF);
		struct cvq_accuracy parts =
			measure(numbers, cut, CVQ_FP16, CVQ_OVERFLOW_INF);
		struct cvq_accuracy rest = measure(numbers + cut, LENGTH(numbers) - cut,
						   CVQ_FP16, CVQ_OVERFLOW_INF);
		cvq_accuracy_merge(&parts, &rest);
		assert_int_equal(parts.count, whole.count);
		assert_int_equal(parts.overflow, whole.overflow);
		assert_int_equal(parts.subnormal, whole.subnormal);
		assert_int_equal(parts.underflow, whole.underflow);
		assert_int_equal(parts.nan, whole.nan);
		assert_int_equal(parts.measured, whole.measured);
		assert_true(parts.largest_error == whole.largest_error);
		assert_true(parts.largest_relative_error == whole.largest_relative_error);
		assert_true(is_close(cvq_accuracy_snr(&parts), cvq_accuracy_snr(&whole)));

		/* An expanded tensor has the same errors more often. */
		cvq_accuracy_repeat(&whole, 3);
		assert_int_equal(whole.underflow, 3 * parts.underflow);
		assert_true(is_close(cvq_accuracy_rms_error(&whole),
				     cvq_accuracy_rms_error(&parts)));
		cvq_accuracy_repeat(&whole, UINT64_MAX);
		assert_true(whole.count == INT64_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_half_is_exact_in_fp32),
		cmocka_unit_test(numbers_are_counted_by_what_becomes_of_them),
		cmocka_unit_test(errors_are_those_of_the_numbers),
		cmocka_unit_test(parts_add_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
