/* SPDX-License-Identifier: MIT */
/*
 * Which storages may be converted, and how a pickle is rewritten that says so
 */
#include "pickles.h"

/* ========================================================================== */
/*                          Which storages are plain                          */
/* ========================================================================== */

static void a_storage_saved_as_such_is_not_plain(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02}(");
	emit_string(&stream, "weight");
	emit_tensor(&stream, "FloatStorage", "0", 4);
	emit_string(&stream, "raw");
	emit_storage(&stream, "FloatStorage", "0", 4);
	emit(&stream, "u.");

	struct cvq_pickle *pickle = parse(&stream);
	assert_false(is_plain(pickle, "weight"));
	cvq_pickle_free(pickle);
}

static void what_an_unknown_function_sees_is_not_plain(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02}(");
	emit_string(&stream, "quantized");
	emit(&stream, "ctorch._utils\n_rebuild_qtensor\n(");
	emit_tensor(&stream, "FloatStorage", "0", 4);
	emit(&stream, "tR");
	emit_string(&stream, "beside");
	emit_tensor(&stream, "FloatStorage", "1", 4);
	emit(&stream, "u.");

	struct cvq_pickle *pickle = parse(&stream);
	assert_false(is_plain(pickle, "quantized.0"));
	assert_true(is_plain(pickle, "beside"));
	cvq_pickle_free(pickle);
}

/* {function(tensor): 1, storage: 1} beside plain tensors on the same storages */
static void what_a_key_holds_is_looked_at(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02}(cmodule\nfunction\n");
	emit_tensor(&stream, "FloatStorage", "0", 4);
	emit(&stream, "\x85RK\x01");
	emit_storage(&stream, "FloatStorage", "1", 4);
	emit(&stream, "K\x01");
	emit_string(&stream, "called");
	emit_tensor(&stream, "FloatStorage", "0", 4);
	emit_string(&stream, "raw");
	emit_tensor(&stream, "FloatStorage", "1", 4);
	emit(&stream, "u.");

	struct cvq_pickle *pickle = parse(&stream);
	assert_false(is_plain(pickle, "called"));
	assert_false(is_plain(pickle, "raw"));
	find_tensor(pickle, "?.0");
	cvq_pickle_free(pickle);
}

/*
 * Whether the storage of a tensor is plain if these opcodes are beside it.  They may read
 * from the memo: 0, the storage; 1, the tensor's arguments; 2, the tensor.
 */
