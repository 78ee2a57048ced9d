/* SPDX-License-Identifier: MIT */
/*
 * The command line of cvq-mount: what is understood, and what is said if not
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fixture.h"
#include "mount/options.c" // NOLINT(bugprone-suspicious-include): for own_options

#define MOST_ARGUMENTS 12

static char folder[] = "/tmp/cvq-test-options-XXXXXX";

/* Writes the configuration that is found if none is named. */
static void write_config(const char *text)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/cvq/cvq.ini", folder);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* An empty one at first, so that none of this machine's is read. */
static int set_up(void **state)
{
	(void)state;
	char path[64];
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/cvq", folder);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(setenv("XDG_CONFIG_HOME", folder, 1), 0);
	write_config("");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[64];
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

/* Splits the line at blanks. */
static cvq_err parse_place(struct cvq_mount_options *parsed, const char *line, char **place,
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
	return cvq_mount_options_parse(parsed, count, arguments, place, reason);
}

static cvq_err parse(struct cvq_mount_options *parsed, const char *line,
		     struct cvq_reason *reason)
{
	char *place;
	cvq_err err = parse_place(parsed, line, &place, reason);
	if (place)
		fail_msg("'%s' is about the configuration %s", line, place);
	return err;
}

static void wrong_usage_is_refused_with_what_to_do(void **state)
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
		{"-o ro,nosymfollow a b", "nosymfollow: there is no such option"},
		{"-o allow_other,bogus=1 a b", "bogus: there is no such option"},
		{"a b -o", "-o: a value is missing"},
		{"a b --dtype", "--dtype: a value is missing"},
		{"-o dtype a b", "dtype: a value is missing"},
		{"-o fsname= a b", "fsname: a value is missing"},
		{"--config", "--config: a value is missing"},
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
		{"--lifeline 0 a b", "--lifeline: '0' is no descriptor of a pipe"},
		{"--lifeline 999 a b", "--lifeline: '999' is no descriptor of a pipe"},
		{"--lifeline 5x a b", "--lifeline: '5x' is no descriptor of a pipe"},
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

static void two_directories_are_enough(void **state)
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
	assert_int_equal(options.lifeline, -1);
	assert_int_equal(options.policy.dtype, CVQ_FP16);
	cvq_mount_options_release(&options);
}

static void every_way_to_write_an_option_comes_to_the_same(void **state)
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

static void options_of_mount_are_accepted(void **state)
{
	(void)state;
	struct cvq_mount_options options;
	parse_right(&options, "a b -o rw,ro,defaults,noauto,user,users,nofail,_netdev,dev,"
			      "nodev,suid,nosuid,exec,relatime,noatime,x-systemd.automount,"
			      "x-gvfs-hide,comment=hello,,subtype=cvq-mount,silent,loud,"
			      "iversion,noiversion,mand,nomand,symfollow");
	assert_false(options.noexec || options.check);
	cvq_mount_options_release(&options);

	parse_right(&options, "a b --check");
	assert_true(options.check);
	cvq_mount_options_release(&options);
	parse_right(&options,
		    "a b -o noexec,check,allow_other,default_permissions,auto_unmount,"
		    "nonempty,debug");
	assert_true(options.noexec && options.check && options.allow_other &&
		    options.default_permissions && options.auto_unmount &&
		    options.nonempty && options.debug);
	cvq_mount_options_release(&options);
}

static void a_backslash_escapes_a_comma_and_itself(void **state)
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

static void names_may_begin_with_dashes(void **state)
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

static void help_needs_nothing_else(void **state)
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

static void the_configuration_is_read_first_wherever_it_is_named(void **state)
{
	(void)state;
	char line[256];
	struct cvq_mount_options options;
	write_config("[format]\ndtype = bf16\nalign = 128\n[files]\nkeep = a.pt *hift*\n");

	parse_right(&options, "a b");
	assert_int_equal(options.policy.dtype, CVQ_BF16);
	assert_non_null(cvq_policy_keeping_pattern(&options.policy, "a.pt"));
	assert_null(cvq_policy_keeping_pattern(&options.policy, "spk2info.pt"));
	assert_non_null(strstr(options.config, "/cvq/cvq.ini"));
	cvq_mount_options_release(&options);

	static const char *const lines[] = {
		"--align=64 --quantize-hift --keep b.pt --config %s/cvq/cvq.ini a b",
		"--config=%s/cvq/cvq.ini --align=64 --quantize-hift --keep b.pt a b",
		"a b --keep b.pt -o align=64,config=%s/cvq/cvq.ini,quantize_hift",
		"--config x a b -oquantize_hift,keep=b.pt,align=64,config=%s/cvq/cvq.ini",
		"--align=64 --quantize-hift --keep b.pt a b", /* by default */
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		snprintf(line, sizeof(line), lines[i], folder);
		parse_right(&options, line);
		assert_int_equal(options.policy.dtype, CVQ_BF16);
		assert_int_equal(options.policy.align, 64);
		assert_int_equal(options.policy.keep_files.count, 2);
		assert_string_equal(options.policy.keep_files.patterns[0], "a.pt");
		assert_string_equal(options.policy.keep_files.patterns[1], "b.pt");
		assert_string_equal(options.source, "a");
		cvq_mount_options_release(&options);
	}
	parse_right(&options, "a b --config /dev/null");
	assert_int_equal(options.policy.dtype, CVQ_FP16);
	assert_string_equal(options.config, "/dev/null");
	cvq_mount_options_release(&options);
	write_config("");
}

