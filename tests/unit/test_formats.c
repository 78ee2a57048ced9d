/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints that torch does not write here and now: legacy streams, compressed
 * archives, numbers of the other byte order; and safetensors
 */
#include "images.h"

#include "numeric/swap.h"

/* ========================================================================== */
/*                               Legacy streams                               */
/* ========================================================================== */

#define WEIGHTS 5
#define STEPS   2
#define BIASES  3

static void emit_legacy_tensor(struct cvq_buffer *out, const char *name, const char *type,
			       const char *key, uint32_t numel)
{
	emit_string(out, name);
	emit(out, "ctorch._utils\n_rebuild_tensor_v2\n(");
	emit_storage_fields(out, type, key, numel);
	emit(out, "NtQ");
	emit_view(out, 0, numel);
}

static void emit_legacy_storage(struct cvq_buffer *out, uint64_t numel, const void *data,
				size_t bytes)
{
	cvq_buffer_append_u64(out, numel);
	cvq_buffer_append(out, data, bytes);
}

/* The stream of a state dict, as torch writes it or as its image should be. */
static void emit_stream(struct cvq_buffer *out, bool image)
{
	const char *type = image ? "HalfStorage" : "FloatStorage";
	const float weights[WEIGHTS] = {0.5f, -2.0f, 65504.0f, 1e6f, 0.0f};
	const uint16_t half_weights[WEIGHTS] = {0x3800, 0xc000, 0x7bff, 0x7c00, 0};
	const float biases[BIASES] = {1.0f, 2.0f, -0.25f};
	const uint16_t half_biases[BIASES] = {0x3c00, 0x4000, 0xb400};
	const uint64_t steps[STEPS] = {7, 8};

	emit(out, "\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.");
	emit(out, "\x80\x02M\xe9\x03.");
	emit(out, "\x80\x02}q\x00.");
	emit(out, "\x80\x02}(");
	emit_legacy_tensor(out, "weight", type, "94810", WEIGHTS);
	emit_legacy_tensor(out, "steps", "LongStorage", "1204", STEPS);
	emit_legacy_tensor(out, "bias", type, "700", BIASES);
	emit(out, "u.\x80\x02]q\x00(");
	emit_string(out, "1204");
	emit_string(out, "700");
	emit_string(out, "94810");
	emit(out, "e.");
	emit_legacy_storage(out, STEPS, steps, sizeof(steps));
	if (image) {
		emit_legacy_storage(out, BIASES, half_biases, sizeof(half_biases));
		emit_legacy_storage(out, WEIGHTS, half_weights, sizeof(half_weights));
	} else {
		emit_legacy_storage(out, BIASES, biases, sizeof(biases));
		emit_legacy_storage(out, WEIGHTS, weights, sizeof(weights));
	}
}

static int make_file(const struct cvq_buffer *bytes)
{
	char path[] = "/tmp/cvq-test-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, bytes->data, bytes->length), bytes->length);
	return fd;
}

static int make_stream(void)
{
	cleanup_buffer struct cvq_buffer stream = {0};
	emit_stream(&stream, false);
	return make_file(&stream);
}

/* Plans the image of 'fd', which it takes over. */
static void open_file(struct opened *opened, int fd, const char *checksum)
{
	*opened = (struct opened){.fd = fd};
	assert_int_equal(cvq_policy_init(&opened->policy), 0);
	assert_int_equal(cvq_policy_set(&opened->policy, "checksum", checksum, NULL), 0);
	struct cvq_reason reason = {""};
	if (plan(opened, &reason))
		fail_msg("not converted: %s", reason.text);
}

