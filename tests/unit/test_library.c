/* SPDX-License-Identifier: MIT */
/*
 * libcvq as programs have it: the shared library and its header, nothing behind them
 */
#include "cvq/cvq.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <unistd.h>

#include "checkpoints.h"

static const struct vector model[] = {
	{"encoder.weight", "FloatStorage", 70001, 4},
	{"encoder.bias", "FloatStorage", 7, 4},
	{"steps", "LongStorage", 9, 8},
	{"rotary.inv_freq", "FloatStorage", 32, 4}, /* kept */
	{NULL, NULL, 0, 0},
};

/* A file without a name, and one that names it. */
struct subject {
	int fd;
	char path[32];
};

static struct subject name_of(int fd)
{
	struct subject subject = {.fd = fd};
	assert_true(fd >= 0);
	snprintf(subject.path, sizeof(subject.path), "/proc/self/fd/%d", fd);
	return subject;
}

static struct subject make_model(void)
{
	return name_of(make_checkpoint(model, ZIP_CM_STORE));
}

static struct subject make_text(const char *text)
{
	char path[] = "/tmp/cvq-test-XXXXXX";
	struct subject subject = name_of(mkstemp(path));
	unlink(path);
	assert_int_equal(write(subject.fd, text, strlen(text)), strlen(text));
	return subject;
}

static struct cvq_file *open_with(const struct subject *subject,
				  const struct cvq_options *options)
{
	struct cvq_file *file;
	int err = cvq_open(subject->path, options, &file);
	if (err)
		fail_msg("cvq_open: %s", strerror(-err));
	return file;
}

static uint8_t *read_whole(struct cvq_file *file)
{
	uint64_t size = cvq_size(file);
	uint8_t *bytes = malloc(size);
	assert_int_equal(cvq_read(file, bytes, size, 0), size);
	return bytes;
}

/* Of the archive that is the image: this record begins with 'expected'. */
static uint64_t check_record(struct cvq_file *file, const char *name, const void *expected,
			     size_t length)
{
	uint8_t *bytes = read_whole(file);
	zip_t *archive = open_archive(bytes, cvq_size(file));
	uint8_t *record;
	int64_t got = read_entry(archive, name, &record);
	assert_true(got >= (int64_t)length);
	assert_memory_equal(record, expected, length);
	free(record);
	zip_discard(archive);
	free(bytes);
	return (uint64_t)got;
}

static json_t *describe(const struct cvq_file *file)
{
	char *text = cvq_describe(file);
	assert_non_null(text);
	json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(object);
	free(text);
	return object;
}

/* ========================================================================== */
/*                                 Converting                                 */
/* ========================================================================== */

static void a_checkpoint_is_read_as_fp16(void **state)
{
	(void)state;
	struct subject subject = make_model();
	struct cvq_file *file = open_with(&subject, NULL);
	assert_null(cvq_reason(file));
	assert_true(cvq_size(file) < file_size(subject.fd));

	float *numbers = make_numbers(sizeof(float) * 70001, 0);
	uint16_t *half = malloc(sizeof(uint16_t) * 70001);
	cvq_convert(half, numbers, 70001, CVQ_FP16, CVQ_OVERFLOW_INF);
	check_record(file, "model/data/0", half, sizeof(uint16_t) * 70001);
	free(numbers);
	free(half);
	numbers = make_numbers(sizeof(float) * 32, 3);
	check_record(file, "model/data/3", numbers, sizeof(float) * 32);
	free(numbers);
	cvq_close(file);
	close(subject.fd);
}

static void the_description_tells_what_became_of_it(void **state)
{
	(void)state;
	struct subject subject = make_model();
	struct cvq_file *file = open_with(&subject, NULL);
	json_t *object = describe(file);
	const char *how;
	const char *dtype;
	json_int_t source_size;
	json_int_t view_size;
	json_int_t storages;
	json_int_t converted;
	assert_int_equal(json_unpack(object, "{s:s, s:s, s:I, s:I, s:I, s:I}", "state",
				     &how, "dtype", &dtype, "source_size", &source_size,
				     "view_size", &view_size, "storages", &storages,
				     "converted_storages", &converted),
			 0);
	assert_string_equal(how, "converted");
	assert_string_equal(dtype, "fp16");
	assert_int_equal(source_size, file_size(subject.fd));
	assert_int_equal(view_size, cvq_size(file));
	assert_int_equal(storages, 4);
	assert_int_equal(converted, 2);
	assert_null(json_object_get(object, "reason"));
	json_decref(object);
	cvq_close(file);
	close(subject.fd);
}

