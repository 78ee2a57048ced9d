/* SPDX-License-Identifier: MIT */
/*
 * What cvq convert writes files with
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "cli/copy.c" // NOLINT(bugprone-suspicious-include): in no library

#include <fcntl.h>

#include "base/cleanup.h"

static bool report_nothing(void *context, uint64_t written)
{
	(void)context;
	(void)written;
	return true;
}

static const struct cvq_write_watch watch = {report_nothing, NULL};

static ssize_t read_without_room(void *context, void *buffer, size_t length,
				 uint64_t offset)
{
	(void)context;
	(void)buffer;
	(void)length;
	(void)offset;
	return -ENOSPC;
}

static int make_memory(const char *content)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	return fd;
}

static void copying_tells_which_side_failed(void **state)
{
	(void)state;
	cleanup_fd int from = make_memory("text");
	cleanup_fd int to = make_memory("");
	cleanup_fd int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(full >= 0);
	const struct cvq_source source = {.fd = from};
	const struct cvq_source unreadable = {.fd = -1, .read = read_without_room};

	bool reading_failed = false;
	assert_int_equal(cvq_copy(&unreadable, 4, to, &watch, &reading_failed), -ENOSPC);
	assert_true(reading_failed);
	assert_int_equal(cvq_copy(&source, 4, full, &watch, &reading_failed), -ENOSPC);
	assert_false(reading_failed);
	assert_int_equal(cvq_copy(&source, 5, to, &watch, &reading_failed), -ENODATA);
	assert_true(reading_failed);
	assert_int_equal(cvq_copy(&source, 4, to, &watch, &reading_failed), 0);
	assert_false(reading_failed);
	char copied[4];
	assert_int_equal(pread(to, copied, sizeof(copied), 0), sizeof(copied));
	assert_memory_equal(copied, "text", sizeof(copied));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copying_tells_which_side_failed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
