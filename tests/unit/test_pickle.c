/* SPDX-License-Identifier: MIT */
/*
 * What the pickle machine understands, what it refuses, and what it rewrites
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pickle/pickle.h"
#include "pickler.h"

/* ========================================================================== */
/*                                   Helpers                                  */
/* ========================================================================== */

static struct cvq_pickle *parse(const struct cvq_buffer *stream)
{
	struct cvq_pickle *pickle = NULL;
	struct cvq_reason reason = {""};
	cvq_err err = cvq_pickle_parse(stream->data, stream->length, &pickle, &reason);
	if (err)
		fail_msg("not understood: %s", reason.text);
	return pickle;
}

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

static const struct cvq_tensor *find_tensor(const struct cvq_pickle *pickle,
					    const char *name)
{
	for (size_t i = 0; i < cvq_pickle_tensor_count(pickle); i++)
		if (strcmp(cvq_pickle_tensor(pickle, i)->name, name) == 0)
			return cvq_pickle_tensor(pickle, i);
	fail_msg("there is no tensor '%s'", name);
	return NULL;
}

static bool is_plain(const struct cvq_pickle *pickle, const char *name)
{
	return cvq_pickle_storage(pickle, find_tensor(pickle, name)->storage)->plain;
}

/* Rewrites with every plain FP32 storage converted and longer by 'more'. */
static struct cvq_buffer rewrite(const struct cvq_pickle *pickle, uint64_t more)
{
	struct cvq_storage_edit edits[16] = {0};
	struct cvq_buffer out = {0};
	struct cvq_reason reason;
	assert_true(cvq_pickle_storage_count(pickle) <= 16);
	for (size_t i = 0; i < cvq_pickle_storage_count(pickle); i++) {
		const struct cvq_storage *storage = cvq_pickle_storage(pickle, i);
		edits[i].convert = storage->plain && storage->is_float32;
		edits[i].more_numel = edits[i].convert ? more : 0;
	}
	assert_int_equal(cvq_pickle_rewrite(pickle, edits, "HalfStorage", &out, &reason),
			 0);
	return out;
}

static size_t occurrences(const struct cvq_buffer *stream, const char *text)
{
	size_t found = 0, length = strlen(text);
	for (size_t i = 0; i + length <= stream->length; i++)
		found += memcmp(stream->data + i, text, length) == 0;
	return found;
}

/* ========================================================================== */
/*                                   Reading                                  */
/* ========================================================================== */

static void a_state_dict_has_named_tensors(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02}(");
	emit_string(&stream, "encoder.weight");
	emit_tensor(&stream, "FloatStorage", "0", 6);
	emit_string(&stream, "steps");
	emit_tensor(&stream, "LongStorage", "1", 3);
	emit(&stream, "u.");

	struct cvq_pickle *pickle = parse(&stream);
	assert_int_equal(cvq_pickle_length(pickle), stream.length);
	assert_int_equal(cvq_pickle_storage_count(pickle), 2);
	const struct cvq_tensor *weight = find_tensor(pickle, "encoder.weight");
	assert_int_equal(weight->dimensions, 1);
	assert_int_equal(weight->shape[0], 6);
	assert_int_equal(weight->stride[0], 1);
	const struct cvq_storage *storage = cvq_pickle_storage(pickle, weight->storage);
	assert_int_equal(storage->numel, 6);
	assert_int_equal(storage->item_size, 4);
	assert_true(storage->is_float32 && storage->plain);
	assert_string_equal(cvq_pickle_storage(pickle, 1)->type, "LongStorage");
	cvq_pickle_free(pickle);
}

static void names_join_keys_positions_and_attributes(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02}");
	emit_string(&stream, "model");
	emit(&stream, "](K\x05" /* a list: 5, a tensor, an object */);
	emit_tensor(&stream, "FloatStorage", "0", 1);
	emit(&stream, "cpackage\nThing\n)\x81}");
	emit_string(&stream, "bias");
	emit_tensor(&stream, "FloatStorage", "1", 1);
	emit(&stream, "sb" /* SETITEM into the state, BUILD */
		      "e"  /* APPENDS */
		      "s.");

	struct cvq_pickle *pickle = parse(&stream);
	find_tensor(pickle, "model.1");
	find_tensor(pickle, "model.2.bias");
	assert_int_equal(cvq_pickle_tensor_count(pickle), 2);
	cvq_pickle_free(pickle);
}

