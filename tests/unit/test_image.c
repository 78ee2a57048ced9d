/* SPDX-License-Identifier: MIT */
/*
 * Images: strictly valid archives, whose bytes are the same however they are read
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include "image/layout.h"
#include "images.h"

static const struct vector model[] = {
	{"encoder.weight", "FloatStorage", 70001, 4}, /* with a quiet zone */
	{"encoder.bias", "FloatStorage", 1, 4},
	{"steps", "LongStorage", 9, 8},
	{"empty", "FloatStorage", 0, 4},
	{"rotary.inv_freq", "FloatStorage", 32, 4}, /* kept */
	{"decoder.weight", "FloatStorage", 5000, 4},
	{"half", "HalfStorage", 33, 2},
	{NULL, NULL, 0, 0},
};

/* ========================================================================== */
/*                                    Tests                                   */
/* ========================================================================== */

static void every_record_has_the_crc_that_it_states(void **state)
{
	(void)state;
	const char *const modes[] = {"seal", "exact"};
	for (int mode = 0; mode < 2; mode++) {
		struct opened opened;
		open_model(&opened, model, modes[mode]);
		uint8_t *bytes = read_whole(&opened);
		zip_t *archive = open_archive(bytes, opened.size);
		assert_int_equal(zip_get_num_entries(archive, 0), 9);
		for (int i = 0; i < 9; i++) {
			uint8_t *data;
			const char *name = zip_get_name(archive, (zip_uint64_t)i, 0);
			if (read_entry(archive, name, &data) < 0)
				fail_msg("%s: the CRC of %s is wrong", modes[mode], name);
			free(data);
		}
		zip_discard(archive);
		free(bytes);
		close_model(&opened);
	}
}

static void storages_are_converted_or_verbatim(void **state)
{
	(void)state;
	struct opened opened;
	open_model(&opened, model, "seal");
	uint8_t *bytes = read_whole(&opened);
	zip_t *archive = open_archive(bytes, opened.size);
	for (int i = 0; model[i].name; i++) {
		char name[32];
		snprintf(name, sizeof(name), "model/data/%d", i);
		size_t length = (size_t)model[i].numel * model[i].item_size;
		void *source = make_numbers(length, (uint32_t)i);
		uint8_t *data;
		int64_t got = read_entry(archive, name, &data);
		if (i == 0 || i == 1 || i == 5) {
			uint16_t *half = malloc(model[i].numel * 2);
			cvq_kernels(&(size_t){0})[0]->fp16(half, source, model[i].numel);
			assert_true(got >= model[i].numel * 2);
			assert_memory_equal(data, half, model[i].numel * 2);
			free(half);
		} else {
			assert_int_equal(got, length);
			assert_memory_equal(data, source, length);
		}
		free(data);
		free(source);
	}
	const struct cvq_image_summary *summary = cvq_image_summary(opened.image);
	assert_int_equal(summary->storages, 7);
	assert_int_equal(summary->converted_storages, 4);
	zip_discard(archive);
	free(bytes);
	close_model(&opened);
}

/* A seal, and behind records that are worth it a quiet zone. */
static void a_sealed_record_is_this_much_longer(void **state)
{
	(void)state;
	static const struct {
		uint32_t numel;
		uint64_t bytes;
	} cases[] = {
		{1, 2 + 4},
		{32767, 65534 + 4},
		{32768, 65536 + 4 + 4096},
		{1048575, 2097150 + 4 + 4096},
		{1048576, 2097152 + 4 + 135168},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct vector vectors[] = {
			{"weight", "FloatStorage", cases[i].numel, 4}, {NULL, NULL, 0, 0}};
		struct opened opened;
		open_model(&opened, vectors, "seal");
		uint8_t *bytes = read_whole(&opened);
		zip_t *archive = open_archive(bytes, opened.size);
		uint8_t *data;
		assert_int_equal(read_entry(archive, "model/data/0", &data),
				 cases[i].bytes);
		free(data);
		zip_discard(archive);
		free(bytes);
		close_model(&opened);
	}
}

