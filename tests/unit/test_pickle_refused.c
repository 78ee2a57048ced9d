/* SPDX-License-Identifier: MIT */
/*
 * Which pickles are refused: nonsense, cut ones, and those made to do harm
 */
#include "pickles.h"

static void assert_refused(const struct cvq_buffer *stream, const char *why)
{
	struct cvq_pickle *pickle = NULL;
	struct cvq_reason reason = {""};
	/* A copy without room behind it, so that a sanitizer sees any overrun. */
	uint8_t *exact = malloc(stream->length);
	memcpy(exact, stream->data, stream->length);
	cvq_err err = cvq_pickle_parse(exact, stream->length, &pickle, &reason);
	assert_int_equal(err, CVQ_ERR_CONTENT);
	if (!strstr(reason.text, why))
		fail_msg("refused with '%s' instead of '%s'", reason.text, why);
	free(exact);
}

static void a_cut_pickle_is_refused_at_every_length(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02}(");
	emit_string(&stream, "weight");
	emit_tensor(&stream, "FloatStorage", "0", 6);
	emit(&stream, "u.");
	for (size_t length = 0; length < stream.length; length++) {
		struct cvq_buffer cut = stream;
		cut.length = length;
		assert_refused(&cut, "");
	}
}

static void refuse(const char *opcodes, size_t length, const char *why)
{
	cleanup_buffer struct cvq_buffer stream = {0};
	cvq_buffer_append(&stream, opcodes, length);
	assert_refused(&stream, why);
}
#define REFUSE(opcodes, why) refuse(opcodes, sizeof(opcodes) - 1, why)

static void nonsense_is_refused(void **state)
{
	(void)state;
	REFUSE("hello", "protocol");
	REFUSE("\x80\x02\xff.", "opcode");
	REFUSE("\x80\x09N.", "protocol");
	REFUSE("\x80\x02.", "ends in the middle");
	REFUSE("\x80\x02NN.", "ends in the middle");
	REFUSE("\x80\x02(N.", "ends in the middle");
	REFUSE("\x80\x02t.", "mark");
	REFUSE("\x80\x02(R.", "operand");
	REFUSE("\x80\x02N(\x85.", "operand");
	REFUSE("\x80\x02h\x05.", "memo");
	REFUSE("\x80\x02Nr\xff\xff\xff\x7f.", "memo");
	REFUSE("\x80\x02K\x01K\x02s.", "operand");
	REFUSE("\x80\x02NNa.", "container");
	REFUSE("\x80\x02}(Nu.", "key without a value");
	REFUSE("\x80\x02NQ.", "persistent id");
	REFUSE("\x80\x02)Q.", "persistent id");
	REFUSE("\x80\x02"
	       "ctorch._utils\n_rebuild_tensor_v2\n)R.",
	       "tensor of an unknown form");
	REFUSE("\x80\x02"
	       "ctorch._utils\n_rebuild_parameter\n)R.",
	       "parameter of an unknown form");
	REFUSE("\x80\x02"
	       "ctorch._tensor\n_rebuild_from_type_v2\n)R.",
	       "subclass of an unknown form");
	REFUSE("\x80\x02X\xff\xff\xff\xff"
	       "abc",
	       "cut off");
	REFUSE("\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
	       "abc",
	       "cut off");
}

static void a_view_beyond_its_storage_is_refused(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer view = {0};
	emit(&view, "\x80\x02");
	EMIT_LEGACY_STORAGE(&view, "X\x01\0\0\0vK\x04K\x03\x87");
	emit(&view, ".");
	assert_refused(&view, "view beyond its storage");

	cleanup_buffer struct cvq_buffer tensor = {0};
	emit(&tensor, "\x80\x02](ctorch._utils\n_rebuild_tensor_v2\n(");
	EMIT_LEGACY_STORAGE(&tensor, "X\x01\0\0\0vK\x01K\x02\x87");
	emit_view(&tensor, 1, 2);
	emit(&tensor, "e.");
	assert_refused(&tensor, "beyond its storage");
}

/* A tensor of these opcodes for offset, shape and stride on a storage of four elements. */
static void refuse_tensor(const char *fields, size_t length, const char *why)
{
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02"
		      "ctorch._utils\n_rebuild_tensor_v2\n(");
	emit_storage(&stream, "FloatStorage", "0", 4);
	cvq_buffer_append(&stream, fields, length);
	emit(&stream, "\x89NtR.");
	assert_refused(&stream, why);
}
#define REFUSE_TENSOR(fields, why) refuse_tensor(fields, sizeof(fields) - 1, why)