static bool is_plain_beside(const char *opcodes, size_t length)
{
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02(");
	emit_storage(&stream, "FloatStorage", "0", 4);
	emit(&stream, "q\x00"
		      "0ctorch._utils\n_rebuild_tensor_v2\n(h\x00K\x00))\x89Ntq\x01Rq\x02");
	cvq_buffer_append(&stream, opcodes, length);
	emit(&stream, "t.");
	struct cvq_pickle *pickle = parse(&stream);
	bool plain = cvq_pickle_storage(pickle, 0)->plain;
	cvq_pickle_free(pickle);
	return plain;
}
#define IS_PLAIN_BESIDE(opcodes) is_plain_beside(opcodes, sizeof(opcodes) - 1)

#define TENSOR    "ctorch._utils\n_rebuild_tensor_v2\n"
#define PARAMETER "ctorch._utils\n_rebuild_parameter"
#define TYPED     "ctorch._tensor\n_rebuild_from_type_v2\n"
#define THING     "cmodule\nThing\n"

static void a_storage_is_seen_wherever_it_is(void **state)
{
	(void)state;
	assert_true(IS_PLAIN_BESIDE("N"));
	/* Hooks and metadata. */
	assert_false(IS_PLAIN_BESIDE(TENSOR "(h\x00K\x00))\x89h\x00tR"));
	assert_false(IS_PLAIN_BESIDE(TENSOR "(h\x00K\x00))\x89Nh\x00tR"));
	assert_false(IS_PLAIN_BESIDE(PARAMETER "\n(h\x02\x88h\x00tR"));
	/* The state of a parameter, a subclass and an object. */
	assert_false(IS_PLAIN_BESIDE(PARAMETER "_with_state\n(h\x02\x88Nh\x00tR"));
	assert_false(IS_PLAIN_BESIDE(TYPED "(" TENSOR "Nh\x01h\x00tR"));
	assert_false(IS_PLAIN_BESIDE(THING ")\x81h\x00"
					   "b"));
	/* A function's own self and arguments; a constructor's. */
	assert_false(IS_PLAIN_BESIDE("h\x00)R"));
	assert_false(IS_PLAIN_BESIDE("cmodule\nfunction\nh\x00\x85R"));
	assert_false(IS_PLAIN_BESIDE(THING "h\x00\x85\x81"));
	assert_false(IS_PLAIN_BESIDE(THING "h\x00\x85}\x92"));
	assert_false(IS_PLAIN_BESIDE(THING ")}Nh\x00s\x92"));
}

/* Functions may look at its type; what is data comes back as it is. */
static void a_tensor_is_data_in_a_state_and_not_to_a_function(void **state)
{
	(void)state;
	assert_false(IS_PLAIN_BESIDE(TENSOR "(h\x00K\x00))\x89h\x02tR"));
	assert_false(IS_PLAIN_BESIDE(TENSOR "(h\x00K\x00))\x89Nh\x02tR"));
	assert_false(IS_PLAIN_BESIDE(PARAMETER "\n(h\x02\x88h\x02tR"));
	assert_false(IS_PLAIN_BESIDE("h\x02)R"));
	assert_true(IS_PLAIN_BESIDE(PARAMETER "_with_state\n(h\x02\x88Nh\x02tR"));
	assert_true(IS_PLAIN_BESIDE(TYPED "(" TENSOR "Nh\x01h\x02tR"));
	assert_true(IS_PLAIN_BESIDE(THING ")\x81h\x02"
					  "b"));
	assert_true(IS_PLAIN_BESIDE(THING "h\x02\x85\x81"));
}

static void the_parts_of_a_sparse_tensor_go_by_its_name(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02}(");
	emit_string(&stream, "sparse");
	emit(&stream, "ctorch._utils\n_rebuild_sparse_tensor\n(N(");
	emit_tensor(&stream, "LongStorage", "0", 4);
	emit_tensor(&stream, "FloatStorage", "1", 4);
	emit(&stream, "K\x04\x85ttRu.");

	struct cvq_pickle *pickle = parse(&stream);
	assert_true(is_plain(pickle, "sparse"));
	assert_int_equal(cvq_pickle_tensor_count(pickle), 2);
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(cvq_pickle_tensor(pickle, i)->name, "sparse");
	cvq_pickle_free(pickle);
}

static void a_nested_tensor_fixes_the_length_of_its_storage(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02}(");
	emit_string(&stream, "nested");
	emit(&stream, "ctorch._utils\n_rebuild_nested_tensor\n(");
	emit_tensor(&stream, "FloatStorage", "0", 4);
	emit_tensor(&stream, "LongStorage", "1", 4);
	emit(&stream, "NNtR");
	emit_string(&stream, "other");
	emit_tensor(&stream, "FloatStorage", "2", 4);
	emit(&stream, "u.");

	struct cvq_pickle *pickle = parse(&stream);
	assert_true(is_plain(pickle, "nested"));
	assert_true(cvq_pickle_storage(pickle, 0)->fixed_length);
	assert_false(cvq_pickle_storage(pickle, 2)->fixed_length);
	cvq_pickle_free(pickle);
}

static void parameters_are_plain(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02"
		      "ctorch._utils\n_rebuild_parameter\n(");
	emit_tensor(&stream, "FloatStorage", "0", 4);
	emit(&stream, "\x88"
		      "ccollections\nOrderedDict\n)RtR.");

	struct cvq_pickle *pickle = parse(&stream);
	assert_true(is_plain(pickle, ""));
	cvq_pickle_free(pickle);
}

/* ========================================================================== */
/*                                  Rewriting                                 */
/* ========================================================================== */

static size_t occurrences(const struct cvq_buffer *stream, const char *text)
{
	size_t found = 0, length = strlen(text);
	for (size_t i = 0; i + length <= stream->length; i++)
		found += memcmp(stream->data + i, text, length) == 0;
	return found;
}

static void strings_that_look_like_classes_are_strings(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02}(");
	emit_string(&stream, "ctorch\nFloatStorage\n");
	emit_tensor(&stream, "FloatStorage", "0", 4);
	emit_string(&stream, "note");
	emit_string(&stream, "ctorch\nFloatStorage\nq\x01");
	emit(&stream, "u.");

	struct cvq_pickle *pickle = parse(&stream);
	cleanup_buffer struct cvq_buffer out = rewrite(pickle, 2);
	assert_int_equal(occurrences(&out, "ctorch\nFloatStorage\n"), 2);
	assert_int_equal(occurrences(&out, "ctorch\nHalfStorage\n"), 1);
	cvq_pickle_free(pickle);
}