static void checksum_none_states_no_crc_and_adds_nothing(void **state)
{
	(void)state;
	struct opened opened;
	open_model(&opened, model, "none");
	uint8_t *bytes = read_whole(&opened);
	zip_t *archive = open_archive(bytes, opened.size);
	zip_stat_t status;
	assert_int_equal(zip_stat(archive, "model/data/0", 0, &status), 0);
	assert_int_equal(status.crc, 0);
	assert_int_equal(status.size, model[0].numel * 2);
	uint8_t *data;
	assert_true(read_entry(archive, "model/data.pkl", &data) > 0);
	free(data);
	zip_discard(archive);
	free(bytes);
	close_model(&opened);
}

static void payloads_are_aligned(void **state)
{
	(void)state;
	for (uint32_t align = 16; align <= 65536; align *= 2) {
		struct opened opened = {.fd = make_checkpoint(model, ZIP_CM_STORE)};
		assert_int_equal(cvq_policy_init(&opened.policy), 0);
		opened.policy.align = align;
		assert_int_equal(plan(&opened, NULL), 0);
		uint8_t *bytes = read_whole(&opened);
		zip_discard(open_archive(bytes, opened.size));
		assert_int_equal(opened.image->conversion_count, 3);
		for (size_t i = 0; i < opened.image->conversion_count; i++)
			assert_int_equal(opened.image->conversions[i].start % align, 0);
		free(bytes);
		close_model(&opened);
	}
}

static void the_source_tells_the_alignment_if_it_is_one(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t alignment; /* 0: none */
	} cases[] = {{NULL, 64}, {"2", 2},   {"128", 128}, {"65536", 65536},
		     {"0", 0},   {"1", 0},   {"96", 0},    {"131072", 0},
		     {"", 0},    {"-64", 0}, {"64k", 0}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct archive_form form = {.alignment = cases[i].text};
		struct opened opened = {.fd = make_checkpoint_of(model, &form)};
		assert_int_equal(cvq_policy_init(&opened.policy), 0);
		if (cases[i].alignment) {
			assert_int_equal(plan(&opened, NULL), 0);
			for (size_t j = 0; j < opened.image->conversion_count; j++)
				assert_int_equal(opened.image->conversions[j].start %
							 cases[i].alignment,
						 0);
		} else {
			assert_passed_through(&opened, "its storage alignment '");
		}
		close_model(&opened);
	}
}

/* What several threads do to one image at once. */
struct reader {
	struct opened *opened;
	const uint8_t *expected;
	uint32_t seed;
	const char *failure;
};

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void *read_random_ranges(void *argument)
{
	struct reader *reader = argument;
	struct opened *opened = reader->opened;
	uint8_t *buffer = malloc(300000);
	for (int i = 0; i < 2000 && !reader->failure; i++) {
		uint64_t offset = next_random(&reader->seed) % (opened->size + 10);
		size_t most = i % 50 ? 300 : 300000;
		size_t length = next_random(&reader->seed) % most;
		uint64_t left = offset < opened->size ? opened->size - offset : 0;
		ssize_t wanted = (ssize_t)(length < left ? length : left);
		ssize_t got = cvq_image_read(opened->image, &opened->source, buffer, length,
					     offset);
		if (got != wanted)
			reader->failure = "a read has the wrong length";
		else if (memcmp(buffer, reader->expected + offset, (size_t)wanted) != 0)
			reader->failure = "a range differs from the image read in order";
	}
	free(buffer);
	return NULL;
}

static void any_range_by_any_thread_has_the_same_bytes(void **state)
{
	(void)state;
	const char *const modes[] = {"seal", "exact", "none"};
	for (int mode = 0; mode < 3; mode++) {
		struct opened first, second;
		open_model(&first, model, modes[mode]);
		open_model(&second, model, modes[mode]);
		uint8_t *expected = read_whole(&first);
		pthread_t threads[4];
		struct reader readers[4];
		for (uint32_t i = 0; i < 4; i++) {
			readers[i] = (struct reader){&second, expected, i + 1, NULL};
			assert_int_equal(pthread_create(&threads[i], NULL,
							read_random_ranges, &readers[i]),
					 0);
		}
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		for (int i = 0; i < 4; i++)
			if (readers[i].failure)
				fail_msg("%s: %s", modes[mode], readers[i].failure);
		free(expected);
		close_model(&first);
		close_model(&second);
	}
}

