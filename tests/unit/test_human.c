/* SPDX-License-Identifier: MIT */
/*
 * Numbers for people
 */
#include "base/human.h"
#include "fixture.h"

static void expect_size(uint64_t bytes, const char *expected)
{
	char text[CVQ_HUMAN_SIZE];
	assert_string_equal(cvq_human_size(bytes, text), expected);
}

static void bytes_are_whole_and_the_rest_has_one_decimal(void **state)
{
	(void)state;
	expect_size(0, "0 B");
	expect_size(1023, "1023 B");
	expect_size(1024, "1.0 KiB");
	expect_size(1536, "1.5 KiB");
	expect_size((uint64_t)19 << 30, "19.0 GiB");
	expect_size(UINT64_MAX, "16384.0 PiB");
}

static void what_is_rounded_to_1024_is_one_of_the_next_unit(void **state)
{
	(void)state;
	uint64_t unit = 1024;
	const char *const ones[] = {"1.0 MiB", "1.0 GiB", "1.0 TiB", "1.0 PiB"};
	const char *const lesser[] = {"1023.9 KiB", "1023.9 MiB", "1023.9 GiB",
				      "1023.9 TiB"};
	for (int i = 0; i < 4; i++, unit *= 1024) {
		expect_size(unit * 1024 - 1, ones[i]);
		expect_size(unit * 1024 - unit / 16, lesser[i]);
	}
}

static void expect_time(double seconds, const char *expected)
{
	char text[CVQ_HUMAN_SIZE];
	assert_string_equal(cvq_human_time(seconds, text), expected);
}

static void hours_are_shown_when_there_are_any(void **state)
{
	(void)state;
	expect_time(-1, "0:00");
	expect_time(7.4, "0:07");
	expect_time(59.6, "1:00");
	expect_time(754, "12:34");
	expect_time(3599.5, "1:00:00");
	expect_time(3723, "1:02:03");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_whole_and_the_rest_has_one_decimal),
		cmocka_unit_test(what_is_rounded_to_1024_is_one_of_the_next_unit),
		cmocka_unit_test(hours_are_shown_when_there_are_any),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