static void converted_and_kept_storages_share_a_memo_slot(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02}(");
	emit_string(&stream, "a");
	/* As torch writes it: the class goes to the memo at its first use. */
	emit(&stream, "ctorch._utils\n_rebuild_tensor_v2\n((");
	emit_string(&stream, "storage");
	emit(&stream, "ctorch\nFloatStorage\nq\x03");
	emit_string(&stream, "0");
	emit_string(&stream, "cpu");
	emit(&stream, "K\x04tQ");
	emit_view(&stream, 0, 4);
	emit_string(&stream, "raw");
	emit(&stream, "(");
	emit_string(&stream, "storage");
	emit(&stream, "h\x03");
	emit_string(&stream, "1");
	emit_string(&stream, "cpu");
	emit(&stream, "K\x05tQu.");

	struct cvq_pickle *pickle = parse(&stream);
	cleanup_buffer struct cvq_buffer out = rewrite(pickle, 2);
	assert_int_equal(occurrences(&out, "ctorch\nHalfStorage\nq\x03"), 1);
	assert_int_equal(occurrences(&out, "ctorch\nFloatStorage\nX"), 1);
	assert_int_equal(occurrences(&out, "h\x03"), 0);
	assert_int_equal(occurrences(&out, "K\x06tQ"), 1);
	assert_int_equal(occurrences(&out, "K\x05tQ"), 1);

	/* The result reads as what it was meant to be. */
	struct cvq_pickle *again = parse(&out);
	assert_string_equal(cvq_pickle_storage(again, 0)->type, "HalfStorage");
	assert_int_equal(cvq_pickle_storage(again, 0)->numel, 6);
	assert_string_equal(cvq_pickle_storage(again, 1)->type, "FloatStorage");
	cvq_pickle_free(again);
	cvq_pickle_free(pickle);
}

/* Numbers keep their opcode while they fit it. */
static void lengths_grow_out_of_their_opcodes(void **state)
{
	(void)state;
	static const struct {
		const char *before;
		size_t before_length;
		uint64_t numel;
		const char *after;
		size_t after_length;
	} cases[] = {
#define CASE(before, numel, after)                                                         \
	{before, sizeof(before) - 1, numel, after, sizeof(after) - 1}
		CASE("K\xfd", 253, "K\xff"),
		CASE("K\xfe", 254, "M\x00\x01"),
		CASE("M\xfd\xff", 65533, "M\xff\xff"),
		CASE("M\xfe\xff", 65534, "J\x00\x00\x01\x00"),
		CASE("J\xfd\xff\xff\x7f", 2147483645, "J\xff\xff\xff\x7f"),
		CASE("J\xfe\xff\xff\x7f", 2147483646,
		     "\x8a\x08\x00\x00\x00\x80\x00\x00\x00\x00"),
		CASE("\x8a\x05\x00\x00\x00\x80\x00", 2147483648,
		     "\x8a\x08\x02\x00\x00\x80\x00\x00\x00\x00"),
		CASE("\x8a\x08\x05\x00\x00\x00\x00\x00\x00\x00", 5,
		     "\x8a\x08\x07\x00\x00\x00\x00\x00\x00\x00"),
#undef CASE
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		cleanup_buffer struct cvq_buffer stream = {0}, expected = {0};
		emit(&stream, "\x80\x02"
			      "ctorch._utils\n_rebuild_tensor_v2\n((");
		emit_string(&stream, "storage");
		emit(&stream, "ctorch\nFloatStorage\n");
		emit_string(&stream, "0");
		emit_string(&stream, "cpu");
		cvq_buffer_append(&stream, cases[i].before, cases[i].before_length);
		emit(&stream, "tQ");
		emit_view(&stream, 0, 1);
		emit(&stream, ".");

		struct cvq_pickle *pickle = parse(&stream);
		assert_int_equal(cvq_pickle_storage(pickle, 0)->numel, cases[i].numel);
		cleanup_buffer struct cvq_buffer out = rewrite(pickle, 2);
		struct cvq_pickle *again = parse(&out);
		assert_int_equal(cvq_pickle_storage(again, 0)->numel, cases[i].numel + 2);
		emit_string(&expected, "cpu");
		cvq_buffer_append(&expected, cases[i].after, cases[i].after_length);
		emit(&expected, "tQ");
		assert_non_null(
			memmem(out.data, out.length, expected.data, expected.length));
		cvq_pickle_free(again);
		cvq_pickle_free(pickle);
	}
}

/* A tensor of four elements whose persistent id ends in these opcodes. */
static void emit_tensor_with(struct cvq_buffer *stream, const char *key, const char *end)
{
	emit(stream, "ctorch._utils\n_rebuild_tensor_v2\n((");
	emit_string(stream, "storage");
	emit(stream, "ctorch\nFloatStorage\n");
	emit_string(stream, key);
	emit_string(stream, "cpu");
	cvq_buffer_append(stream, end, strlen(end));
	emit_view(stream, 0, 4);
}

