/* SPDX-License-Identifier: MIT */
/*
 * What every unit test begins with: cmocka, which needs the headers before it, and how a
 * test gets a fixture of its own
 */
#ifndef CVQ_TESTS_FIXTURE_H
#define CVQ_TESTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A test between the file's own set_up() and tear_down(). */
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

#endif
