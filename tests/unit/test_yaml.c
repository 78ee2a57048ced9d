/* SPDX-License-Identifier: MIT */
/*
 * HyperPyYAML as check reads it: references, sums, and what is refused
 *
 * What the values come to and what is refused is what hyperpyyaml 1.2.2 makes of them,
 * except for the attributes of objects, which are taken to be the arguments.  It takes
 * more than cvq: anchors that are defined twice, powers, a sum that one above it refers to,
 * whole numbers beyond 64 bits, and the forms "5_", "5__5" and, in sums, "0X5".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "cosyvoice/yaml.h"
#include "fixture.h"

/* ========================================================================== */
/*                                   Helpers                                  */
/* ========================================================================== */

static struct cvq_yaml *parse(const char *text)
{
	struct cvq_yaml *yaml = NULL;
	struct cvq_reason reason = {""};
	if (cvq_yaml_parse(text, strlen(text), &yaml, &reason))
		fail_msg("refused: %s", reason.text);
	return yaml;
}

static void assert_refused(const char *text, size_t length, const char *why)
{
	struct cvq_yaml *yaml = NULL;
	struct cvq_reason reason = {""};
	assert_int_equal(cvq_yaml_parse(text, length, &yaml, &reason), CVQ_ERR_CONTENT);
	if (!strstr(reason.text, why))
		fail_msg("refused with '%s' instead of '%s'", reason.text, why);
}

static cvq_yaml_node top(const struct cvq_yaml *yaml, const char *key)
{
	return cvq_yaml_get(yaml, cvq_yaml_root(yaml), key);
}

/* ========================================================================== */
/*                                   Numbers                                  */
/* ========================================================================== */

static const char numbers[] = "chunk: 25\n"
			      "ratio: 2\n"
			      "negative: -1\n"
			      "padded: 0_08\n"
			      "rates: {first: 8, rest: [5, 3]}\n"
			      "object: !new:module.Class {size: 80}\n";

static void sums_come_to_whole_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		int64_t number;
	} cases[] = {
		{"25", 25},
		{"-1", -1},
		{"+6_561", 6561},
		{"0x19A1", 6561},
		{"0x19_a1", 6561},
		{"0o14641", 6561},
		{"-0b101", -5},
		{"0777", 777},
		{"!ref <chunk>", 25},
		{"!copy <chunk>", 25},
		{"!ref <chunk> * <ratio>", 50},
		{"!ref <chunk>*<ratio>+1", 51},
		{"!ref 1 + <chunk> * <ratio>", 51},
		{"!ref (1 + <chunk>) * <ratio>", 52},
		{"!ref <chunk> // <ratio>", 12},
		{"!ref <chunk> % 4", 1},
		{"!ref <chunk> - 5 - 5", 15},
		{"!ref 100 // <ratio> // 5", 10},
		{"!ref (<ratio> - 9) // <ratio>", -4},
		{"!ref (<ratio> - 9) % <ratio>", 1},
		{"!ref <negative>", -1},
		{"!ref <chunk> + 0x10 + 0b1 + 0o7 + 1_000", 1049},
		{"!ref <padded> + 00", 8},
		{"!ref <rates[first]>", 8},
		{"!ref <rates[first]> * <object.size>", 640},
		{"!ref <later> + 1\nlater: !ref <last>\nlast: 5", 6},
		{"!ref <later> * <later>\nlater: !copy <last[x]>\nlast: {x: 5}", 25},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[512];
		snprintf(text, sizeof(text), "%svalue: %s\n", numbers, cases[i].value);
		struct cvq_yaml *yaml = parse(text);
		struct cvq_reason reason = {""};
		int64_t number = 0;
		if (cvq_yaml_integer(yaml, top(yaml, "value"), &number, &reason))
			fail_msg("%s: %s", cases[i].value, reason.text);
		if (number != cases[i].number)
			fail_msg("%s is %lld", cases[i].value, (long long)number);
		cvq_yaml_free(yaml);
	}
}