static void a_persistent_id_that_is_read_twice_grows_once(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02}(");
	emit_string(&stream, "a");
	emit_tensor_with(&stream, "0", "K\x04tq\x07Q");
	emit_string(&stream, "b");
	emit(&stream, "ctorch._utils\n_rebuild_tensor_v2\n(h\x07Q");
	emit_view(&stream, 0, 4);
	emit(&stream, "u.");

	struct cvq_pickle *pickle = parse(&stream);
	cleanup_buffer struct cvq_buffer out = rewrite(pickle, 2);
	struct cvq_pickle *again = parse(&out);
	assert_int_equal(cvq_pickle_storage_count(again), 1);
	assert_int_equal(cvq_pickle_storage(again, 0)->numel, 6);
	assert_int_equal(find_tensor(again, "b")->storage, 0);
	cvq_pickle_free(again);
	cvq_pickle_free(pickle);
}

/* They could not become longer by different lengths. */
static void storages_that_share_a_number_are_refused(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02}(");
	emit_string(&stream, "a");
	emit_tensor_with(&stream, "0", "K\x04q\x08tQ");
	emit_string(&stream, "b");
	emit_tensor_with(&stream, "1", "h\x08tQ");
	emit(&stream, "u.");

	struct cvq_pickle *pickle;
	struct cvq_reason reason;
	assert_int_equal(cvq_pickle_parse(stream.data, stream.length, &pickle, &reason),
			 CVQ_ERR_CONTENT);
	assert_non_null(strstr(reason.text, "a persistent id of an unknown form"));
}

static void protocol_4_keeps_its_memo_numbering(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x04\x95\x10\0\0\0\0\0\0\0"
		      "\x8c\x0ctorch._utils\x94\x8c\x12_rebuild_tensor_v2\x94\x93\x94(("
		      "\x8c\x07storage\x94\x8c\x05torch\x94\x8c\x0c"
		      "FloatStorage\x94\x93\x94"
		      "\x8c\x01"
		      "0\x94\x8c\x03"
		      "cpu\x94K\x04t\x94Q");
	emit_view(&stream, 0, 4);
	emit(&stream, ".");

	struct cvq_pickle *pickle = parse(&stream);
	cleanup_buffer struct cvq_buffer out = rewrite(pickle, 2);
	assert_int_equal(occurrences(&out, "\x93"
					   "0ctorch\nHalfStorage\n\x94"),
			 1);
	assert_int_equal(occurrences(&out, "\x95"), 0);
	struct cvq_pickle *again = parse(&out);
	assert_string_equal(cvq_pickle_storage(again, 0)->type, "HalfStorage");
	cvq_pickle_free(again);
	cvq_pickle_free(pickle);
}

/* A pickle of as many bytes as there may be, most of them zeros that nobody touches; each
 * read of the class becomes longer. */
static void what_becomes_too_long_is_refused(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer head = {0}, out = {0};
	emit(&head, "\x80\x02N(ctorch\nFloatStorage\nq\x00h\x00X");
	uint32_t zeros = CVQ_PICKLE_MAX_BYTES - (uint32_t)head.length - 4 - 2;
	cvq_buffer_append_u32(&head, zeros);
	uint8_t *stream = calloc(CVQ_PICKLE_MAX_BYTES, 1);
	assert_non_null(stream);
	memcpy(stream, head.data, head.length);
	stream[head.length + zeros] = '1'; /* down to None */
	stream[head.length + zeros + 1] = '.';

	struct cvq_pickle *pickle;
	struct cvq_reason reason = {""};
	assert_int_equal(cvq_pickle_parse(stream, CVQ_PICKLE_MAX_BYTES, &pickle, &reason),
			 0);
	assert_int_equal(cvq_pickle_rewrite(pickle, NULL, "HalfStorage", &out, &reason),
			 CVQ_ERR_CONTENT);
	assert_non_null(strstr(reason.text, "would become larger than 256 MiB"));
	cvq_pickle_free(pickle);
	free(stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_storage_saved_as_such_is_not_plain),
		cmocka_unit_test(what_an_unknown_function_sees_is_not_plain),
		cmocka_unit_test(what_a_key_holds_is_looked_at),
		cmocka_unit_test(a_storage_is_seen_wherever_it_is),
		cmocka_unit_test(a_tensor_is_data_in_a_state_and_not_to_a_function),
		cmocka_unit_test(the_parts_of_a_sparse_tensor_go_by_its_name),
		cmocka_unit_test(a_nested_tensor_fixes_the_length_of_its_storage),
		cmocka_unit_test(parameters_are_plain),
		cmocka_unit_test(strings_that_look_like_classes_are_strings),
		cmocka_unit_test(converted_and_kept_storages_share_a_memo_slot),
		cmocka_unit_test(lengths_grow_out_of_their_opcodes),
		cmocka_unit_test(a_persistent_id_that_is_read_twice_grows_once),
		cmocka_unit_test(storages_that_share_a_number_are_refused),
		cmocka_unit_test(protocol_4_keeps_its_memo_numbering),
		cmocka_unit_test(what_becomes_too_long_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