static void a_seal_read_first_is_the_same(void **state)
{
	(void)state;
	struct opened in_order, seals_first;
	open_model(&in_order, model, "seal");
	open_model(&seals_first, model, "seal");
	uint8_t *expected = read_whole(&in_order);
	size_t seals = 0;
	for (size_t i = 0; i < seals_first.image->extent_count; i++) {
		const struct cvq_extent *extent = &seals_first.image->extents[i];
		uint8_t seal[4];
		if (extent->kind != EXTENT_SEAL)
			continue;
		for (int byte = 0; byte < 4; byte++)
			read_image(&seals_first, &seal[byte], 1,
				   extent->start + (uint64_t)byte);
		assert_memory_equal(seal, expected + extent->start, 4);
		seals++;
	}
	assert_int_equal(seals, 3);
	free(expected);
	close_model(&in_order);
	close_model(&seals_first);
}

/* What is read ahead of somebody must not cost more than its own bytes. */
static void a_range_with_a_seal_is_at_hand_once_its_record_was_read(void **state)
{
	(void)state;
	struct opened opened;
	uint8_t *buffer = malloc(CVQ_PAGE_BYTES);
	open_model(&opened, model, "seal");
	size_t seals = 0;
	for (size_t i = 0; i < opened.image->extent_count; i++) {
		const struct cvq_extent *seal = &opened.image->extents[i];
		if (seal->kind != EXTENT_SEAL)
			continue;
		const struct cvq_conversion *record =
			&opened.image->conversions[seal->origin];
		uint64_t end = record->start + cvq_conversion_bytes(record);
		/* With all of its record it always is. */
		assert_true(cvq_image_is_at_hand(opened.image,
						 (size_t)(seal->start + 4 - record->start),
						 record->start));
		assert_true(cvq_image_is_at_hand(
			opened.image, (size_t)(end - record->start), record->start));
		assert_false(cvq_image_is_at_hand(opened.image, 4, seal->start));
		for (uint64_t at = record->start; at < end;) {
			size_t length = CVQ_PAGE_BYTES - (size_t)(at % CVQ_PAGE_BYTES);
			length = length < end - at ? length : (size_t)(end - at);
			read_image(&opened, buffer, length, at);
			at += length;
		}
		assert_true(cvq_image_is_at_hand(opened.image, 4, seal->start));
		seals++;
	}
	assert_int_equal(seals, 3);
	free(buffer);
	close_model(&opened);
}

/* Any 32 bits, and so every kind of number that FP32 has. */
static void fill_with_noise(const struct vector *vector, void *numbers, size_t bytes)
{
	uint64_t state = vector->numel;
	for (size_t i = 0; i < bytes / 4; i++) {
		state = state * 6364136223846793005 + 1442695040888963407;
		((uint32_t *)numbers)[i] = (uint32_t)(state >> 32);
	}
}

/* The image that this kernel makes; without one, that of the planned choice. */
static uint8_t *read_with(const struct cvq_kernel *kernel, enum cvq_dtype dtype,
			  enum cvq_overflow overflow, uint64_t *size)
{
	const struct archive_form form = {.change = fill_with_noise};
	struct opened opened = {.fd = make_checkpoint_of(model, &form)};
	assert_int_equal(cvq_policy_init(&opened.policy), 0);
	opened.policy.dtype = dtype;
	opened.policy.overflow = overflow;
	assert_int_equal(plan(&opened, NULL), 0);
	if (kernel)
		opened.image->convert = cvq_kernel_function(kernel, dtype, overflow);
	uint8_t *bytes = read_whole(&opened);
	*size = opened.size;
	close_model(&opened);
	return bytes;
}

/* So it does not depend on the processor. */
static void every_kernel_gives_the_same_image(void **state)
{
	(void)state;
	static const struct {
		enum cvq_dtype dtype;
		enum cvq_overflow overflow;
	} conversions[] = {{CVQ_FP16, CVQ_OVERFLOW_INF},
			   {CVQ_FP16, CVQ_OVERFLOW_CLAMP},
			   {CVQ_BF16, CVQ_OVERFLOW_INF},
			   {CVQ_BF16, CVQ_OVERFLOW_CLAMP}};
	size_t count;
	const struct cvq_kernel *const *kernels = cvq_kernels(&count);
	for (size_t i = 0; i < sizeof(conversions) / sizeof(*conversions); i++) {
		enum cvq_dtype dtype = conversions[i].dtype;
		enum cvq_overflow overflow = conversions[i].overflow;
		uint64_t planned_size, size;
		uint8_t *planned = read_with(NULL, dtype, overflow, &planned_size);
		for (size_t j = 0; j < count; j++) {
			uint8_t *bytes = read_with(kernels[j], dtype, overflow, &size);
			assert_int_equal(size, planned_size);
			if (memcmp(bytes, planned, size) != 0)
				fail_msg("'%s' makes another image", kernels[j]->name);
			free(bytes);
		}
		free(planned);
	}
}

