/* SPDX-License-Identifier: MIT */
/*
 * Reasons are readable whatever the names in them are
 */
#include <string.h>

#include "base/error.h"
#include "fixture.h"

static void assert_reads(const char *name, const char *expected)
{
	struct cvq_reason reason;
	assert_int_equal(cvq_explain(&reason, -5, "[%s]", name), -5);
	assert_string_equal(reason.text, expected);
}

static void valid_text_stays(void **state)
{
	(void)state;
	assert_reads("llm.pt", "[llm.pt]");
	assert_reads("\xe6\xa8\xa1\xe5\x9e\x8b.pt", "[\xe6\xa8\xa1\xe5\x9e\x8b.pt]");
	assert_reads("\xc3\xa9\xf0\x9f\x8e\x99", "[\xc3\xa9\xf0\x9f\x8e\x99]");
}

static void everything_else_becomes_question_marks(void **state)
{
	(void)state;
	assert_reads("a\xff"
		     "b",
		     "[a?b]");
	assert_reads("a\x80"
		     "b",
		     "[a?b]");
	assert_reads("\xc0\xaf", "[??]");
	assert_reads("\xe0\x80\xaf", "[???]");
	assert_reads("\xed\xa0\x80", "[???]");
	assert_reads("\xf4\x90\x80\x80", "[????]");
	assert_reads("\xe6\xa8", "[??]");
	assert_reads("two\nlines", "[two?lines]");
	assert_reads("\033[31mred\x7f", "[?[31mred?]");
	/* U+009B does to some terminals what ESC and [ do; U+00A0 is the first that is
	 * text. */
	assert_reads("\xc2\x9b"
		     "31m",
		     "[??31m]");
	assert_reads("\xc2\xa0", "[\xc2\xa0]");
}

static void a_cut_character_is_not_left_over(void **state)
{
	(void)state;
	struct cvq_reason reason;
	char name[400];
	for (size_t i = 0; i + 3 < sizeof(name); i += 3)
		memcpy(name + i, "\xe6\xa8\xa1", 4);
	for (size_t shift = 0; shift < 3; shift++) {
		cvq_explain(&reason, 0, "%.*s%s", (int)shift, "ab", name);
		assert_int_equal(strlen(reason.text), sizeof(reason.text) - 1);
		unsigned char last = (unsigned char)reason.text[sizeof(reason.text) - 2];
		assert_true(last == 0xa1 || last == '?');
	}
}

static void a_missing_reason_is_no_error(void **state)
{
	(void)state;
	assert_int_equal(cvq_explain(NULL, CVQ_ERR_CONTENT, "%s", "text"), CVQ_ERR_CONTENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_text_stays),
		cmocka_unit_test(everything_else_becomes_question_marks),
		cmocka_unit_test(a_cut_character_is_not_left_over),
		cmocka_unit_test(a_missing_reason_is_no_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