static void a_legacy_stream_is_half_as_long_and_else_the_same(void **state)
{
	(void)state;
	const char *const modes[] = {"seal", "exact", "none"};
	cleanup_buffer struct cvq_buffer stream = {0}, expected = {0};
	emit_stream(&stream, false);
	emit_stream(&expected, true);
	/* Somebody saved a second object into the file. */
	emit(&stream, "\x80\x02N.");
	emit(&expected, "\x80\x02N.");
	for (int mode = 0; mode < 3; mode++) {
		struct opened opened;
		open_file(&opened, make_file(&stream), modes[mode]);
		assert_int_equal(opened.size, expected.length);
		uint8_t *bytes = read_whole(&opened);
		assert_memory_equal(bytes, expected.data, expected.length);
		for (uint64_t at = 0; at < opened.size; at++) {
			uint8_t piece[3];
			size_t length = opened.size - at < 3 ? opened.size - at : 3;
			read_image(&opened, piece, length, at);
			assert_memory_equal(piece, expected.data + at, length);
		}
		free(bytes);
		close_model(&opened);
	}
}

static void a_cut_stream_is_passed_through_at_every_length(void **state)
{
	(void)state;
	pass_through_at_every_length(make_stream());
}

static void flipped_bits_of_a_stream_do_no_harm(void **state)
{
	(void)state;
	flip_every_bit(make_stream());
}

/* Replaces the last 'text' of the stream, which must be there. */
static void refuse_stream_with(const char *text, const char *other, size_t length,
			       const char *why)
{
	cleanup_buffer struct cvq_buffer stream = {0};
	emit_stream(&stream, false);
	size_t at = stream.length - length;
	while (at > 0 && memcmp(stream.data + at, text, length) != 0)
		at--;
	assert_true(at > 0);
	memcpy(stream.data + at, other, length);

	struct opened opened = {.fd = make_file(&stream)};
	assert_int_equal(cvq_policy_init(&opened.policy), 0);
	assert_passed_through(&opened, why);
	close_model(&opened);
}

static void a_stream_that_contradicts_itself_is_passed_through(void **state)
{
	(void)state;
	refuse_stream_with("\x03\0\0\0\0\0\0\0", "\x04\0\0\0\0\0\0\0", 8,
			   "another length than its pickle says");
	refuse_stream_with("94810", "94811", 5, "list of keys does not fit");
	refuse_stream_with("X\x03\0\0\0"
			   "700",
			   "X\x03\0\0\0"
			   "120",
			   8, "list of keys does not fit");
	refuse_stream_with("M\xe9\x03", "M\xe8\x03", 3, "unknown protocol version");
}

/* ========================================================================== */
/*                                Compression                                 */
/* ========================================================================== */

static const struct vector model[] = {
	{"encoder.weight", "FloatStorage", 70001, 4},
	{"steps", "LongStorage", 9, 8},
	{"empty", "FloatStorage", 0, 4},
	{"rotary.inv_freq", "FloatStorage", 32, 4}, /* kept */
	{"decoder.weight", "FloatStorage", 5000, 4},
	{NULL, NULL, 0, 0},
};

/* Two images of the same bytes, read in the same pieces. */
static void assert_same_image(struct opened *a, struct opened *b)
{
	assert_int_equal(a->size, b->size);
	for (uint64_t at = a->size; at > 0;) { /* from the end, where the seals are */
		uint8_t one[8191], other[8191];
		size_t length = at < sizeof(one) ? (size_t)at : sizeof(one);
		at -= length;
		read_image(a, one, length, at);
		read_image(b, other, length, at);
		if (memcmp(one, other, length) != 0)
			fail_msg("the images differ between %zu and %zu", (size_t)at,
				 (size_t)at + length);
	}
}

static void a_compressed_archive_has_the_same_image(void **state)
{
	(void)state;
	struct opened stored, deflated;
	open_file(&stored, make_checkpoint(model, ZIP_CM_STORE), "seal");
	open_file(&deflated, make_checkpoint(model, ZIP_CM_DEFLATE), "seal");
	assert_same_image(&stored, &deflated);
	close_model(&stored);
	close_model(&deflated);
}

