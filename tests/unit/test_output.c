/* SPDX-License-Identifier: MIT */
/*
 * What cvq convert writes files with
 */
#include <string.h>
#include <sys/mman.h>

#include "cli/copy.c"   // NOLINT(bugprone-suspicious-include): cvq_cli has output.c, too
#include "cli/output.c" // NOLINT(bugprone-suspicious-include): for temporary_path()

#include <fcntl.h>

#include "base/cleanup.h"
#include "fixture.h"

/* ========================================================================== */
/*                                   Copying                                  */
/* ========================================================================== */

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

/* ========================================================================== */
/*                               Temporary names                              */
/* ========================================================================== */

struct fixture {
	char path[32];
	int folder;
};

static int set_up(void **state)
{
	struct fixture *fixture = malloc(sizeof(*fixture));
	strcpy(fixture->path, "/tmp/cvq-test-XXXXXX");
	if (!mkdtemp(fixture->path))
		return -1;
	fixture->folder = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = fixture;
	return fixture->folder < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	close(fixture->folder);
	int left = rmdir(fixture->path); /* fails if anything is left there */
	free(fixture);
	return left;
}

static void put(const struct fixture *fixture, const char *name, const char *text)
{
	cleanup_fd int fd = openat(fixture->folder, name,
				   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* The file has this text, and is gone afterwards. */
static void take(const struct fixture *fixture, const char *name, const char *text)
{
	char found[16] = "";
	cleanup_fd int fd = openat(fixture->folder, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail_msg("'%s' is not there", name);
	assert_true(read(fd, found, sizeof(found) - 1) >= 0);
	assert_string_equal(found, text);
	assert_int_equal(unlinkat(fixture->folder, name, 0), 0);
}

/* A hard link, a symbolic one or a file of the source: none is written to or removed. */
static void what_has_the_temporary_name_is_left_alone(void **state)
{
	const struct fixture *fixture = *state;
	cleanup_free char *first = temporary_path("file", 0);
	cleanup_free char *second = temporary_path("file", 1);
	assert_non_null(first);
	assert_non_null(second);
	put(fixture, "private", "secret");
	assert_int_equal(linkat(fixture->folder, "private", fixture->folder, first, 0), 0);
	assert_int_equal(symlinkat("private", fixture->folder, second), 0);

	struct cvq_output output;
	assert_int_equal(cvq_output_begin(&output, fixture->folder, "file"), 0);
	assert_int_equal(cvq_write_all(output.fd, "new", 3, 0), 0);
	assert_int_equal(cvq_output_finish(&output, NULL), 0);
	cvq_output_release(&output);
	assert_int_equal(cvq_output_begin(&output, fixture->folder, "other"), 0);
	cvq_output_release(&output);

	take(fixture, "file", "new");
	take(fixture, first, "secret");
	take(fixture, second, "secret");
	take(fixture, "private", "secret");
	assert_int_equal(faccessat(fixture->folder, "other", F_OK, 0), -1);
}

static void the_search_for_a_name_ends(void **state)
{
	const struct fixture *fixture = *state;
	for (unsigned i = 0; i < MOST_NAMES; i++) {
		cleanup_free char *name = temporary_path("file", i);
		put(fixture, name, "old");
	}
	struct cvq_output output;
	assert_int_equal(cvq_output_begin(&output, fixture->folder, "file"), -EEXIST);
	cvq_output_release(&output);
	for (unsigned i = 0; i < MOST_NAMES; i++) {
		cleanup_free char *name = temporary_path("file", i);
		take(fixture, name, "old");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copying_tells_which_side_failed),
		TEST(what_has_the_temporary_name_is_left_alone),
		TEST(the_search_for_a_name_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