static void what_is_no_whole_number_is_said(void **state)
{
	(void)state;
	static const struct {
		const char *value, *why;
	} cases[] = {
		{"many", "is 'many', which is no number"},
		{"'25'", "is the text '25'"},
		{"2.5", "is 2.5, which is no whole number"},
		{"!ref <chunk> / 5", "is 5, which is no whole number"},
		{"!ref <chunk> / 0", "no number"},
		{"!ref <chunk> // 0", "no number"},
		{"!ref <chunk> % 0", "no number"},
		{"!ref 9223372036854775807 + <ratio>", "no number"},
		{"9223372036854775808", "no number"},
		{"!ref <chunk> *", "no number"},
		{"!ref (<chunk>", "no number"},
		{"!ref <chunk>) + 1", "no number"},
		{"!ref <chunk> <ratio>", "no number"},
		{"!ref <rates> + 1", "no number"},
		{"!ref <chunk> + 010", "no number"},
		{"!ref <chunk> + _5", "no number"},
		{"!ref <chunk> + 5_", "no number"},
		{"!ref <chunk> + 0x", "no number"},
		{"!ref <chunk> + 0o8", "no number"},
		{"2 * 3", "no number"},
		{"!ref 2 * 3", "no number"},
		{"!ref 5", "no number"},
		{"!ref -7 // <ratio>", "no number"},
		{"!ref <negative> + <ratio>", "no number"},
		{"!ref <chunk> * -1", "no number"},
		{"nan", "no number"},
		{"0X10", "no number"},
		{"0x", "no number"},
		{"0b2", "no number"},
		{"_5", "no number"},
		{"1.5e3_0", "no number"},
		{".inf", "no number"},
		{"1e3", "is 1000, which is no whole number"},
		{"[1, 2]", "is a list or mapping"},
		{"!ref <rates>", "is a list or mapping"},
		{"!apply:math.floor [2.5]", "does not execute"},
		{"!new:builtins.int [3]", "does not execute"},
		{"!include:other.yaml", "does not execute"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[512];
		snprintf(text, sizeof(text), "%svalue: %s\n", numbers, cases[i].value);
		struct cvq_yaml *yaml = parse(text);
		struct cvq_reason reason = {""};
		int64_t number;
		assert_int_equal(
			cvq_yaml_integer(yaml, top(yaml, "value"), &number, &reason),
			CVQ_ERR_CONTENT);
		if (!strstr(reason.text, cases[i].why))
			fail_msg("%s: %s", cases[i].value, reason.text);
		cvq_yaml_free(yaml);
	}
}

/* ========================================================================== */
/*                                  Structure                                 */
/* ========================================================================== */

static void references_lead_to_what_they_name(void **state)
{
	(void)state;
	struct cvq_yaml *yaml = parse("%YAML 1.2\n"
				      "---\n"
				      "sizes: &sizes [3, !ref <size>, 11]\n"
				      "size: 7\n"
				      "first: !ref <sizes>\n"
				      "second: !ref <first>\n"
				      "third: *sizes\n"
				      "net: !new:package.module.Net\n"
				      "  on: True\n"
				      "  inner: !ref <second>\n"
				      "other: !ref <net>\n"
				      "dir: !ref <size>/x\n"
				      "plain: !new:Net {}\n"
				      "call: !apply:package.make []\n");
	size_t count = 0;
	int64_t number = 0;
	bool truth = false;
	static const char *const names[] = {"sizes", "first", "second", "third"};
	for (size_t i = 0; i < 4; i++) {
		cvq_yaml_node list = top(yaml, names[i]);
		assert_true(cvq_yaml_count(yaml, list, &count));
		assert_int_equal(count, 3);
		assert_int_equal(
			cvq_yaml_integer(yaml, cvq_yaml_at(yaml, list, 1), &number, NULL),
			0);
		assert_int_equal(number, 7);
		assert_int_equal(cvq_yaml_at(yaml, list, 3), CVQ_YAML_NONE);
	}
	assert_string_equal(cvq_yaml_class(yaml, top(yaml, "other")), "Net");
	assert_string_equal(cvq_yaml_class(yaml, top(yaml, "plain")), "Net");
	assert_null(cvq_yaml_class(yaml, top(yaml, "call")));
	assert_null(cvq_yaml_class(yaml, top(yaml, "sizes")));
	cvq_yaml_node inner = cvq_yaml_get(yaml, top(yaml, "other"), "inner");
	assert_true(cvq_yaml_count(yaml, inner, &count));
	assert_false(cvq_yaml_count(yaml, top(yaml, "call"), &count));
	cvq_yaml_node on = cvq_yaml_get(yaml, top(yaml, "net"), "on");
	assert_int_equal(cvq_yaml_boolean(yaml, on, &truth, NULL), 0);
	assert_true(truth);
	assert_int_equal(cvq_yaml_boolean(yaml, top(yaml, "size"), &truth, NULL),
			 CVQ_ERR_CONTENT);
	assert_int_equal(top(yaml, "nothing"), CVQ_YAML_NONE);
	assert_int_equal(cvq_yaml_get(yaml, CVQ_YAML_NONE, "x"), CVQ_YAML_NONE);
	assert_int_equal(cvq_yaml_integer(yaml, CVQ_YAML_NONE, &number, NULL),
			 CVQ_ERR_CONTENT);
	cvq_yaml_free(yaml);
}

/* A mapping's own keys go before those that it merges, and the first that is merged before
 * the others. */
static void mappings_merge_others(void **state)
{
	(void)state;
	static const struct {
		const char *mapping;
		int64_t size; /* 0: it has none */
	} cases[] = {
		{"{<<: *one}", 1},
		{"{<<: *one, size: 5}", 5},
		{"{size: 5, <<: *one}", 5},
		{"{<<: [*other, *two, *one]}", 2},
		{"{<<: *both}", 2},
		{"{<<: [*both, *one], other: 5}", 2},
		{"{<<: {size: 5}}", 5},
		{"{<<: *object}", 4},
		{"!new:module.Class {<<: *one}", 1},
		{"{<<: *other}", 0},
		{"{<<: []}", 0},
		{"{'<<': *one}", 0},
		{"{? [<<] : 3, '': 4, <<: *one}", 1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[512];
		snprintf(text, sizeof(text),
			 "named: 2\n"
			 "one: &one {size: 1}\n"
			 "two: &two {size: !ref <named>}\n"
			 "other: &other {other: 3}\n"
			 "both: &both {<<: *other, size: 2}\n"
			 "object: &object !new:module.Class {size: 4}\n"
			 "value: %s\n"
			 "%s",
			 cases[i].mapping,
			 cases[i].size ? "referred: !ref <value[size]>\n" : "");
		struct cvq_yaml *yaml = parse(text);
		cvq_yaml_node size = cvq_yaml_get(yaml, top(yaml, "value"), "size");
		int64_t number = 0, referred = 0;
		if (cases[i].size) {
			cvq_yaml_integer(yaml, size, &number, NULL);
			cvq_yaml_integer(yaml, top(yaml, "referred"), &referred, NULL);
		} else {
			assert_int_equal(size, CVQ_YAML_NONE);
		}
		if (number != cases[i].size || referred != cases[i].size)
			fail_msg("%s has the size %lld, by reference %lld",
				 cases[i].mapping, (long long)number, (long long)referred);
		cvq_yaml_free(yaml);
	}
}

static void what_hyperpyyaml_refuses_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"", "it is empty"},
		{"# nothing\n", "it is empty"},
		{"- 1\n- 2\n", "no"},
		{"a: 1\n---\nb: 2\n", "more than one document"},
		{"%TAG !n! !new:\n---\na: !n!Net {}\n", "it has %TAG directives"},
		{"a: 1\n...\n%TAG !n! !new:\n---\nb: 2\n", "more than one document"},
		{"a: [1, 2\nb: 3\n", "line 2: it is no YAML"},
		{"a: 1\n\tb: 2\n", "line 2: it is no YAML"},
		{"a: \xff\n", "it is no YAML"},
		{"a: 1\nb: 2\na: 3\n", "line 3: the key 'a' is there twice"},
		{"a: {x: 1, x: 1}\n", "line 1: the key 'x' is there twice"},
		{"a: &a 1\nb: {x: *a, x: *a}\n", "line 2: the key 'x' is there twice"},
		{"a: &a {<<: 3}\n", "line 1: '<<' merges what is no mapping"},
		{"a: &a [1]\nb: {<<: *a}\n", "line 1: '<<' merges what is no mapping"},
		{"a: {x: 1}\nb: {<<: [!ref <a>]}\n", "line 2: '<<' merges what is no map"},
		{"a: &a {x: 1}\nb: {<<: *a, <<: *a}\n",
		 "line 2: the key '<<' is there twice"},
		{"a: 1\nb: !ref <c>\n", "line 2: '<c>' refers to 'c', which is not there"},
		{"a: {b: 1}\nc: !ref <a[d]>\n", "refers to 'd'"},
		{"a: 1\nb: !ref <a[d]>\n", "refers to 'd'"},
		{"a: 1\nb: [{c: !ref <x> + <a>}]\n", "refers to 'x'"},
		{"a: !ref <>\n", "refers to ''"},
		{"a: !ref <a>\n", "'a', a reference that is not above it"},
		{"a: !ref <b>\nb: !ref <a>\n", "'b', a reference that is not above it"},
		{"a: !ref <b> + 1\nb: !ref <a> + 1\n", "not above it"},
		{"a: !ref <b[x]>\nb: !ref <a[x]>\n", "not above it"},
		{"a: !ref <b>/x\nb: !ref <a>/x\n", "not above it"},
		{"a: !ref <b>\nb: !ref <c>\nc: 5\n", "not above it"},
		{"a: !ref <b> + 1\nb: !ref <c>\nc: !ref <d>\nd: 5\n",
		 "line 2: '<c>' refers"},
		{"a: !ref <b[x]> + 1\nb: !ref <c>\nc: {x: 5}\n", "not above it"},
		{"a: !ref <b> + 1\nb: !ref <c>\nc: !ref <a>\n", "not above it"},
		{"a: !ref <b> + 1\nb: !ref <b>\n", "too many references"},
		{"a: !PLACEHOLDER\n", "line 1: a !PLACEHOLDER"},
		{"a: 1\nb: !news:x.Y {}\n", "line 2: HyperPyYAML knows no tag '!news:x.Y'"},
		{"a: *b\n", "line 1: cvq cannot read it: found undefined alias"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_refused(cases[i].text, strlen(cases[i].text), cases[i].why);
}

/* HyperPyYAML takes it, so that it is wrong is not said. */
static void what_only_cvq_refuses_is_said_so(void **state)
{
	(void)state;
	static const char anchors[] = "a: &x 1\nb: &x 2\nc: *x\n";
	assert_refused(anchors, strlen(anchors), "line 2: cvq cannot read it: found dup");
	struct cvq_yaml *yaml = parse("a: 2\npower: !ref <a> ** 3\n");
	struct cvq_reason reason = {""};
	int64_t number;
	assert_int_equal(cvq_yaml_integer(yaml, top(yaml, "power"), &number, &reason),
			 CVQ_ERR_CONTENT);
	assert_string_equal(reason.text,
			    "is the power '<a> ** 3', which cvq does not compute");
	cvq_yaml_free(yaml);
}

/* ========================================================================== */
/*                                    Limits                                  */
/* ========================================================================== */

static void __attribute__((format(printf, 2, 3)))
append_line(struct cvq_buffer *text, const char *format, ...)
{
	char line[96];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	cvq_buffer_append(text, line, (size_t)length);
	cvq_buffer_append(text, "\n", 1);
}

static struct cvq_yaml *parse_buffer(struct cvq_buffer *text)
{
	cvq_buffer_append(text, "", 1);
	return parse((const char *)text->data);
}

/* Each line doubles the one before: 2^64 numbers, if somebody adds them up. */
static void bombs_do_not_go_off(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer sums = {0};
	cleanup_buffer struct cvq_buffer lists = {0};
	append_line(&sums, "a0: 1");
	append_line(&lists, "a0: &a0 [1]");
	for (int i = 1; i <= 64; i++) {
		append_line(&sums, "a%d: !ref <a%d> + <a%d>", i, i - 1, i - 1);
		append_line(&lists, "a%d: &a%d [*a%d, *a%d]", i, i, i - 1, i - 1);
	}
	struct cvq_yaml *yaml = parse_buffer(&sums);
	struct cvq_reason reason = {""};
	int64_t number;
	assert_int_equal(cvq_yaml_integer(yaml, top(yaml, "a64"), &number, &reason),
			 CVQ_ERR_CONTENT);
	assert_non_null(strstr(reason.text, "too many references"));
	cvq_yaml_free(yaml);
	cvq_yaml_free(parse_buffer(&lists));
}

/* Mappings that double the one before, and one that is merged into itself: each search for
 * what is not there would go on for ever. */
static void merges_come_to_an_end(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer text = {0};
	static const char circle[] = "a: &a {<<: *a, x: 1}\nb: !ref <a[y]>\n";
	append_line(&text, "a0: &a0 {x: 1}");
	for (int i = 1; i <= 64; i++)
		append_line(&text, "a%d: &a%d {<<: [*a%d, *a%d]}", i, i, i - 1, i - 1);
	append_line(&text, "b: !ref <a64[y]>");
	assert_false(text.error);
	assert_refused((const char *)text.data, text.length, "merges more than 5000 keys");
	assert_refused(circle, strlen(circle), "line 1: '<<' merges more than 5000 keys");
}

/* A tag of 60,000 bytes for each of 10,000 nodes: 600 MB, if somebody writes them out. */
static void tags_do_not_multiply(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer text = {0};
	char tag[60000];
	memset(tag, 'x', sizeof(tag));
	cvq_buffer_append(&text, "%TAG !a! tag:", 13);
	cvq_buffer_append(&text, tag, sizeof(tag));
	append_line(&text, "\n---");
	for (int i = 0; i < 10000; i++)
		append_line(&text, "- !a!x");
	assert_false(text.error);
	assert_refused((const char *)text.data, text.length, "it has %TAG directives");
}

static void what_is_too_large_is_refused(void **state)
{
	(void)state;
	size_t size = CVQ_YAML_MAX_BYTES + 1;
	char *text = malloc(size);
	memset(text, ' ', size);
	assert_refused(text, size, "larger than 128 KiB");
	for (size_t i = 0; i < CVQ_YAML_MAX_BYTES; i++)
		text[i] = "- 1\n"[i % 4];
	assert_refused(text, CVQ_YAML_MAX_BYTES, "more than 5000 nodes");
	memset(text, '[', CVQ_YAML_MAX_BYTES);
	assert_refused(text, CVQ_YAML_MAX_BYTES, "more than 5000 nodes");
	assert_refused(text, CVQ_YAML_MAX_NODES, "no YAML");
	free(text);
}

/* As many nodes as there may be: anchors; and references that go each through a chain of
 * others, all of them at the end of a long list. */
static void the_worst_documents_take_no_time(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer anchors = {0};
	cleanup_buffer struct cvq_buffer chains = {0};
	append_line(&anchors, "list:");
	for (int i = 0; i < 4990; i++)
		append_line(&anchors, "- &a%d", i);
	for (int i = 0; i < 1200; i++)
		append_line(&chains, "x%d: 1", i);
	append_line(&chains, "a0: 1");
	for (int i = 1; i < 99; i++)
		append_line(&chains, "a%d: !ref <a%d>", i, i - 1);
	for (int i = 0; i < 1190; i++)
		append_line(&chains, "b%d: !ref <a98>", i);
	clock_t start = clock();
	cvq_yaml_free(parse_buffer(&anchors));
	cvq_yaml_free(parse_buffer(&chains));
	double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
	if (seconds > 20) /* less than one, except under sanitizers */
		fail_msg("%.1f seconds", seconds);
}

/* Flipped bits of a real document: read or refused, and nothing else. */
static void flipped_bits_do_no_harm(void **state)
{
	(void)state;
	uint8_t text[8192];
	FILE *file = fopen(CVQ_SOURCE_DIR "/tests/data/cosyvoice3.yaml", "re");
	assert_non_null(file);
	size_t length = fread(text, 1, sizeof(text), file);
	fclose(file);
	assert_true(length > 1000 && length < sizeof(text));
	for (size_t bit = 0; bit < length * 8; bit += 7) {
		struct cvq_yaml *yaml = NULL;
		text[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cvq_err err = cvq_yaml_parse((const char *)text, length, &yaml, NULL);
		assert_true(err == 0 || err == CVQ_ERR_CONTENT);
		if (!err)
			cvq_yaml_free(yaml);
		text[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_come_to_whole_numbers),
		cmocka_unit_test(what_is_no_whole_number_is_said),
		cmocka_unit_test(references_lead_to_what_they_name),
		cmocka_unit_test(mappings_merge_others),
		cmocka_unit_test(what_hyperpyyaml_refuses_is_refused),
		cmocka_unit_test(what_only_cvq_refuses_is_said_so),
		cmocka_unit_test(bombs_do_not_go_off),
		cmocka_unit_test(merges_come_to_an_end),
		cmocka_unit_test(tags_do_not_multiply),
		cmocka_unit_test(what_is_too_large_is_refused),
		cmocka_unit_test(the_worst_documents_take_no_time),
		cmocka_unit_test(flipped_bits_do_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