static void a_damaged_compressed_record_is_an_error_when_it_is_read(void **state)
{
	(void)state;
	struct opened opened;
	open_file(&opened, make_checkpoint(model, ZIP_CM_DEFLATE), "none");
	uint8_t *bytes = malloc(opened.size);
	/* In the middle of the largest record. */
	assert_int_equal(pwrite(opened.fd, "damage!!", 8, 100000), 8);
	assert_int_equal(
		cvq_image_read(opened.image, &opened.source, bytes, opened.size, 0),
		-EBADMSG);
	read_image(&opened, bytes, 10000, opened.size - 10000); /* the others are well */
	free(bytes);
	close_model(&opened);
}

/* The pickle is a string of so many zeros. */
static int make_bomb(uint32_t zeros)
{
	char path[] = "/tmp/cvq-test-XXXXXX";
	close(mkstemp(path));
	zip_t *archive = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
	cleanup_buffer struct cvq_buffer pickle = {0};
	emit(&pickle, "\x80\x02X");
	cvq_buffer_append_u32(&pickle, zeros);
	cvq_buffer_append_fill(&pickle, 0, zeros);
	emit(&pickle, ".");
	add_entry(archive, "model/data.pkl", pickle.data, pickle.length, ZIP_CM_DEFLATE);
	add_entry(archive, "model/version", "3\n", 2, ZIP_CM_STORE);
	assert_int_equal(zip_close(archive), 0);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	unlink(path);
	return fd;
}

static void refuse_bomb(uint32_t zeros, cvq_err code, const char *why)
{
	struct opened opened = {.fd = make_bomb(zeros)};
	assert_int_equal(cvq_policy_init(&opened.policy), 0);
	assert_left_alone(&opened, code, why);
	close_model(&opened);
}

static void a_small_file_with_a_large_pickle_is_passed_through(void **state)
{
	(void)state;
	refuse_bomb(1000000, CVQ_ERR_NOTHING, "no FP32");
	refuse_bomb(4000000, CVQ_ERR_CONTENT, "64 times as large as the file");
}

/* ========================================================================== */
/*                                 Byte order                                 */
/* ========================================================================== */

static const struct vector all_types[] = {
	{"weight", "FloatStorage", 70001, 4},
	{"bias.inv_freq", "FloatStorage", 3, 4}, /* kept */
	{"double", "DoubleStorage", 8193, 8},
	{"half", "HalfStorage", 5, 2},
	{"bfloat16", "BFloat16Storage", 40000, 2},
	{"long", "LongStorage", 1, 8},
	{"int", "IntStorage", 7, 4},
	{"short", "ShortStorage", 9, 2},
	{"byte", "ByteStorage", 11, 1},
	{"bool", "BoolStorage", 3, 1},
	{"complex", "ComplexFloatStorage", 6, 8},
	{"complex128", "ComplexDoubleStorage", 4100, 16},
	{"empty", "FloatStorage", 0, 4},
	{"none", "DoubleStorage", 0, 8},
	{NULL, NULL, 0, 0},
};

static void turn_round(const struct vector *vector, void *numbers, size_t bytes)
{
	size_t word =
		strstr(vector->type, "Complex") ? vector->item_size / 2 : vector->item_size;
	cvq_swap_words(numbers, word, bytes / word);
}

static int make_big_endian(void)
{
	return make_checkpoint_of(all_types, &(struct archive_form){
						     .method = ZIP_CM_STORE,
						     .byte_order = "big",
						     .change = turn_round,
					     });
}

static void a_big_endian_archive_has_the_image_of_its_twin(void **state)
{
	(void)state;
	const struct archive_form form = {.method = ZIP_CM_STORE, .byte_order = "little"};
	struct opened little, big;
	open_file(&little, make_checkpoint_of(all_types, &form), "exact");
	open_file(&big, make_big_endian(), "exact");
	assert_same_image(&little, &big);
	close_model(&little);
	close_model(&big);
}

static void every_crc_of_a_big_endian_archive_is_true(void **state)
{
	(void)state;
	struct opened opened;
	open_file(&opened, make_big_endian(), "seal");
	uint8_t *bytes = read_whole(&opened);
	zip_t *archive = open_archive(bytes, opened.size);
	/* data.pkl, byteorder, the storages and version. */
	assert_int_equal(zip_get_num_entries(archive, 0), 3 + 14);
	for (zip_int64_t i = 0; i < zip_get_num_entries(archive, 0); i++) {
		uint8_t *data;
		const char *name = zip_get_name(archive, (zip_uint64_t)i, 0);
		if (read_entry(archive, name, &data) < 0)
			fail_msg("the CRC of %s is wrong", name);
		free(data);
	}
	zip_discard(archive);
	free(bytes);
	close_model(&opened);
}