static void what_is_no_checkpoint_is_passed_through(void **state)
{
	(void)state;
	struct subject subject = make_text("not a checkpoint");
	struct cvq_file *file = open_with(&subject, NULL);
	char bytes[32];
	assert_non_null(cvq_reason(file));
	assert_int_equal(cvq_size(file), 16);
	assert_int_equal(cvq_read(file, bytes, sizeof(bytes), 0), 16);
	assert_memory_equal(bytes, "not a checkpoint", 16);

	json_t *object = describe(file);
	assert_string_equal(json_string_value(json_object_get(object, "state")),
			    "passthrough");
	assert_string_equal(json_string_value(json_object_get(object, "reason")),
			    cvq_reason(file));
	assert_true(json_is_null(json_object_get(object, "dtype")));
	assert_true(json_is_null(json_object_get(object, "storages")));
	assert_int_equal(json_integer_value(json_object_get(object, "converted_storages")),
			 0);
	json_decref(object);
	cvq_close(file);
	close(subject.fd);
}

/* ========================================================================== */
/*                                   Options                                  */
/* ========================================================================== */

static void options_say_how_it_is_converted(void **state)
{
	(void)state;
	struct subject subject = make_model();
	const char *const keep[] = {"encoder.*", NULL};
	struct cvq_options options = CVQ_OPTIONS_DEFAULT;
	struct cvq_file *file;

	options.dtype = CVQ_BF16;
	options.overflow = CVQ_OVERFLOW_CLAMP;
	file = open_with(&subject, &options);
	float *numbers = make_numbers(sizeof(float) * 7, 1);
	uint16_t brain[7];
	cvq_convert(brain, numbers, 7, CVQ_BF16, CVQ_OVERFLOW_CLAMP);
	check_record(file, "model/data/1", brain, sizeof(brain));
	cvq_close(file);

	options.checksum = CVQ_CHECKSUM_EXACT; /* no seal */
	file = open_with(&subject, &options);
	assert_int_equal(check_record(file, "model/data/1", brain, sizeof(brain)),
			 sizeof(brain));
	free(numbers);
	cvq_close(file);

	uint64_t before = 0;
	for (options.align = 64; options.align <= 4096; options.align *= 64) {
		file = open_with(&subject, &options);
		assert_true(cvq_size(file) > before);
		before = cvq_size(file);
		cvq_close(file);
	}

	options.align = 0;
	options.keep_tensors = keep;
	file = open_with(&subject, &options);
	assert_non_null(cvq_reason(file)); /* nothing is left to convert */
	assert_int_equal(cvq_size(file), file_size(subject.fd));
	cvq_close(file);
	close(subject.fd);
}

static void options_out_of_range_are_refused(void **state)
{
	(void)state;
	struct subject subject = make_model();
	const struct cvq_options good = CVQ_OPTIONS_DEFAULT;
	struct cvq_options bad[8];
	for (size_t i = 0; i < 8; i++)
		bad[i] = good;
	bad[0].sizeof_options = 0;
	bad[1].sizeof_options = sizeof(good) + 8;
	bad[2].dtype = (enum cvq_dtype)2;
	bad[3].overflow = (enum cvq_overflow)2;
	bad[4].checksum = (enum cvq_checksum)3;
	bad[5].align = 8;
	bad[6].align = 96;
	bad[7].align = 131072;
	for (size_t i = 0; i < 8; i++) {
		struct cvq_file *file = NULL;
		if (cvq_open(subject.path, &bad[i], &file) != -EINVAL)
			fail_msg("options number %zu were taken", i);
		assert_null(file);
	}
	close(subject.fd);
}

/* ========================================================================== */
/*                                   Reading                                  */
/* ========================================================================== */

static void reads_are_short_only_at_the_end(void **state)
{
	(void)state;
	struct subject subject = make_model();
	struct cvq_file *file = open_with(&subject, NULL);
	uint8_t *whole = read_whole(file);
	uint64_t size = cvq_size(file);
	uint8_t piece[100];
	for (uint64_t at = 0; at < size + 200; at += 97) {
		uint64_t left = at < size ? size - at : 0;
		size_t expected = left < sizeof(piece) ? left : sizeof(piece);
		assert_int_equal(cvq_read(file, piece, sizeof(piece), at), expected);
		assert_memory_equal(piece, whole + (expected ? at : 0), expected);
	}
	assert_int_equal(cvq_read(file, piece, 0, 0), 0);
	assert_int_equal(cvq_read(file, piece, sizeof(piece), UINT64_MAX), 0);
	free(whole);
	cvq_close(file);
	close(subject.fd);
}

struct reader {
	pthread_t thread;
	struct cvq_file *file;
	const uint8_t *whole;
	unsigned seed;
	bool differs;
};

