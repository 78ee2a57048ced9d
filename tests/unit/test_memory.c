/* SPDX-License-Identifier: MIT */
/*
 * When memory runs out: an error or the right bytes, whichever allocation fails
 *
 * Linked so that the allocations of this project, not those of libraries, come here.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "images.h"
#include "view/view.h"

/* Which allocation from now on fails, counted from 1; 0: none. */
static size_t failing;
static size_t allocations;

static bool fails_now(void)
{
	return ++allocations == failing;
}

/* The linker gives __wrap_NAME to who calls NAME, and __real_NAME is the library's. */
#define WRAP(type, name, parameters, arguments)                                            \
	type __real_##name parameters;                                                     \
	type __wrap_##name parameters;                                                     \
	type __wrap_##name parameters                                                      \
	{                                                                                  \
		return fails_now() ? NULL : __real_##name arguments;                       \
	}
WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t count, size_t size), (count, size))
WRAP(void *, realloc, (void *old, size_t size), (old, size))
WRAP(void *, reallocarray, (void *old, size_t count, size_t size), (old, count, size))
WRAP(char *, strdup, (const char *text), (text))
WRAP(char *, strndup, (const char *text, size_t most), (text, most))

/* ========================================================================== */

static const struct vector model[] = {
	{"encoder.weight", "FloatStorage", 70001, 4},
	{"encoder.bias", "FloatStorage", 7, 4},
	{"steps", "LongStorage", 9, 8},
	{"rotary.inv_freq", "FloatStorage", 32, 4}, /* kept */
	{"decoder.weight", "FloatStorage", 5000, 4},
	{NULL, NULL, 0, 0},
};

#define BUFFER_BYTES 1000000

/* Plans, reads from the end on, and describes; the bytes go to 'bytes'. */
static cvq_err convert(struct opened *opened, const char *checksum, uint8_t *bytes)
{
	struct cvq_reason reason;
	cvq_err err = cvq_policy_init(&opened->policy);
	err = err ? err : cvq_policy_set(&opened->policy, "checksum", checksum, &reason);
	err = err ? err : cvq_policy_set(&opened->policy, "keep-tensor", "none", &reason);
	err = err ? err : plan(opened, &reason);
	for (uint64_t at = opened->size; !err && at > 0;) {
		size_t length = at < 8191 ? (size_t)at : 8191;
		at -= length;
		ssize_t got = cvq_image_read(opened->image, &opened->source, bytes + at,
					     length, at);
		err = got < 0 ? (cvq_err)got : 0;
	}
	return err;
}

static void forget(struct opened *opened)
{
	cvq_image_unref(opened->image);
	cvq_policy_release(&opened->policy);
	*opened = (struct opened){.fd = opened->fd};
}

static void check_every_allocation(zip_uint16_t method, const char *checksum)
{
	static uint8_t expected[BUFFER_BYTES], bytes[BUFFER_BYTES];
	struct opened opened = {.fd = make_checkpoint(model, method)};
	assert_int_equal(convert(&opened, checksum, expected), 0);
	uint64_t size = opened.size;
	assert_in_range(size, 1, BUFFER_BYTES);
	forget(&opened);

	size_t last = 0;
	for (bool failed = true; failed; last++) {
		memset(bytes, 0, size);
		allocations = 0;
		failing = last + 1;
		cvq_err err = convert(&opened, checksum, bytes);
		failed = allocations >= failing;
		failing = 0;
		if (err != -ENOMEM &&
		    (err || opened.size != size || memcmp(bytes, expected, size) != 0))
			fail_msg("allocation %zu fails: %s", last + 1,
				 err ? strerror(-err) : "the image is another one");
		if (!failed)
			assert_int_equal(err, 0);
		forget(&opened);
	}
	assert_true(last > 20);
	close(opened.fd);
}

static void of_an_archive(void **state)
{
	(void)state;
	check_every_allocation(ZIP_CM_STORE, "seal");
	check_every_allocation(ZIP_CM_STORE, "exact");
}

static void of_a_compressed_archive(void **state)
{
	(void)state;
	check_every_allocation(ZIP_CM_DEFLATE, "seal");
}

/* What a mount does with a file from its start to its end. */
static cvq_err look(const char *folder, const char *file, char **description,
		    unsigned char *byte)
{
	struct cvq_policy policy;
	struct cvq_view *view = NULL;
	struct cvq_entry entry = {0};
	cvq_err err = cvq_policy_init(&policy);
	err = err ? err : cvq_view_open(folder, &policy, false, &view);
	err = err ? err : cvq_view_lookup(view, file, &entry);
	if (!err) {
		cleanup_content struct cvq_content content;
		struct cvq_reason reason;
		ssize_t got = cvq_view_open_file(view, file, &entry, &content);
		if (!got)
			got = cvq_view_read(view, &entry, &content, byte, 1, 0, &reason);
		err = got < 0 ? (cvq_err)got : 0;
		*description = cvq_view_describe(view, &entry);
	}
	cvq_entry_release(&entry);
	cvq_view_close(view);
	cvq_policy_release(&policy);
	return err;
}

static void of_a_view(void **state)
{
	(void)state;
	char folder[] = "/tmp/cvq-test-XXXXXX";
	char path[64];
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/model.pt", folder);
	cleanup_fd int from = make_checkpoint(model, ZIP_CM_STORE);
	cleanup_fd int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_equal(sendfile(to, from, NULL, file_size(from)), file_size(from));

	char *expected = NULL;
	unsigned char byte;
	assert_int_equal(look(folder, "model.pt", &expected, &byte), 0);
	assert_true(expected && strstr(expected, "\"converted\""));
	for (size_t next = 1, failed = true; failed; next++) {
		char *description = NULL;
		allocations = 0;
		failing = next;
		cvq_err err = look(folder, "model.pt", &description, &byte);
		failed = allocations >= failing;
		failing = 0;
		if (err ? err != -ENOMEM : byte != 'P')
			fail_msg("allocation %zu fails: %s", next, strerror(-err));
		if (description)
			assert_string_equal(description, expected);
		free(description);
	}
	free(expected);
	unlink(path);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_an_archive),
		cmocka_unit_test(of_a_compressed_archive),
		cmocka_unit_test(of_a_view),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