/* ========================================================================== */
/*                                 safetensors                                */
/* ========================================================================== */

/* A file of that header, filled up with blanks to 'width', and data. */
static int make_safetensors(const char *header, size_t width, const void *data,
			    size_t bytes)
{
	cleanup_buffer struct cvq_buffer file = {0};
	cvq_buffer_append_u64(&file, width);
	cvq_buffer_append(&file, header, strlen(header));
	cvq_buffer_append_fill(&file, ' ', width - strlen(header));
	cvq_buffer_append(&file, data, bytes);
	return make_file(&file);
}

/* Three halves, one of which is FP32 in the source; and one number that is kept. */
static const char safetensors_header[] =
	"{\"__metadata__\":{\"format\":\"pt\"},"
	"\"w\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]},"
	"\"a.inv_freq\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,8]},"
	"\"h\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[8,12]}}";
static const uint8_t safetensors_data[12] = {0, 0, 0xc0, 0x3f, 1, 2, 3, 4, 5, 6, 7, 8};

static int make_small_safetensors(void)
{
	return make_safetensors(safetensors_header, 240, safetensors_data, 12);
}

static void safetensors_are_ordered_by_the_size_of_their_elements(void **state)
{
	(void)state;
	const char expected[] =
		"{\"__metadata__\":{\"format\":\"pt\"},"
		"\"w\":{\"dtype\":\"F16\",\"shape\":[1,1],\"data_offsets\":[4,6]},"
		"\"a.inv_freq\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
		"\"h\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[6,10]}}";
	const uint8_t data[] = {1, 2, 3, 4, 0x00, 0x3e, 5, 6, 7, 8};
	struct opened opened;
	open_file(&opened, make_small_safetensors(), "seal");
	size_t width = (strlen(expected) + 7) / 8 * 8;
	assert_int_equal(opened.size, 8 + width + sizeof(data));
	uint8_t *bytes = read_whole(&opened);
	assert_int_equal(bytes[0] + bytes[1] * 256, width);
	assert_memory_equal(bytes + 8, expected, strlen(expected));
	assert_memory_equal(bytes + 8 + width, data, sizeof(data));
	free(bytes);
	close_model(&opened);
}

static void cut_safetensors_are_passed_through_at_every_length(void **state)
{
	(void)state;
	pass_through_at_every_length(make_small_safetensors());
}

static void flipped_bits_of_safetensors_do_no_harm(void **state)
{
	(void)state;
	flip_every_bit(make_small_safetensors());
}

static void refuse_safetensors(const char *header, const char *why)
{
	struct opened opened = {
		.fd = make_safetensors(header, strlen(header), safetensors_data, 12)};
	assert_int_equal(cvq_policy_init(&opened.policy), 0);
	assert_passed_through(&opened, why);
	close_model(&opened);
}