#define MINUS_1    "J\xff\xff\xff\xff"
#define POWER_31_1 "\x8a\x05\x01\x00\x00\x80\x00" /* 2 ** 31 + 1 */
#define POWER_32   "\x8a\x05\x00\x00\x00\x00\x01"
#define POWER_33   "\x8a\x05\x00\x00\x00\x00\x02"
#define POWER_55   "\x8a\x08\x00\x00\x00\x00\x00\x00\x80\x00"
#define BELOW_55   "\x8a\x08\xff\xff\xff\xff\xff\xff\x7f\x00"

static void impossible_tensors_are_refused(void **state)
{
	(void)state;
	REFUSE_TENSOR(MINUS_1 "K\x01\x85K\x01\x85", "tensor of an unknown form");
	REFUSE_TENSOR("K\x00" MINUS_1 "\x85K\x01\x85", "tensor of an unknown form");
	REFUSE_TENSOR("K\x00K\x02\x85" MINUS_1 "\x85", "tensor of an unknown form");
	REFUSE_TENSOR("K\x00K\x02\x85)", "tensor of an unknown form");
	/* 2 ** 31 steps of 2 ** 33, and twice as many of 2 ** 32: nought of 64 bits. */
	REFUSE_TENSOR("K\x00" POWER_31_1 "\x85" POWER_33 "\x85", "beyond its storage");
	REFUSE_TENSOR("K\x00" POWER_31_1 POWER_31_1 "\x86" POWER_32 POWER_32 "\x86",
		      "beyond its storage");
}

/* A persistent id with these opcodes for its length. */
static void emit_storage_of(struct cvq_buffer *out, const char *numel, size_t length)
{
	emit(out, "\x80\x02(");
	emit_string(out, "storage");
	emit(out, "ctorch\nFloatStorage\n");
	emit_string(out, "0");
	emit_string(out, "cpu");
	cvq_buffer_append(out, numel, length);
	emit(out, "tQ.");
}

static void impossible_storages_are_refused(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer negative = {0}, largest = {0}, larger = {0};
	emit_storage_of(&negative, MINUS_1, sizeof(MINUS_1) - 1);
	assert_refused(&negative, "persistent id of an unknown form");
	emit_storage_of(&larger, POWER_55, sizeof(POWER_55) - 1);
	assert_refused(&larger, "persistent id of an unknown form");

	emit_storage_of(&largest, BELOW_55, sizeof(BELOW_55) - 1);
	struct cvq_pickle *pickle = parse(&largest);
	assert_int_equal(cvq_pickle_storage(pickle, 0)->numel, CVQ_PICKLE_MAX_NUMEL);
	cvq_pickle_free(pickle);
}

/* What a rewrite changes must lie in one place. */
static void numbers_and_classes_are_not_duplicated(void **state)
{
	(void)state;
	REFUSE("\x80\x02K\x01"
	       "2\x86.",
	       "duplicates a number or class");
	REFUSE("\x80\x02"
	       "ctorch\nFloatStorage\n2\x86.",
	       "duplicates a number or class");
}

static void a_state_is_set_once_and_of_an_object(void **state)
{
	(void)state;
	REFUSE("\x80\x02"
	       "cmodule\nThing\n)\x81}b}b.",
	       "state in an unknown way");
	REFUSE("\x80\x02]}b.", "state in an unknown way");
}

/* A key for each storage there may be, and one more. */
static void a_long_list_of_keys_is_refused(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	struct cvq_slice *keys;
	size_t count;
	struct cvq_reason reason = {""};
	for (size_t i = 0; i < CVQ_PICKLE_MAX_TENSORS; i++)
		emit(&stream, "U\0");
	assert_int_equal(
		cvq_pickle_strings(stream.data, stream.length, &keys, &count, &reason), 0);
	assert_int_equal(count, CVQ_PICKLE_MAX_TENSORS);
	free(keys);
	emit(&stream, "U\0");
	assert_int_equal(
		cvq_pickle_strings(stream.data, stream.length, &keys, &count, &reason),
		CVQ_ERR_CONTENT);
	assert_non_null(strstr(reason.text, "list of keys is too long"));
}