/* Who reads quickly keeps others waiting as long as he computes. */
static void a_seal_is_not_computed_quickly(void **state)
{
	(void)state;
	struct opened opened;
	uint8_t seal[4];
	open_model(&opened, model, "seal");
	struct cvq_source source = opened.source;
	source.quickly = true;
	for (size_t i = 0; i < opened.image->extent_count; i++) {
		const struct cvq_extent *extent = &opened.image->extents[i];
		if (extent->kind == EXTENT_SEAL)
			assert_int_equal(cvq_image_read(opened.image, &source, seal,
							sizeof(seal), extent->start),
					 -EAGAIN);
	}
	assert_int_equal(atomic_load(&opened.counters.bytes_converted), 0);
	close_model(&opened);
}

/* Planning, and looking at every header as torch does, reads next to nothing. */
static void headers_are_read_without_converting(void **state)
{
	(void)state;
	const struct vector vectors[] = {
		{"a", "FloatStorage", 5000000, 4},
		{"b", "FloatStorage", 100000, 4},
		{"c", "FloatStorage", 7, 4},
		{"d", "FloatStorage", 5000000, 4},
		{NULL, NULL, 0, 0},
	};
	struct opened opened;
	open_model(&opened, vectors, "seal");
	uint8_t page[CVQ_PAGE_BYTES];
	for (size_t i = 1; i < opened.image->conversion_count; i++)
		read_image(&opened, page, sizeof(page),
			   (opened.image->conversions[i].start - 100) / sizeof(page) *
				   sizeof(page));
	read_image(&opened, page, sizeof(page), 0);
	if (atomic_load(&opened.counters.bytes_read) > 200000)
		fail_msg("%lu bytes were read", atomic_load(&opened.counters.bytes_read));
	close_model(&opened);
}

/* ========================================================================== */
/*                             Sources that fail                              */
/* ========================================================================== */

/* A source whose reads are counted, and one of which fails. */
struct failing {
	int fd;
	unsigned reads;
	unsigned fails; /* which one, counted from 1; 0: none */
};

static ssize_t read_or_fail(void *context, void *buffer, size_t length, uint64_t offset)
{
	struct failing *failing = context;
	if (++failing->reads == failing->fails) {
		errno = EIO;
		return -EIO;
	}
	return pread(failing->fd, buffer, length, (off_t)offset);
}

/* Reads the extents from the last to the first, so that seals come before their records.
 * Returns how many reads have failed; the others gave what they should. */
static unsigned read_backwards(struct opened *opened, const uint8_t *expected)
{
	unsigned failed = 0;
	for (size_t i = opened->image->extent_count; i-- > 0;) {
		uint64_t start = opened->image->extents[i].start;
		uint64_t end = i + 1 < opened->image->extent_count
				       ? opened->image->extents[i + 1].start
				       : opened->size;
		uint8_t *bytes = malloc(end - start + 1);
		ssize_t got = cvq_image_read(opened->image, &opened->source, bytes,
					     end - start, start);
		if (got == -EIO)
			failed++;
		else if (got != (ssize_t)(end - start) ||
			 memcmp(bytes, expected + start, end - start) != 0)
			fail_msg("extent %zu is read wrongly", i);
		free(bytes);
	}
	return failed;
}

/* And what has failed once is right the next time. */
static void whichever_read_of_the_source_fails_no_byte_is_wrong(void **state)
{
	(void)state;
	const char *const modes[] = {"seal", "exact", "none"};
	for (int mode = 0; mode < 3; mode++) {
		struct opened opened;
		open_model(&opened, model, modes[mode]);
		uint8_t *expected = read_whole(&opened);
		close_model(&opened);
		unsigned failed = 1;
		unsigned fails = 0;
		while (failed) {
			open_model(&opened, model, modes[mode]);
			struct failing failing = {.fd = opened.fd, .fails = ++fails};
			opened.source.read = read_or_fail;
			opened.source.context = &failing;
			failed = read_backwards(&opened, expected);
			assert_int_equal(failed, failing.reads >= fails);
			failing.fails = 0;
			assert_int_equal(read_backwards(&opened, expected), 0);
			close_model(&opened);
		}
		assert_true(fails > 5);
		free(expected);
	}
}