static void safetensors_that_contradict_themselves_are_passed_through(void **state)
{
	(void)state;
#define ENTRY(dtype, shape, place)                                                         \
	"{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" place "}"
	refuse_safetensors("{\"a\":" ENTRY("F32", "[3]", "[0,12]"), "no JSON");
	refuse_safetensors("{\"a\":" ENTRY("F32", "[2]", "[0,12]") "}", "contradicts");
	refuse_safetensors("{\"a\":" ENTRY("F32", "[-3]", "[0,12]") "}", "contradicts");
	refuse_safetensors("{\"a\":" ENTRY("F32", "3", "[0,12]") "}", "contradicts");
	refuse_safetensors("{\"a\":" ENTRY("F32", "[3]", "[12,0]") "}", "contradicts");
	refuse_safetensors("{\"a\":" ENTRY("F32", "[4]", "[0,16]") "}", "contradicts");
	refuse_safetensors("{\"a\":" ENTRY("F32", "[3]", "[0]") "}", "contradicts");
	refuse_safetensors("{\"a\":7}", "contradicts");
	refuse_safetensors("{\"a\":" ENTRY("F32", "[4611686018427387904,4]", "[0,12]") "}",
			   "contradicts");
	refuse_safetensors("{\"a\":" ENTRY("F32", "[2]", "[0,8]") "}",
			   "does not fit the file");
	refuse_safetensors("{\"a\":" ENTRY("F32", "[2]", "[4,12]") "}", "gaps");
	refuse_safetensors("{\"a\":" ENTRY("F32", "[2]", "[0,8]") ",\"b\":" ENTRY(
				   "F32", "[2]", "[4,12]") "}",
			   "gaps");
	refuse_safetensors("{\"a\":" ENTRY("F32", "[3]", "[0,12]") ",\"a\":" ENTRY(
				   "F32", "[3]", "[0,12]") "}",
			   "no JSON");
#undef ENTRY
}

/* A header that is 'begin', then 'count' times 'item', then 'end'. */
static int make_long_header(const char *begin, const char *item, size_t count,
			    const char *end)
{
	cleanup_buffer struct cvq_buffer header = {0};
	cvq_buffer_append(&header, begin, strlen(begin));
	for (size_t i = 0; i < count; i++)
		cvq_buffer_append(&header, item, strlen(item));
	cvq_buffer_append(&header, end, strlen(end) + 1);
	assert_int_equal(header.error, 0);
	return make_safetensors((const char *)header.data, header.length - 1,
				safetensors_data, 12);
}

/* Each of these would become a gigabyte and more if it were parsed. */
static void a_header_that_costs_too_much_is_passed_through(void **state)
{
	(void)state;
	const char *const items[] = {"{},", "[],", "0,0,0,0,0,", "[[[],[]]],"};
	for (size_t i = 0; i < sizeof(items) / sizeof(*items); i++) {
		struct opened opened = {.fd = make_long_header("{\"a\":{\"shape\":[",
							       items[i], 5000000, "0]}}")};
		assert_int_equal(cvq_policy_init(&opened.policy), 0);
		assert_passed_through(&opened, "has too many values");
		close_model(&opened);
	}
}

static void the_text_of_metadata_costs_nothing(void **state)
{
	(void)state;
	const char tensor[] = "\\\\\"},\"w\":{\"dtype\":\"F32\",\"shape\":[3],"
			      "\"data_offsets\":[0,12]}}";
	struct opened opened;
	open_file(&opened,
		  make_long_header("{\"__metadata__\":{\"tags\":\"", "{\\\"[,", 7000000,
				   tensor),
		  "none");
	close_model(&opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_legacy_stream_is_half_as_long_and_else_the_same),
		cmocka_unit_test(a_cut_stream_is_passed_through_at_every_length),
		cmocka_unit_test(flipped_bits_of_a_stream_do_no_harm),
		cmocka_unit_test(a_stream_that_contradicts_itself_is_passed_through),
		cmocka_unit_test(a_compressed_archive_has_the_same_image),
		cmocka_unit_test(a_damaged_compressed_record_is_an_error_when_it_is_read),
		cmocka_unit_test(a_small_file_with_a_large_pickle_is_passed_through),
		cmocka_unit_test(a_big_endian_archive_has_the_image_of_its_twin),
		cmocka_unit_test(every_crc_of_a_big_endian_archive_is_true),
		cmocka_unit_test(safetensors_are_ordered_by_the_size_of_their_elements),
		cmocka_unit_test(cut_safetensors_are_passed_through_at_every_length),
		cmocka_unit_test(flipped_bits_of_safetensors_do_no_harm),
		cmocka_unit_test(safetensors_that_contradict_themselves_are_passed_through),
		cmocka_unit_test(a_header_that_costs_too_much_is_passed_through),
		cmocka_unit_test(the_text_of_metadata_costs_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