static void one_storage_with_two_types_is_refused(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02(");
	emit_tensor(&stream, "FloatStorage", "0", 4);
	emit_tensor(&stream, "IntStorage", "0", 4);
	emit(&stream, "t.");
	assert_refused(&stream, "used as FloatStorage of 4 and as IntStorage of 4");
}

static void a_tensor_beyond_its_storage_is_refused(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02"
		      "ctorch._utils\n_rebuild_tensor_v2\n(");
	emit_storage(&stream, "FloatStorage", "0", 4);
	emit_view(&stream, 1, 4);
	emit(&stream, ".");
	assert_refused(&stream, "reaches beyond its storage");
}

static void wrapper_subclasses_are_refused(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02"
		      "ctorch._utils\n_rebuild_wrapper_subclass\n(");
	emit_tensor(&stream, "FloatStorage", "0", 4);
	emit(&stream, "tR.");
	assert_refused(&stream, "wrapper subclass");
}

static void deep_nesting_is_refused(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02");
	for (int i = 0; i < 100000; i++)
		emit(&stream, "]");
	for (int i = 0; i < 99999; i++)
		emit(&stream, "a");
	emit(&stream, ".");
	assert_refused(&stream, "nested too deeply");
}

/* A rebuild function may be the one that another calls, and so on. */
static void deep_calls_are_refused(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02"
		      "ctorch._tensor\n_rebuild_from_type_v2\nq\x00");
	for (int i = 0; i < 100000; i++)
		emit(&stream, "(h\x00N");
	emit(&stream, ")");
	for (int i = 0; i < 100000; i++)
		emit(&stream, "Nt");
	emit(&stream, "R.");
	assert_refused(&stream, "nested too deeply");
}

/* Tensors on one storage with one shape, which is also their stride, all of it memoised. */
static void emit_tensors_of_dimensions(struct cvq_buffer *out, unsigned count,
				       unsigned dimensions)
{
	emit(out, "\x80\x02");
	emit_storage(out, "FloatStorage", "0", 4);
	emit(out, "q\x00"
		  "0(");
	for (unsigned i = 0; i < dimensions; i++)
		emit(out, "K\x01");
	emit(out, "tq\x01"
		  "0(");
	for (unsigned i = 0; i < count; i++)
		emit(out,
		     "ctorch._utils\n_rebuild_tensor_v2\n(h\x00K\x00h\x01h\x01\x89NtR");
	emit(out, "t.");
}

static void too_many_dimensions_are_refused(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer one = {0}, many = {0};
	emit_tensors_of_dimensions(&one, 1, CVQ_PICKLE_MAX_DIMENSIONS + 1);
	assert_refused(&one, "too many dimensions");
	emit_tensors_of_dimensions(&many, 20000, CVQ_PICKLE_MAX_DIMENSIONS);
	assert_refused(&many, "too many ways");
}

static void a_long_storage_key_is_refused(void **state)
{
	(void)state;
	char key[CVQ_PICKLE_MAX_KEY + 2] = "";
	memset(key, 'k', sizeof(key) - 1);
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02");
	emit_tensor(&stream, "FloatStorage", key, 4);
	emit(&stream, ".");
	assert_refused(&stream, "too long a key");
}

/* Keys that all belong into the first slot of tables of up to 2048, and the last of them
 * again and again. */
static void colliding_storage_keys_are_refused(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02");
	for (unsigned number = 0, found = 0; found < 1000; number++) {
		char key[16];
		uint64_t hash = 0xcbf29ce484222325; /* FNV-1a, as storages.c has it */
		snprintf(key, sizeof(key), "%u", number);
		for (const char *at = key; *at; at++)
			hash = (hash ^ (uint8_t)*at) * 0x100000001b3;
		if ((hash ^ hash >> 32) % 2048 != 0)
			continue;
		found++;
		emit_storage_fields(&stream, "FloatStorage", key, 4);
		emit(&stream, "tq\x00Q0");
	}
	for (unsigned i = 0; i < 40000; i++)
		emit(&stream, "h\x00Q0");
	emit(&stream, "N.");
	assert_refused(&stream, "chosen to collide");
}

