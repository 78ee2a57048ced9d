/* SPDX-License-Identifier: MIT */
/*
 * What the pickle machine understands: tensors, keys, and where a pickle ends
 */
#include "pickle/machine.h"
#include "pickles.h"

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

/* OrderedDict([['a', tensor], ['steps', 5], ('b', OrderedDict([['c', tensor]]))]), with the
 * attribute that every state_dict has. */
static void emit_python_2(struct cvq_buffer *out)
{
	emit(out, "\x80\x02"
		  "ccollections\nOrderedDict\nq\x00](](");
	emit_string(out, "a");
	emit_tensor(out, "FloatStorage", "0", 4);
	emit(out, "e](");
	emit_string(out, "steps");
	emit(out, "K\x05"
		  "e");
	emit_string(out, "b");
	emit(out, "h\x00](](");
	emit_string(out, "c");
	emit_tensor(out, "FloatStorage", "1", 4);
	emit(out, "ee\x85R\x86" /* the call, and ('b', it) */
		  "e\x85R}");
	emit_string(out, "_metadata");
	emit_tensor(out, "FloatStorage", "2", 4);
	emit(out, "sb");
}

/* Whose names would otherwise be positions, which no pattern matches. */
static void an_ordered_dict_of_python_2_has_its_names(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit_python_2(&stream);
	emit(&stream, ".");
	struct cvq_pickle *pickle = parse(&stream);
	assert_int_equal(find_tensor(pickle, "a")->storage, 0);
	assert_int_equal(find_tensor(pickle, "b.c")->storage, 1);
	assert_int_equal(find_tensor(pickle, "_metadata")->storage, 2);
	assert_int_equal(cvq_pickle_tensor_count(pickle), 3);
	cvq_pickle_free(pickle);
}

/* OrderedDict([[tensor, 5, 6], list, list, tensor, list]), with items set in the lists. */
static void what_is_no_pair_is_named_by_its_position(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02"
		      "ccollections\nOrderedDict\n](](");
	emit_tensor(&stream, "FloatStorage", "0", 4);
	emit(&stream, "K\x05K\x06"
		      "e](K\x00K\x01K\x01K\x02u]K\x05"
		      "aK\x00");
	emit_tensor(&stream, "FloatStorage", "1", 4);
	emit(&stream, "s");
	emit_tensor(&stream, "FloatStorage", "2", 4);
	emit(&stream, "]K\x00K\x01s");
	emit_tensor(&stream, "FloatStorage", "3", 4);
	emit(&stream, "ae\x85R.");
	struct cvq_pickle *pickle = parse(&stream);
	assert_int_equal(find_tensor(pickle, "0.0")->storage, 0);
	assert_int_equal(find_tensor(pickle, "2.0")->storage, 1);
	assert_int_equal(find_tensor(pickle, "3")->storage, 2);
	assert_int_equal(find_tensor(pickle, "4.1")->storage, 3);
	cvq_pickle_free(pickle);
}

