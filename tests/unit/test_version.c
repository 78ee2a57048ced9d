/* SPDX-License-Identifier: MIT */
/*
 * Versions of a source file: when two changes could have the same time
 */
#include <sys/stat.h>
#include <time.h>

#include "fixture.h"

#define SECOND 1000000000

/* The clock that files are stamped with, and the last change of the file, in our hands. */
static struct timespec stamps;
static struct timespec last_change;
static unsigned steps_until_it_moves;

static int read_stamps(clockid_t clock, struct timespec *now)
{
	assert_int_equal(clock, CLOCK_REALTIME_COARSE);
	*now = stamps;
	return 0;
}

static int sleep_a_step(const struct timespec *step, struct timespec *left)
{
	(void)left;
	if (steps_until_it_moves == 0)
		fail_msg("it waits although it need not");
	if (--steps_until_it_moves == 0) {
		stamps.tv_nsec += step->tv_nsec;
		stamps.tv_sec += stamps.tv_nsec / SECOND;
		stamps.tv_nsec %= SECOND;
	}
	return 0;
}

static int read_attributes(int fd, struct stat *attributes)
{
	(void)fd;
	*attributes = (struct stat){.st_mode = S_IFREG, .st_ctim = last_change};
	return 0;
}

#define clock_gettime    read_stamps
#define nanosleep        sleep_a_step
#define fstat            read_attributes
#define cvq_stat_settled stat_settled /* not what the test is linked with */
#define cvq_version_of   version_of
#include "view/version.c" // NOLINT(bugprone-suspicious-include): with this clock

/* ========================================================================== */

static struct stat attributes;

static void what_changed_just_now_is_waited_for(void **state)
{
	(void)state;
	stamps = last_change = (struct timespec){100, 5};
	steps_until_it_moves = 1;
	assert_int_equal(stat_settled(0, true, &attributes), -EAGAIN);
	assert_int_equal(steps_until_it_moves, 0);
	assert_int_equal(stat_settled(0, true, &attributes), 0);
}

/* The clock is what is waited for, and not a time by which it should have moved. */
static void a_clock_that_stands_still_is_waited_for(void **state)
{
	(void)state;
	stamps = last_change = (struct timespec){100, 5};
	steps_until_it_moves = 100;
	assert_int_equal(stat_settled(0, true, &attributes), -EAGAIN);
	assert_int_equal(steps_until_it_moves, 0);
	assert_int_equal(stat_settled(0, true, &attributes), 0);
}

static void but_not_for_ever(void **state)
{
	(void)state;
	stamps = last_change = (struct timespec){100, 5};
	steps_until_it_moves = 1000000;
	assert_int_equal(stat_settled(0, true, &attributes), -EAGAIN);
	assert_true(steps_until_it_moves > 0);
}

/* By less than a step, if a file system near by has taken one from a finer clock. */
static void stamps_may_be_ahead_of_the_clock(void **state)
{
	(void)state;
	static const struct timespec clocks[] = {{100, 997000000}, {100, 999000000}};
	for (size_t i = 0; i < 2; i++) {
		stamps = clocks[i];
		last_change = (struct timespec){100 + (time_t)i, i ? 1000000 : 999000000};
		steps_until_it_moves = 1;
		assert_int_equal(stat_settled(0, true, &attributes), -EAGAIN);
		assert_int_equal(stat_settled(0, true, &attributes), 0);
	}
}

static void what_changed_before_or_by_another_clock_is_not_waited_for(void **state)
{
	(void)state;
	static const struct timespec changes[] = {
		{99, 999999999}, {100, 499999999}, {101, 500000000}, {200, 0}};
	stamps = (struct timespec){100, 500000000};
	steps_until_it_moves = 0;
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		last_change = changes[i];
		assert_int_equal(stat_settled(0, true, &attributes), 0);
	}
}

static void nor_is_anything_by_the_impatient(void **state)
{
	(void)state;
	stamps = last_change = (struct timespec){100, 5};
	steps_until_it_moves = 0;
	assert_int_equal(stat_settled(0, false, &attributes), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_changed_just_now_is_waited_for),
		cmocka_unit_test(a_clock_that_stands_still_is_waited_for),
		cmocka_unit_test(but_not_for_ever),
		cmocka_unit_test(stamps_may_be_ahead_of_the_clock),
		cmocka_unit_test(what_changed_before_or_by_another_clock_is_not_waited_for),
		cmocka_unit_test(nor_is_anything_by_the_impatient),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