static void *read_at_random(void *argument)
{
	struct reader *reader = argument;
	uint64_t size = cvq_size(reader->file);
	uint8_t piece[5000];
	for (int i = 0; i < 500; i++) {
		uint64_t at = (uint64_t)rand_r(&reader->seed) % (size - sizeof(piece));
		ssize_t got = cvq_read(reader->file, piece, sizeof(piece), at);
		if (got != sizeof(piece) ||
		    memcmp(piece, reader->whole + at, sizeof(piece)) != 0)
			reader->differs = true;
	}
	return NULL;
}

/* Here the records are compressed, and inflated when the first thread wants them. */
static void threads_read_one_file_at_once(void **state)
{
	(void)state;
	struct subject subject = name_of(make_checkpoint(model, ZIP_CM_DEFLATE));
	struct cvq_file *first = open_with(&subject, NULL);
	struct cvq_file *second = open_with(&subject, NULL);
	uint8_t *whole = read_whole(first);
	struct reader readers[4];
	for (unsigned i = 0; i < 4; i++) {
		readers[i] = (struct reader){.file = second, .whole = whole, .seed = i};
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_at_random,
						&readers[i]),
				 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_false(readers[i].differs);
	}
	free(whole);
	cvq_close(first);
	cvq_close(second);
	close(subject.fd);
}

/* ========================================================================== */
/*                                  Bad input                                 */
/* ========================================================================== */

static void two_versions_are_never_mixed(void **state)
{
	(void)state;
	const struct subject subjects[] = {make_model(), make_text("some text")};
	for (size_t i = 0; i < 2; i++) {
		struct cvq_file *file = open_with(&subjects[i], NULL);
		uint64_t size = cvq_size(file);
		char byte;
		assert_int_equal(cvq_read(file, &byte, 1, 0), 1);
		assert_int_equal(pwrite(subjects[i].fd, "x", 1, 3), 1);
		assert_int_equal(cvq_read(file, &byte, 1, 0), -EIO);
		assert_int_equal(cvq_size(file), size);
		cvq_close(file);
		close(subjects[i].fd);
	}
}

static void what_is_no_regular_file_is_refused(void **state)
{
	(void)state;
	struct cvq_file *file = NULL;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	struct subject pipe_end = name_of(ends[0]);
	assert_int_equal(cvq_open("/nowhere/at/all", NULL, &file), -ENOENT);
	assert_int_equal(cvq_open("/tmp", NULL, &file), -EISDIR);
	assert_int_equal(cvq_open("/dev/null", NULL, &file), -ESPIPE);
	assert_int_equal(cvq_open(pipe_end.path, NULL, &file), -ESPIPE);
	assert_null(file);
	cvq_close(NULL);
	close(ends[0]);
	close(ends[1]);
}

/* ========================================================================== */
/*                                   Numbers                                  */
/* ========================================================================== */

static void numbers_of_any_alignment_are_converted(void **state)
{
	(void)state;
	static const float numbers[] = {1.0f, -2.5f, 65504.0f, 1e6f, 5.960464e-8f, 0.1f};
	static const uint16_t half[] = {0x3c00, 0xc100, 0x7bff, 0x7c00, 0x0001, 0x2e66};
	static const uint16_t clamped[] = {0x3c00, 0xc100, 0x7bff, 0x7bff, 0x0001, 0x2e66};
	static const uint16_t brain[] = {0x3f80, 0xc020, 0x4780, 0x4974, 0x3380, 0x3dcd};
	for (size_t shift = 0; shift < 4; shift++) {
		char from[sizeof(numbers) + 4];
		char to[sizeof(half) + 4];
		memcpy(from + shift, numbers, sizeof(numbers));
		cvq_convert(to + shift, from + shift, 6, CVQ_FP16, CVQ_OVERFLOW_INF);
		assert_memory_equal(to + shift, half, sizeof(half));
		cvq_convert(to + shift, from + shift, 6, CVQ_FP16, CVQ_OVERFLOW_CLAMP);
		assert_memory_equal(to + shift, clamped, sizeof(clamped));
		cvq_convert(to + shift, from + shift, 6, CVQ_BF16, CVQ_OVERFLOW_INF);
		assert_memory_equal(to + shift, brain, sizeof(brain));
	}
	assert_true(strlen(cvq_kernel_name()) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_checkpoint_is_read_as_fp16),
		cmocka_unit_test(the_description_tells_what_became_of_it),
		cmocka_unit_test(what_is_no_checkpoint_is_passed_through),
		cmocka_unit_test(options_say_how_it_is_converted),
		cmocka_unit_test(options_out_of_range_are_refused),
		cmocka_unit_test(reads_are_short_only_at_the_end),
		cmocka_unit_test(threads_read_one_file_at_once),
		cmocka_unit_test(two_versions_are_never_mixed),
		cmocka_unit_test(what_is_no_regular_file_is_refused),
		cmocka_unit_test(numbers_of_any_alignment_are_converted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