/* None is a key as any other, and not the lack of one. */
static void keys_that_are_no_text_have_a_name(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02}(K\x07");
	emit_tensor(&stream, "FloatStorage", "0", 4);
	emit(&stream, "J\xfe\xff\xff\xff" /* -2 */);
	emit_tensor(&stream, "FloatStorage", "1", 4);
	emit(&stream, "N");
	emit_tensor(&stream, "FloatStorage", "2", 4);
	emit(&stream, "u.");

	struct cvq_pickle *pickle = parse(&stream);
	assert_int_equal(find_tensor(pickle, "7")->storage, 0);
	assert_int_equal(find_tensor(pickle, "-2")->storage, 1);
	assert_int_equal(find_tensor(pickle, "?")->storage, 2);
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

/* (None, dict, the same dict), with marks and values that are dropped again. */
static void the_stack_may_be_played_with(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02(N(0(NN1}");
	emit_string(&stream, "kept");
	emit_tensor(&stream, "FloatStorage", "0", 4);
	emit(&stream, "sN02t.");
	struct cvq_pickle *pickle = parse(&stream);
	find_tensor(pickle, "1.kept");
	find_tensor(pickle, "2.kept");
	assert_int_equal(cvq_pickle_tensor_count(pickle), 2);
	cvq_pickle_free(pickle);
}

/* As torch writes it: the parameter of a state_dict, of four dimensions. */
static void a_million_parameters_are_within_the_limits(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit(&stream, "\x80\x02}");
	emit_string(&stream, "weight");
	emit(&stream, "ctorch._utils\n_rebuild_parameter\n("
		      "ctorch._utils\n_rebuild_tensor_v2\n(");
	emit_storage(&stream, "FloatStorage", "0", 1);
	emit(&stream, "K\x00(K\x01K\x01K\x01K\x01t(K\x01K\x01K\x01K\x01t\x89"
		      "ccollections\nOrderedDict\n)RtR\x88"
		      "ccollections\nOrderedDict\n)RtRs.");
	struct cvq_pickle *pickle = parse(&stream);
	assert_int_equal(find_tensor(pickle, "weight")->dimensions, 4);
	assert_in_range(pickle->node_count, 0,
			CVQ_PICKLE_MAX_OBJECTS / CVQ_PICKLE_MAX_TENSORS);
	assert_in_range(pickle->item_count, 0,
			CVQ_PICKLE_MAX_ITEMS / CVQ_PICKLE_MAX_TENSORS);
	assert_in_range(pickle->storage_use_count, 0,
			CVQ_PICKLE_MAX_USES / CVQ_PICKLE_MAX_TENSORS);
	cvq_pickle_free(pickle);
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
/*                              Pickles in a row                              */
/* ========================================================================== */

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

static void the_keys_of_python_2_are_those_of_its_pairs(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer stream = {0};
	emit_python_2(&stream);
	emit_string(&stream, "later");
	emit(&stream, "K\x01s.");
	struct cvq_pickle *pickle = parse(&stream);
	cleanup_free struct cvq_slice *keys = NULL;
	size_t count = 0;
	assert_int_equal(cvq_pickle_keys(pickle, &keys, &count, NULL), 0);
	assert_int_equal(count, 4);
	assert_true(key_is(keys[0], "a") && key_is(keys[1], "steps"));
	assert_true(key_is(keys[2], "b") && key_is(keys[3], "later"));
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
		STREAM("\x80\x02"
		       "ccollections\nOrderedDict\n](K\x01](K\x01K\x02"
		       "ee\x85R.",
		       "no strings"),
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_state_dict_has_named_tensors),
		cmocka_unit_test(names_join_keys_positions_and_attributes),
		cmocka_unit_test(an_ordered_dict_of_python_2_has_its_names),
		cmocka_unit_test(what_is_no_pair_is_named_by_its_position),
		cmocka_unit_test(keys_that_are_no_text_have_a_name),
		cmocka_unit_test(a_tensor_met_twice_has_two_names),
		cmocka_unit_test(a_legacy_storage_may_be_a_view),
		cmocka_unit_test(a_class_may_be_a_persistent_id),
		cmocka_unit_test(both_ways_to_memoise_count),
		cmocka_unit_test(a_tensor_without_elements_may_begin_anywhere),
		cmocka_unit_test(the_stack_may_be_played_with),
		cmocka_unit_test(a_million_parameters_are_within_the_limits),
		cmocka_unit_test(a_cycle_ends),
		cmocka_unit_test(pickles_in_a_row_end_where_they_end),
		cmocka_unit_test(the_keys_of_a_file_are_those_of_its_outermost_dict),
		cmocka_unit_test(the_keys_of_python_2_are_those_of_its_pairs),
		cmocka_unit_test(what_is_no_dict_of_names_has_no_keys),
		cmocka_unit_test(what_weights_only_refuses_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
