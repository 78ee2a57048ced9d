/* SPDX-License-Identifier: MIT */
/*
 * The command line of cvq-mount: what is understood, and what is said if not
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mount/options.c" // NOLINT(bugprone-suspicious-include): in no library

#define MOST_ARGUMENTS 12

/* Splits the line at blanks. */
static cvq_err parse(struct cvq_mount_options *parsed, const char *line,
		     struct cvq_reason *reason)
{
	static char text[512];
	char *arguments[MOST_ARGUMENTS + 2] = {(char[]){"cvq-mount"}};
	int count = 1;

	snprintf(text, sizeof(text), "%s", line);
	char *rest = text;
	for (char *word; (word = strsep(&rest, " ")) && count <= MOST_ARGUMENTS;)
		if (*word)
			arguments[count++] = word;
	*reason = (struct cvq_reason){""};
	return cvq_mount_options_parse(parsed, count, arguments, reason);
}

static void test_wrong_usage(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		const char *message;
	} wrong[] = {
		{"", "SOURCE is missing"},
		{"a", "MOUNTPOINT is missing"},
		{"a b c", "c: there is one argument too many"},
		{"--bogus a b", "--bogus: there is no such option"},
		{"--bogus=1 a b", "--bogus: there is no such option"},
		{"-x a b", "-x: there is no such option"},
		{"-fx a b", "-x: there is no such option"},
		{"-o bogus a b", "bogus: there is no such option"},
		{"-o allow_other,bogus=1 a b", "bogus: there is no such option"},
		{"a b -o", "-o: a value is missing"},
		{"a b --dtype", "--dtype: a value is missing"},
		{"-o dtype a b", "dtype: a value is missing"},
		{"-o fsname= a b", "fsname: a value is missing"},
		{"--dtype fp8 a b", "--dtype: 'fp8' is not one of its values"},
		{"--dtype=FP16 a b", "--dtype: 'FP16' is not one of its values"},
		{"-o overflow=wrap a b", "overflow: 'wrap' is not one of its values"},
		{"--align 17 a b", "--align: '17' is no alignment"},
		{"--keep= a b", "--keep: the pattern is empty"},
		{"--timeout soon a b", "--timeout: 'soon' is no time"},
		{"--quantize-hift=yes a b", "--quantize-hift: it takes no value"},
		{"--foreground=yes a b", "--foreground: it takes no value"},
		{"-o allow_other=1 a b", "allow_other: it takes no value"},
		{"--max-threads 0 a b", "--max-threads: '0' is no number of threads"},
		{"--max-threads -1 a b", "--max-threads: '-1' is no number of threads"},
		{"--max-threads 4x a b", "--max-threads: '4x' is no number of threads"},
		{"-o allow_root,allow_other a b", "allow_root: it contradicts allow_other"},
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct cvq_mount_options options;
		struct cvq_reason reason;
		cvq_err err = parse(&options, wrong[i].line, &reason);
		if (err != -EINVAL ||
		    strncmp(reason.text, wrong[i].message, strlen(wrong[i].message)) != 0)
			fail_msg("'%s': %d, '%s'", wrong[i].line, err, reason.text);
		/* Every message ends with what to do. */
		assert_int_equal(reason.text[strlen(reason.text) - 1], ')');
		cvq_mount_options_release(&options);
	}
}

/* Parses a line that is right. */
static void parse_right(struct cvq_mount_options *options, const char *line)
{
	struct cvq_reason reason;
	cvq_err err = parse(options, line, &reason);
	if (err)
		fail_msg("'%s': %d, '%s'", line, err, reason.text);
}

static void test_nothing_but_directories(void **state)
{
	(void)state;
	struct cvq_mount_options options;
	parse_right(&options, "original /mnt/quantized");
	assert_string_equal(options.source, "original");
	assert_string_equal(options.mountpoint, "/mnt/quantized");
	assert_false(options.foreground || options.debug || options.help ||
		     options.version || options.allow_other || options.allow_root ||
		     options.default_permissions || options.auto_unmount ||
		     options.nonempty || options.noexec);
	assert_null(options.fsname);
	assert_int_equal(options.max_threads, 0);
	assert_int_equal(options.policy.dtype, CVQ_FP16);
	cvq_mount_options_release(&options);
}