static void a_tensor_met_twice_has_two_names(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02}(");
	emit_string(&stream, "embed");
	emit_tensor(&stream, "FloatStorage", "0", 4);
	emit(&stream, "q\x07");
	emit_string(&stream, "head");
	emit(&stream, "h\x07u.");

	struct cvq_pickle *pickle = parse(&stream);
	assert_int_equal(find_tensor(pickle, "embed")->storage,
			 find_tensor(pickle, "head")->storage);
	assert_int_equal(cvq_pickle_storage_count(pickle), 1);
	cvq_pickle_free(pickle);
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

/* ========================================================================== */
/*                                  Bad input                                 */
/* ========================================================================== */

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

/* ('storage', torch.FloatStorage, '0', 'cpu', 6, 'view') and BINPERSID */
static void emit_legacy_storage(struct cvq_buffer *out, const char *view, size_t length)
{
	emit_storage_fields(out, "FloatStorage", "94810", 6);
	cvq_buffer_append(out, view, length);
	emit(out, "tQ");
}
#define EMIT_LEGACY_STORAGE(out, view) emit_legacy_storage(out, view, sizeof(view) - 1)

static void a_legacy_storage_may_be_a_view(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02](ctorch._utils\n_rebuild_tensor_v2\n(");
	EMIT_LEGACY_STORAGE(&stream, "N");
	emit_view(&stream, 1, 5);
	emit(&stream, "ctorch._utils\n_rebuild_tensor_v2\n(");
	EMIT_LEGACY_STORAGE(&stream, "X\x01\0\0\0vK\x04K\x02\x87");
	emit_view(&stream, 1, 1);
	emit(&stream, "e.");

	struct cvq_pickle *pickle = parse(&stream);
	assert_int_equal(cvq_pickle_storage_count(pickle), 1);
	assert_int_equal(cvq_pickle_storage(pickle, 0)->numel, 6);
	assert_true(is_plain(pickle, "0"));
	assert_int_equal(find_tensor(pickle, "0")->offset, 1);
	assert_int_equal(find_tensor(pickle, "1")->offset, 5);
	cvq_pickle_free(pickle);
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

/* torch.save(module) in a legacy stream names its class by a persistent id. */
static void a_class_may_be_a_persistent_id(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02(");
	emit_string(&stream, "module");
	emit(&stream, "c__main__\nNet\n");
	emit_string(&stream, "net.py");
	emit_string(&stream, "class Net(Module): ...");
	emit(&stream, "tQ)\x81}");
	emit_string(&stream, "weight");
	emit_tensor(&stream, "FloatStorage", "94810", 3);
	emit(&stream, "sb.");
	struct cvq_pickle *pickle = parse(&stream);
	assert_true(is_plain(pickle, "weight"));
	cvq_pickle_free(pickle);
}

static void pickles_in_a_row_end_where_they_end(void **state)
{
	(void)state;
	const uint8_t stream[] = "\x80\x02M\xe9\x03.\x80\x02]q\x00(X\x02\0\0\x00"
				 "10X\x01\0\0\x00"
				 "9e.";
	size_t length = 0;
	for (size_t available = 0; available < 6; available++) {
		assert_int_equal(cvq_pickle_find_end(stream, available, &length, NULL), 0);
		assert_int_equal(length, 0);
	}
	assert_int_equal(cvq_pickle_find_end(stream, sizeof(stream) - 1, &length, NULL), 0);
	assert_int_equal(length, 6);

	struct cvq_slice *keys;
	size_t count;
	assert_int_equal(
		cvq_pickle_strings(stream + 6, sizeof(stream) - 7, &keys, &count, NULL), 0);
	assert_int_equal(count, 2);
	assert_memory_equal(keys[0].data, "10", 2);
	assert_memory_equal(keys[1].data, "9", 1);
	free(keys);
	assert_int_equal(cvq_pickle_strings(stream, 6, &keys, &count, NULL),
			 CVQ_ERR_CONTENT);
	assert_int_equal(
		cvq_pickle_find_end((const uint8_t *)"\x80\x02\xff.", 4, &length, NULL),
		CVQ_ERR_CONTENT);
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

static void a_tensor_without_elements_may_begin_anywhere(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02"
		      "ctorch._utils\n_rebuild_tensor_v2\n(");
	emit_storage(&stream, "FloatStorage", "0", 6);
	emit_view(&stream, 7, 0);
	emit(&stream, ".");
	struct cvq_pickle *pickle = parse(&stream);
	assert_int_equal(cvq_pickle_tensor_count(pickle), 1);
	cvq_pickle_free(pickle);
}

/* MEMOIZE takes the slot after as many as are taken, whoever took them. */
static void both_ways_to_memoise_count(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x04");
	emit_string(&stream, "first");
	emit(&stream, "q\x00"
		      "0");
	emit_string(&stream, "second");
	emit(&stream, "\x94"
		      "0}(h\x01");
	emit_tensor(&stream, "FloatStorage", "0", 4);
	emit(&stream, "u.");
	struct cvq_pickle *pickle = parse(&stream);
	assert_string_equal(cvq_pickle_tensor(pickle, 0)->name, "second");
	cvq_pickle_free(pickle);
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
	emit_tensors_of_dimensions(&many, 10000, CVQ_PICKLE_MAX_DIMENSIONS);
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

/* Keys that all belong into the first slot of tables of up to 8192. */
static void colliding_storage_keys_are_refused(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02(");
	for (unsigned number = 0, found = 0; found < 1200; number++) {
		char key[16];
		uint64_t hash = 0xcbf29ce484222325; /* FNV-1a, as storages.c has it */
		snprintf(key, sizeof(key), "%u", number);
		for (const char *at = key; *at; at++)
			hash = (hash ^ (uint8_t)*at) * 0x100000001b3;
		if ((hash ^ hash >> 32) % 8192 != 0)
			continue;
		found++;
		emit_tensor(&stream, "FloatStorage", key, 4);
	}
	emit(&stream, "t.");
	assert_refused(&stream, "chosen to collide");
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

static void a_cycle_ends(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02]q\x00h\x00"
		      "a.");
	struct cvq_pickle *pickle = parse(&stream);
	assert_int_equal(cvq_pickle_tensor_count(pickle), 0);
	cvq_pickle_free(pickle);
}

/* ========================================================================== */
/*                              What the file holds                           */
/* ========================================================================== */

static bool key_is(struct cvq_slice key, const char *text)
{
	return key.length == strlen(text) && memcmp(key.data, text, key.length) == 0;
}

/* As training leaves it: tensors, numbers and a dict of its own, in an OrderedDict. */
static void the_keys_of_a_file_are_those_of_its_outermost_dict(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02"
		      "ccollections\nOrderedDict\n)R(");
	emit_string(&stream, "weight");
	emit_tensor(&stream, "FloatStorage", "0", 6);
	emit_string(&stream, "epoch");
	emit(&stream, "K\x04");
	emit_string(&stream, "optimizer");
	emit(&stream, "}");
	emit_string(&stream, "lr");
	emit(&stream, "K\x01s");
	emit_string(&stream, "note");
	emit(&stream, "Nu.");

	struct cvq_pickle *pickle = parse(&stream);
	cleanup_free struct cvq_slice *keys = NULL;
	size_t count = 0;
	assert_int_equal(cvq_pickle_keys(pickle, &keys, &count, NULL), 0);
	assert_int_equal(count, 4);
	assert_true(key_is(keys[0], "weight") && key_is(keys[1], "epoch"));
	assert_true(key_is(keys[2], "optimizer") && key_is(keys[3], "note"));
	cvq_pickle_free(pickle);
}

static void what_is_no_dict_of_names_has_no_keys(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t length;
		const char *why;
	} streams[] = {
#define STREAM(bytes, why) {bytes, sizeof(bytes) - 1, why}
		STREAM("\x80\x02](K\x01K\x02"
		       "e.",
		       "no dict"),
		STREAM("\x80\x02K\x01.", "no dict"),
		STREAM("\x80\x02"
		       "cmodule\nThing\n)R.",
		       "no dict"),
		STREAM("\x80\x02}K\x01K\x02s.", "no strings"),
#undef STREAM
	};
	for (size_t i = 0; i < sizeof(streams) / sizeof(*streams); i++) {
		cleanup_buffer struct cvq_buffer stream = {0};
		cvq_buffer_append(&stream, streams[i].bytes, streams[i].length);
		struct cvq_pickle *pickle = parse(&stream);
		struct cvq_slice *keys = NULL;
		size_t count;
		struct cvq_reason reason = {""};
		assert_int_equal(cvq_pickle_keys(pickle, &keys, &count, &reason),
				 CVQ_ERR_CONTENT);
		assert_non_null(strstr(reason.text, streams[i].why));
		cvq_pickle_free(pickle);
	}
}

static void what_weights_only_refuses_is_found(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	struct cvq_slice module, name;
	emit(&stream, "\x80\x02}(");
	emit_string(&stream, "weight");
	emit_tensor(&stream, "FloatStorage", "0", 6);
	size_t torch_only = stream.length;
	emit(&stream, "u.");
	struct cvq_pickle *pickle = parse(&stream);
	assert_false(cvq_pickle_foreign_name(pickle, &module, &name));
	cvq_pickle_free(pickle);

	stream.length = torch_only;
	emit_string(&stream, "array");
	emit(&stream, "cnumpy.core.multiarray\nscalar\n)Ru.");
	pickle = parse(&stream);
	assert_true(cvq_pickle_foreign_name(pickle, &module, &name));
	assert_true(key_is(module, "numpy.core.multiarray") && key_is(name, "scalar"));
	cvq_pickle_free(pickle);
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
		cmocka_unit_test(a_state_dict_has_named_tensors),
		cmocka_unit_test(names_join_keys_positions_and_attributes),
		cmocka_unit_test(a_tensor_met_twice_has_two_names),
		cmocka_unit_test(strings_that_look_like_classes_are_strings),
		cmocka_unit_test(a_storage_saved_as_such_is_not_plain),
		cmocka_unit_test(what_an_unknown_function_sees_is_not_plain),
		cmocka_unit_test(the_parts_of_a_sparse_tensor_go_by_its_name),
		cmocka_unit_test(a_nested_tensor_fixes_the_length_of_its_storage),
		cmocka_unit_test(parameters_are_plain),
		cmocka_unit_test(converted_and_kept_storages_share_a_memo_slot),
		cmocka_unit_test(lengths_grow_out_of_their_opcodes),
		cmocka_unit_test(protocol_4_keeps_its_memo_numbering),
		cmocka_unit_test(a_cut_pickle_is_refused_at_every_length),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(a_legacy_storage_may_be_a_view),
		cmocka_unit_test(a_view_beyond_its_storage_is_refused),
		cmocka_unit_test(a_class_may_be_a_persistent_id),
		cmocka_unit_test(pickles_in_a_row_end_where_they_end),
		cmocka_unit_test(a_long_list_of_keys_is_refused),
		cmocka_unit_test(one_storage_with_two_types_is_refused),
		cmocka_unit_test(a_tensor_beyond_its_storage_is_refused),
		cmocka_unit_test(a_tensor_without_elements_may_begin_anywhere),
		cmocka_unit_test(both_ways_to_memoise_count),
		cmocka_unit_test(wrapper_subclasses_are_refused),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(deep_calls_are_refused),
		cmocka_unit_test(too_many_dimensions_are_refused),
		cmocka_unit_test(a_long_storage_key_is_refused),
		cmocka_unit_test(colliding_storage_keys_are_refused),
		cmocka_unit_test(an_explosion_of_ways_is_refused),
		cmocka_unit_test(an_explosion_of_names_is_refused),
		cmocka_unit_test(a_cycle_ends),
		cmocka_unit_test(the_keys_of_a_file_are_those_of_its_outermost_dict),
		cmocka_unit_test(what_is_no_dict_of_names_has_no_keys),
		cmocka_unit_test(what_weights_only_refuses_is_found),
		cmocka_unit_test(flipped_bits_do_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