/* ========================================================================== */
/*                                   Writing                                  */
/* ========================================================================== */

static bool report_nothing(void *context, uint64_t written)
{
	(void)context;
	(void)written;
	return true;
}

static ssize_t read_without_room(void *context, void *buffer, size_t length,
				 uint64_t offset)
{
	(void)context;
	(void)buffer;
	(void)length;
	(void)offset;
	return -ENOSPC;
}

/* A full disk may be that of the spill file, or that of what is written. */
static void writing_tells_which_side_failed(void **state)
{
	(void)state;
	const struct cvq_write_watch watch = {report_nothing, NULL};
	struct opened opened;
	open_model(&opened, model, "exact");
	const struct cvq_source unreadable = {.fd = -1, .read = read_without_room};
	int empty = memfd_create("image", MFD_CLOEXEC);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(empty >= 0 && full >= 0);

	bool reading_failed = false;
	assert_int_equal(
		cvq_image_write(opened.image, &unreadable, empty, &watch, &reading_failed),
		-ENOSPC);
	assert_true(reading_failed);
	assert_int_equal(cvq_image_write(opened.image, &opened.source, full, &watch,
					 &reading_failed),
			 -ENOSPC);
	assert_false(reading_failed);
	reading_failed = true;
	assert_int_equal(cvq_image_write(opened.image, &opened.source, empty, &watch,
					 &reading_failed),
			 0);
	assert_false(reading_failed);
	close(full);
	close(empty);
	close_model(&opened);
}

/* ========================================================================== */
/*                                  Bad input                                 */
/* ========================================================================== */

static void what_cannot_convert_says_why(void **state)
{
	(void)state;
	const struct vector integers[] = {{"steps", "LongStorage", 3, 8},
					  {NULL, NULL, 0, 0}};
	struct opened opened = {.fd = make_checkpoint(integers, ZIP_CM_STORE)};
	assert_int_equal(cvq_policy_init(&opened.policy), 0);
	assert_left_alone(&opened, CVQ_ERR_NOTHING, "it holds no FP32 tensor to convert");
	close(opened.fd);

	opened.fd = make_checkpoint(model, ZIP_CM_STORE);
	assert_int_equal(pwrite(opened.fd, "text", 4, 0), 4);
	assert_passed_through(&opened, "it is no checkpoint");
	assert_int_equal(ftruncate(opened.fd, 0), 0);
	assert_passed_through(&opened, "it is empty");
	close_model(&opened);
}

static const struct vector small_model[] = {{"weight", "FloatStorage", 6, 4},
					    {"steps", "LongStorage", 2, 8},
					    {NULL, NULL, 0, 0}};

static void a_cut_file_is_passed_through_at_every_length(void **state)
{
	(void)state;
	pass_through_at_every_length(make_checkpoint(small_model, ZIP_CM_STORE));
}

static void flipped_bits_do_no_harm(void **state)
{
	(void)state;
	flip_every_bit(make_checkpoint(small_model, ZIP_CM_STORE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_record_has_the_crc_that_it_states),
		cmocka_unit_test(storages_are_converted_or_verbatim),
		cmocka_unit_test(a_sealed_record_is_this_much_longer),
		cmocka_unit_test(checksum_none_states_no_crc_and_adds_nothing),
		cmocka_unit_test(payloads_are_aligned),
		cmocka_unit_test(the_source_tells_the_alignment_if_it_is_one),
		cmocka_unit_test(any_range_by_any_thread_has_the_same_bytes),
		cmocka_unit_test(a_seal_read_first_is_the_same),
		cmocka_unit_test(a_range_with_a_seal_is_at_hand_once_its_record_was_read),
		cmocka_unit_test(a_seal_is_not_computed_quickly),
		cmocka_unit_test(every_kernel_gives_the_same_image),
		cmocka_unit_test(headers_are_read_without_converting),
		cmocka_unit_test(whichever_read_of_the_source_fails_no_byte_is_wrong),
		cmocka_unit_test(writing_tells_which_side_failed),
		cmocka_unit_test(what_cannot_convert_says_why),
		cmocka_unit_test(a_cut_file_is_passed_through_at_every_length),
		cmocka_unit_test(flipped_bits_do_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