/* Every way to write an option comes to the same. */
static void test_spellings(void **state)
{
	(void)state;
	static const char *const lines[] = {
		"--dtype bf16 --quantize-hift --max-threads 3 -f a b",
		"--dtype=bf16 --quantize_hift --max_threads=3 --foreground a b",
		"-o dtype=bf16,quantize_hift,max_threads=3,foreground a b",
		"-odtype=bf16,quantize-hift -o max-threads=3 -f a b",
		"a b -fo dtype=bf16,quantize_hift,max_threads=3",
		"a --dtype bf16 b --quantize-hift -fomax_threads=3",
		"-f -o rw,dtype=bf16,_netdev,quantize_hift,max_threads=3 -- a b",
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct cvq_mount_options options;
		parse_right(&options, lines[i]);
		assert_int_equal(options.policy.dtype, CVQ_BF16);
		assert_false(cvq_policy_keeping_pattern(&options.policy, "hift.pt"));
		assert_int_equal(options.max_threads, 3);
		assert_true(options.foreground);
		assert_string_equal(options.source, "a");
		assert_string_equal(options.mountpoint, "b");
		cvq_mount_options_release(&options);
	}
}

static void test_options_of_mount_are_accepted(void **state)
{
	(void)state;
	struct cvq_mount_options options;
	parse_right(&options, "a b -o rw,ro,defaults,noauto,user,users,nofail,_netdev,dev,"
			      "nodev,suid,nosuid,exec,relatime,noatime,x-systemd.automount,"
			      "x-gvfs-hide,comment=hello,,subtype=cvq-mount");
	assert_false(options.noexec);
	cvq_mount_options_release(&options);

	parse_right(&options, "a b -o noexec,allow_other,default_permissions,auto_unmount,"
			      "nonempty,debug");
	assert_true(options.noexec && options.allow_other && options.default_permissions &&
		    options.auto_unmount && options.nonempty && options.debug);
	cvq_mount_options_release(&options);
}

static void test_escapes(void **state)
{
	(void)state;
	struct cvq_mount_options options;
	parse_right(&options, "a b -o fsname=x\\,y\\\\z=1,keep=?\\,*");
	assert_string_equal(options.fsname, "x,y\\z=1");
	assert_non_null(cvq_policy_keeping_pattern(&options.policy, "a,b.pt"));
	cvq_mount_options_release(&options);

	/* The last one counts, and a backslash at the very end is itself. */
	parse_right(&options, "a b -o fsname=one,fsname=two\\");
	assert_string_equal(options.fsname, "two\\");
	cvq_mount_options_release(&options);
}

static void test_names_with_dashes(void **state)
{
	(void)state;
	struct cvq_mount_options options;
	parse_right(&options, "-f -- -odd --names");
	assert_string_equal(options.source, "-odd");
	assert_string_equal(options.mountpoint, "--names");
	cvq_mount_options_release(&options);

	parse_right(&options, "- b");
	assert_string_equal(options.source, "-");
	cvq_mount_options_release(&options);
}

static void test_help_needs_nothing_else(void **state)
{
	(void)state;
	static const char *const lines[] = {"--help", "-h", "-fh a"};
	struct cvq_mount_options options;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		parse_right(&options, lines[i]);
		assert_true(options.help);
		cvq_mount_options_release(&options);
	}
	parse_right(&options, "-V");
	assert_true(options.version && !options.help);
	cvq_mount_options_release(&options);
}

/* Usage names every option that the table has. */
static void test_usage_is_complete(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(own_options) / sizeof(*own_options); i++) {
		char dashed[64];
		char underscored[64];
		snprintf(dashed, sizeof(dashed), "--%s", own_options[i].name);
		snprintf(underscored, sizeof(underscored), "%s", own_options[i].name);
		for (char *c = underscored; *c; c++)
			if (*c == '-')
				*c = '_';
		if (!strstr(cvq_mount_usage, dashed) &&
		    !strstr(cvq_mount_usage, underscored))
			fail_msg("usage does not name %s", dashed);
	}
	assert_non_null(strstr(cvq_mount_usage, "example:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_usage),
		cmocka_unit_test(test_nothing_but_directories),
		cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_options_of_mount_are_accepted),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_names_with_dashes),
		cmocka_unit_test(test_help_needs_nothing_else),
		cmocka_unit_test(test_usage_is_complete),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