/* Each would become twenty bytes of a rewritten pickle. */
static void too_many_reads_of_a_class_are_refused(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02"
		      "ctorch\nFloatStorage\nq\x00"
		      "0");
	for (size_t i = 0; i < CVQ_PICKLE_MAX_USES; i++)
		emit(&stream, "h\x00"
			      "0");
	emit(&stream, "N.");
	assert_refused(&stream, "names too many classes");
}

static void too_many_persistent_ids_are_refused(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02");
	emit_storage_fields(&stream, "FloatStorage", "0", 4);
	emit(&stream, "tq\x00"
		      "0");
	for (size_t i = 0; i <= CVQ_PICKLE_MAX_USES; i++)
		emit(&stream, "h\x00Q0");
	emit(&stream, "N.");
	assert_refused(&stream, "too many persistent ids");
}

/* Each list holds the one before twice: 2^40 ways, all of them short. */
static void an_explosion_of_ways_is_refused(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02]q\x00"
		      "0");
	for (int i = 1; i <= 40; i++) {
		char opcodes[] = {']',           '(', 'h', (char)(i - 1), 'h',
				  (char)(i - 1), 'e', 'q', (char)i};
		cvq_buffer_append(&stream, opcodes, sizeof(opcodes));
		emit(&stream, "0");
	}
	emit(&stream, "h\x28.");
	assert_refused(&stream, "too many ways");
}

/* 2^20 ways with names of up to 20 times 4 KiB: refused after 256 MiB of them. */
static void an_explosion_of_names_is_refused(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02X");
	cvq_buffer_append_u32(&stream, 4096);
	cvq_buffer_append_fill(&stream, 'k', 4096);
	emit(&stream, "q\xff"
		      "0}q\x00"
		      "0");
	for (int i = 1; i <= 20; i++) {
		char before = (char)(i - 1);
		char opcodes[] = {'}', '(', 'h',    '\xff', 'h', before, 'K',
				  '1', 'h', before, 'u',    'q', (char)i};
		cvq_buffer_append(&stream, opcodes, sizeof(opcodes));
		emit(&stream, "0");
	}
	emit(&stream, "h\x14.");
	assert_refused(&stream, "too many ways");
}

/* Any flipped bit: understood or refused, and nothing else (run it with sanitizers). */
static void flipped_bits_do_no_harm(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02}(");
	emit_string(&stream, "weight");
	emit_tensor(&stream, "FloatStorage", "0", 6);
	emit_string(&stream, "steps");
	emit_tensor(&stream, "LongStorage", "1", 3);
	emit(&stream, "u.");
	for (size_t bit = 0; bit < stream.length * 8; bit++) {
		uint8_t *copy = malloc(stream.length);
		memcpy(copy, stream.data, stream.length);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		struct cvq_pickle *pickle = NULL;
		struct cvq_reason reason;
		cvq_err err = cvq_pickle_parse(copy, stream.length, &pickle, &reason);
		assert_true(err == 0 || err == CVQ_ERR_CONTENT);
		if (!err) {
			struct cvq_buffer out = rewrite(pickle, 2);
			cvq_buffer_release(&out);
			cvq_pickle_free(pickle);
		}
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cut_pickle_is_refused_at_every_length),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(a_view_beyond_its_storage_is_refused),
		cmocka_unit_test(impossible_tensors_are_refused),
		cmocka_unit_test(impossible_storages_are_refused),
		cmocka_unit_test(numbers_and_classes_are_not_duplicated),
		cmocka_unit_test(a_state_is_set_once_and_of_an_object),
		cmocka_unit_test(a_long_list_of_keys_is_refused),
		cmocka_unit_test(one_storage_with_two_types_is_refused),
		cmocka_unit_test(a_tensor_beyond_its_storage_is_refused),
		cmocka_unit_test(wrapper_subclasses_are_refused),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(deep_calls_are_refused),
		cmocka_unit_test(too_many_dimensions_are_refused),
		cmocka_unit_test(a_long_storage_key_is_refused),
		cmocka_unit_test(colliding_storage_keys_are_refused),
		cmocka_unit_test(too_many_reads_of_a_class_are_refused),
		cmocka_unit_test(too_many_persistent_ids_are_refused),
		cmocka_unit_test(an_explosion_of_ways_is_refused),
		cmocka_unit_test(an_explosion_of_names_is_refused),
		cmocka_unit_test(flipped_bits_do_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