static void assert_wrong_config(const char *line, const char *where, const char *message)
{
	struct cvq_mount_options options;
	struct cvq_reason reason;
	char *place;
	assert_true(parse_place(&options, line, &place, &reason) < 0);
	assert_non_null(place);
	size_t length = place ? strlen(place) : 0;
	if (length < strlen(where) || strcmp(place + length - strlen(where), where) != 0)
		fail_msg("'%s' is about %s, not %s", line, place, where);
	assert_non_null(strstr(reason.text, message));
	free(place);
	cvq_mount_options_release(&options);
}

static void a_wrong_configuration_is_refused_with_its_place(void **state)
{
	(void)state;
	struct cvq_mount_options options;
	struct cvq_reason reason;
	assert_wrong_config("a b --config /none/cvq.ini", "/none/cvq.ini", "no such file");
	assert_wrong_config("a b -o config=/", "/", "it is not a file");

	write_config("[format]\n\ndtype = fp8\n");
	assert_wrong_config("a b", "/cvq/cvq.ini:3", "[format] dtype: 'fp8' is not one of");
	assert_wrong_config("--dtype fp16 a b", "/cvq/cvq.ini:3", "'fp8' is not one of");
	/* The command line is looked at first, and help whatever else is wrong. */
	assert_int_equal(parse(&options, "a b --dtype fp4", &reason), -EINVAL);
	assert_non_null(strstr(reason.text, "fp4"));
	cvq_mount_options_release(&options);
	parse_right(&options, "--help");
	cvq_mount_options_release(&options);
	write_config("");
}

/* Between cvq run and us, and nobody else's. */
static bool is_internal(const char *name)
{
	return strcmp(name, "lifeline") == 0 || strcmp(name, "remove-mountpoint") == 0;
}

/* As a word of its own: --check is not named by --checksum. */
static bool names(const char *text, const char *option)
{
	while ((text = strstr(text, option))) {
		text += strlen(option);
		if (!isalnum((unsigned char)*text) && *text != '-' && *text != '_')
			return true;
	}
	return false;
}

/* Usage names every option that the table has for people. */
static void usage_is_complete(void **state)
{
	(void)state;
	const char *mount_options = strstr(cvq_mount_usage, "  -o OPTION");
	assert_non_null(mount_options);
	for (size_t i = 0; i < sizeof(own_options) / sizeof(*own_options); i++) {
		char dashed[64];
		char underscored[64];
		snprintf(dashed, sizeof(dashed), "--%s", own_options[i].name);
		snprintf(underscored, sizeof(underscored), "%s", own_options[i].name);
		for (char *c = underscored; *c; c++)
			if (*c == '-')
				*c = '_';
		bool named =
			names(cvq_mount_usage, dashed) || names(mount_options, underscored);
		if (named == is_internal(own_options[i].name))
			fail_msg("usage names %s, or should", dashed);
	}
	assert_non_null(strstr(cvq_mount_usage, "example:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_usage_is_refused_with_what_to_do),
		cmocka_unit_test(two_directories_are_enough),
		cmocka_unit_test(every_way_to_write_an_option_comes_to_the_same),
		cmocka_unit_test(options_of_mount_are_accepted),
		cmocka_unit_test(a_backslash_escapes_a_comma_and_itself),
		cmocka_unit_test(names_may_begin_with_dashes),
		cmocka_unit_test(help_needs_nothing_else),
		cmocka_unit_test(the_configuration_is_read_first_wherever_it_is_named),
		cmocka_unit_test(a_wrong_configuration_is_refused_with_its_place),
		cmocka_unit_test(usage_is_complete),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
