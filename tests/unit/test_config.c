/* SPDX-License-Identifier: MIT */
/*
 * The INI file: what it sets, and what is said of every slip in it
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fixture.h"
#include "policy/config.h"

#define FILES "[files]\n"

struct fixture {
	char folder[64];
	char path[128]; /* of a configuration in it */
	struct cvq_policy policy;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	strcpy(fixture->folder, "/tmp/cvq-test-config-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	snprintf(fixture->path, sizeof(fixture->path), "%s/cvq.ini", fixture->folder);
	*state = fixture;
	return cvq_policy_init(&fixture->policy);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	char command[128];
	cvq_policy_release(&fixture->policy);
	snprintf(command, sizeof(command), "rm -rf '%s'", fixture->folder);
	assert_int_equal(system(command), 0);
	free(fixture);
	return 0;
}

static void write_bytes(const struct fixture *fixture, const char *bytes, size_t length)
{
	FILE *file = fopen(fixture->path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

/* Starts from the defaults every time. */
static cvq_err read_file(struct fixture *fixture, unsigned *line, struct cvq_reason *reason)
{
	*reason = (struct cvq_reason){""};
	cvq_policy_release(&fixture->policy);
	assert_int_equal(cvq_policy_init(&fixture->policy), 0);
	return cvq_config_read(&fixture->policy, fixture->path, line, reason);
}

static const struct cvq_policy *read_text(struct fixture *fixture, const char *text)
{
	unsigned line;
	struct cvq_reason reason;
	write_bytes(fixture, text, strlen(text));
	if (read_file(fixture, &line, &reason))
		fail_msg("line %u of '%s': %s", line, text, reason.text);
	return &fixture->policy;
}

static void assert_refused_bytes(struct fixture *fixture, const char *bytes, size_t length,
				 unsigned expected, const char *says)
{
	unsigned line = 4711;
	struct cvq_reason reason;
	write_bytes(fixture, bytes, length);
	cvq_err err = read_file(fixture, &line, &reason);
	if (err != -EINVAL || line != expected || !strstr(reason.text, says))
		fail_msg("'%s': %d, line %u: '%s' and not line %u: '%s'", bytes, err, line,
			 reason.text, expected, says);
	/* Every message ends with what to do. */
	assert_int_equal(reason.text[strlen(reason.text) - 1], ')');
}

static void assert_refused(struct fixture *fixture, const char *text, unsigned line,
			   const char *says)
{
	assert_refused_bytes(fixture, text, strlen(text), line, says);
}

static void assert_patterns(const struct cvq_globs *globs, const char *expected)
{
	char all[512] = "";
	for (size_t i = 0; i < globs->count; i++) {
		strcat(all, i ? " " : "");
		strcat(all, globs->patterns[i]);
	}
	assert_string_equal(all, expected);
}

static void assert_defaults(const struct cvq_policy *policy)
{
	assert_patterns(&policy->convert_files, "*.pt");
	assert_patterns(&policy->keep_files, "*hift* *hifigan* spk2info*.pt");
	assert_patterns(&policy->keep_tensors,
			"*inv_freq optimizer.* optimizer_states.* optimizer_state_dict.* "
			"state.[0-9?]*.*");
	assert_int_equal(policy->dtype, CVQ_FP16);
	assert_int_equal(policy->overflow, CVQ_OVERFLOW_INF);
	assert_int_equal(policy->checksum, CVQ_CHECKSUM_SEAL);
	assert_int_equal(policy->align, 0);
	assert_int_equal(policy->symlinks, CVQ_SYMLINKS_AUTO);
	assert_true(policy->timeout == 1);
}

/* ========================================================================== */
/*                               What it can say                              */
/* ========================================================================== */

static void every_key_is_read_and_a_list_replaces_the_default(void **state)
{
	const struct cvq_policy *policy = read_text(*state, "[files]\n"
							    "convert = *.pt *.pth\n"
							    "keep = flow.pt\told/*.pt\n"
							    "[tensors]\n"
							    "keep = *.bias\n"
							    "[format]\n"
							    "dtype = bf16\n"
							    "overflow = clamp\n"
							    "checksum = exact\n"
							    "align = 4096\n"
							    "[view]\n"
							    "symlinks = keep\n"
							    "timeout = 0.5\n");
	/* Lists replace the defaults. */
	assert_patterns(&policy->convert_files, "*.pt *.pth");
	assert_patterns(&policy->keep_files, "flow.pt old/*.pt");
	assert_patterns(&policy->keep_tensors, "*.bias");
	assert_int_equal(policy->dtype, CVQ_BF16);
	assert_int_equal(policy->overflow, CVQ_OVERFLOW_CLAMP);
	assert_int_equal(policy->checksum, CVQ_CHECKSUM_EXACT);
	assert_int_equal(policy->align, 4096);
	assert_int_equal(policy->symlinks, CVQ_SYMLINKS_KEEP);
	assert_true(policy->timeout == 0.5);
}

static void what_says_nothing_changes_nothing(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"\n\n  \n\t\r\n",
		"# a comment\n; and another\n  ; indented\n",
		"[files]\n[format]\n[files] ; twice\n[view]; fine\n[tensors]",
		"\xEF\xBB\xBF",
		"\xEF\xBB\xBF[view]\n",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_defaults(read_text(*state, texts[i]));
}

static void all_ways_to_write_it_come_to_the_same(void **state)
{
	static const char *const texts[] = {
		"[format]\ndtype = bf16\nalign=64\n",
		"[format]\ndtype=bf16\nalign=64", /* no final newline */
		"[format]\r\ndtype = bf16\r\nalign = 64\r\n",
		"\xEF\xBB\xBF[format]\ndtype = bf16\nalign = 64\n",
		"[format]\n\n  dtype = bf16 ; comment\n; more\nalign = 64\t; comment\n",
		"[format]\ndtype = bf16\n[files]\n[format]\nalign = 64\n",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		const struct cvq_policy *policy = read_text(*state, texts[i]);
		assert_int_equal(policy->dtype, CVQ_BF16);
		assert_int_equal(policy->align, 64);
	}
}

static void lists_go_on_over_indented_lines_and_may_be_empty(void **state)
{
	struct fixture *fixture = *state;
	static const char *const same[] = {
		FILES "keep = a.pt b.pt c.pt\n",
		FILES "keep = a.pt\n  b.pt\n\n\tc.pt ; comment\n",
		FILES "keep =\n a.pt b.pt\n# comment\n c.pt",
		FILES "keep =\t a.pt\t b.pt  \r\n   c.pt\r\n",
	};
	for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++)
		assert_patterns(&read_text(fixture, same[i])->keep_files, "a.pt b.pt c.pt");

	/* An empty list keeps, or converts, nothing. */
	assert_patterns(&read_text(fixture, FILES "keep =\n")->keep_files, "");
	assert_patterns(&read_text(fixture, FILES "convert = ; none\n")->convert_files, "");
	/* What a pattern may have in it. */
	assert_patterns(&read_text(fixture, FILES "keep = a;b a=b a:b [ab]*.pt é?.pt\n")
				 ->keep_files,
			"a;b a=b a:b [ab]*.pt é?.pt");
	assert_patterns(
		&read_text(fixture, FILES "keep = a\n [ab]*.pt [c] ; both\n [d] e\n")
			 ->keep_files,
		"a [ab]*.pt [c] [d] e");
	assert_patterns(&read_text(fixture, "[tensors]\nkeep = a\n b\n" FILES "keep = c\n")
				 ->keep_tensors,
			"a b");
}

static void aliases_are_found_by_their_whole_path(void **state)
{
	const struct cvq_policy *policy =
		read_text(*state, "; first\n[alias]\nllm.pt = llm.rl.pt\n\n"
				  "sub/a model.pt = b/c d.bin ; comment\n"
				  "LLM.pt = llm.rl.pt\n...=.hidden\n");
	assert_int_equal(policy->aliases.count, 4);
	const struct cvq_alias *alias = cvq_policy_find_alias(policy, "sub/a model.pt");
	assert_non_null(alias);
	assert_string_equal(alias->target, "b/c d.bin");
	assert_int_equal(alias->line, 5);
	assert_string_equal(cvq_policy_find_alias(policy, "...")->target, ".hidden");
	assert_null(cvq_policy_find_alias(policy, "a model.pt"));

	/* inih keeps 49 characters of a name for what may follow it; we do not. */
	assert_non_null(cvq_policy_find_alias(
		read_text(*state, "[alias]\na_name_that_is_longer_than_inih_would_remember_"
				  "it.pt = a"),
		"a_name_that_is_longer_than_inih_would_remember_it.pt"));
}

static void the_command_line_wins(void **state)
{
	struct fixture *fixture = *state;
	struct cvq_policy *policy = &fixture->policy;
	read_text(fixture, "[files]\nconvert = *.pth *.ckpt\nkeep = *HiFT* a.pt *hifigan*\n"
			   "[tensors]\nkeep = *.bias\n[format]\ndtype = bf16\n");
	assert_int_equal(cvq_policy_set(policy, "convert", "*.bin", NULL), 0);
	assert_int_equal(cvq_policy_set(policy, "convert", "*.pt", NULL), 0);
	assert_int_equal(cvq_policy_set(policy, "keep", "b.pt", NULL), 0);
	assert_int_equal(cvq_policy_set(policy, "keep-tensor", "x", NULL), 0);
	assert_int_equal(cvq_policy_set(policy, "dtype", "fp16", NULL), 0);
	assert_patterns(&policy->convert_files, "*.bin *.pt");
	assert_patterns(&policy->keep_files, "*HiFT* a.pt *hifigan* b.pt");
	assert_patterns(&policy->keep_tensors, "*.bias x");
	assert_int_equal(policy->dtype, CVQ_FP16);

	/* Whoever has named them. */
	assert_int_equal(cvq_policy_set(policy, "quantize-hift", NULL, NULL), 0);
	assert_patterns(&policy->keep_files, "a.pt b.pt");
}

/* The example has every key, at its default; checksum has two, and is left out. */
static void the_example_has_every_key_at_its_default(void **state)
{
	struct fixture *fixture = *state;
	struct cvq_policy *policy = &fixture->policy;
	static const char *const others[][2] = {
		{"convert", "x"},     {"keep", "x"},         {"keep-tensor", "x"},
		{"dtype", "bf16"},    {"overflow", "clamp"}, {"align", "4096"},
		{"symlinks", "keep"}, {"timeout", "9"},      {"quantize-hift", NULL},
	};
	unsigned line;
	struct cvq_reason reason;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_int_equal(cvq_policy_set(policy, others[i][0], others[i][1], NULL),
				 0);
	if (cvq_config_read(policy, CVQ_SOURCE_DIR "/packaging/cvq.ini.example", &line,
			    &reason))
		fail_msg("line %u: %s", line, reason.text);
	assert_defaults(policy);
	assert_int_equal(policy->aliases.count, 0);
}

/* ========================================================================== */
/*                             What is wrong, and where                       */
/* ========================================================================== */

static void a_slip_is_refused_with_its_line_and_what_to_do(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *says;
	} slips[] = {
		/* Sections. */
		{"\n[formt]\n", 2,
		 "[formt]: there is no such section (use files, tensors, "
		 "format, alias or view)"},
		{"[]\n", 1, "[]: there is no such section"},
		{"[Files]\n", 1, "[Files]: there is no such section"},
		{"[ files]\n", 1, "[ files]: there is no such section"},
		{"\xEF\xBB\xBF[formt]\n", 1, "[formt]: there is no such section"},
		{"; a\n[files\n", 2, "[files: the bracket is not closed"},
		{"[files] keep = a\n", 1, "'keep = a' follows the section's name"},
		{"dtype = fp16\n", 1, "dtype: it is in no section"},
		/* Keys. */
		{"[format]\n\ndtpye = bf16\n", 3,
		 "[format] dtpye: there is no such key (use dtype, overflow, checksum or "
		 "align)"},
		{"[tensors]\nconvert = a\n", 2,
		 "[tensors] convert: there is no such key (use keep)"},
		{"[format]\nDtype = bf16\n", 2, "[format] Dtype: there is no such key"},
		{"[format]\n= bf16\n", 2, "[format] : there is no such key"},
		{"[files]\nkeep_tensor = a\n", 2, "there is no such key"},
		{"[format]\ndtype = bf16\n[view]\n[format]\ndtype = bf16\n", 5,
		 "[format] dtype: it is given twice"},
		{"[files]\nkeep = a\nkeep = b\n", 3, "[files] keep: it is given twice"},
		/* Values. */
		{"[format]\ndtype = fp8\n", 2,
		 "[format] dtype: 'fp8' is not one of its values (use fp16 or bf16)"},
		{"[format]\ndtype =\n", 2, "[format] dtype: '' is not one of its values"},
		{"[format]\ndtype = fp16 # best\n", 2, "'fp16 # best' is not one of"},
		{"[format]\noverflow = wrap\n", 2, "(use inf or clamp)"},
		{"[format]\nchecksum = crc\n", 2, "(use seal, exact or none)"},
		{"[format]\nalign = 17\n", 2, "[format] align: '17' is no alignment"},
		{"[view]\nsymlinks = no\n", 2, "(use auto, follow or keep)"},
		{"[view]\ntimeout = soon\n", 2, "[view] timeout: 'soon' is no time"},
		{"[files]\nkeep = a # b\n", 2, "[files] keep: '#' is no pattern"},
		/* Aliases. */
		{"[alias]\na = b\n\na = c\n", 4, "[alias] a: it is given twice"},
		{"[alias]\na = ../b\n", 2, "[alias] a: '../b' is no path below"},
		{"[alias]\na/../b = c\n", 2, "[alias] a/../b: 'a/../b' is no path below"},
		{"[alias]\na = b/..\n", 2, "'b/..' is no path below"},
		{"[alias]\na = /etc/passwd\n", 2, "'/etc/passwd' is no path below"},
		{"[alias]\n/a = b\n", 2, "'/a' is no path below"},
		{"[alias]\na = .\n", 2, "'.' is no path below"},
		{"[alias]\na = ./b\n", 2, "'./b' is no path below"},
		{"[alias]\na = b//c\n", 2, "'b//c' is no path below"},
		{"[alias]\na = b/\n", 2, "'b/' is no path below"},
		{"[alias]\na =\n", 2, "'' is no path below"},
		{"[alias]\n= a\n", 2, "'' is no path below"},
		{"[alias]\na = b\n  c\n", 3, "'c' is indented"},
		{"[alias]\na:b = c\n", 2, "a: a name cannot have a colon"},
		/* Lines. */
		{"[files]\nkeep\n", 2, "the line has no '='"},
		{"[files]\n\nkeep\n[nonsense]\n", 3, "the line has no '='"},
		{"[files]\nkeep *.pt", 2, "the line has no '='"},
		{"[format]\ndtype: bf16\n", 2, "dtype: a name cannot have a colon"},
		{"[format]\ndtype:x = bf16\n", 2, "dtype: a name cannot have a colon"},
		{"[format]\ndtype = bf16\n  overflow = clamp\n", 3,
		 "'overflow = clamp' is indented"},
		{"[format]\ndtype = bf16\n  fp16\n", 3, "'fp16' is indented"},
		{"[files]\nkeep = a\n\n  convert = b\n", 4, "'convert = b' is indented"},
		{"[files]\nkeep = a\n  [view]\n", 3, "'[view]' is indented"},
		{"[files]\nkeep = a\n  [view] ; next\n", 3, "is indented"},
		{"[files]\nkeep = a\n  [view\n", 3, "'[view' is indented"},
		{"[format]\ndtype = bf16\n  [ab]*.pt\n", 3, "'[ab]*.pt' is indented"},
		{"[files]\nkeep = a\n  b=c.pt\n", 3, "a pattern with = belongs on that of"},
	};
	for (size_t i = 0; i < sizeof(slips) / sizeof(*slips); i++)
		assert_refused(*state, slips[i].text, slips[i].line, slips[i].says);
}

static void a_line_may_have_198_bytes_and_no_more(void **state)
{
	struct fixture *fixture = *state;
	char text[512];
	char pattern[199] = "";
	const char *key = FILES "keep = ";

	/* inih's buffer of 200 bytes has room for a line of 198. */
	memset(pattern, 'x', 198 - strlen("keep = "));
	snprintf(text, sizeof(text), "%s%s", key, pattern);
	assert_patterns(&read_text(fixture, text)->keep_files, pattern);
	strcat(text, "\n");
	assert_patterns(&read_text(fixture, text)->keep_files, pattern);

	snprintf(text, sizeof(text), "%s%sy", key, pattern);
	assert_refused(fixture, text, 2, "the line is longer than 198 bytes");
	snprintf(text, sizeof(text), "%s%sy\nkeep = z\n", key, pattern);
	assert_refused(fixture, text, 2, "the line is longer than 198 bytes");
	snprintf(text, sizeof(text), "\n\n# %s%s", pattern, pattern);
	assert_refused(fixture, text, 3, "the line is longer than 198 bytes");
}

static void what_is_no_text_is_refused(void **state)
{
	static const char bytes[] = "[files]\nkeep = a\0b\n";
	static const char wide[] = "\xFF\xFE[\0f\0"; /* UTF-16 */
	assert_refused_bytes(*state, bytes, sizeof(bytes) - 1, 2, "there is a byte 0");
	assert_refused_bytes(*state, wide, sizeof(wide) - 1, 1, "there is a byte 0");
	assert_refused_bytes(*state, "\0", 1, 1, "there is a byte 0");
	assert_refused(*state, "PK\x03\x04\n", 1, "the line has no '='");
}

static void assert_unreadable(struct fixture *fixture, const char *says)
{
	unsigned line = 4711;
	struct cvq_reason reason;
	assert_true(read_file(fixture, &line, &reason) < 0);
	assert_int_equal(line, 0);
	if (!strstr(reason.text, says))
		fail_msg("'%s' does not say '%s'", reason.text, says);
}

static void only_a_regular_file_or_dev_null_is_read(void **state)
{
	struct fixture *fixture = *state;
	assert_unreadable(fixture, "there is no such file");
	assert_int_equal(symlink("none", fixture->path), 0);
	assert_unreadable(fixture, "there is no such file");
	assert_int_equal(unlink(fixture->path), 0);
	assert_int_equal(mkdir(fixture->path, 0755), 0);
	assert_unreadable(fixture, "it is not a file");
	assert_int_equal(rmdir(fixture->path), 0);
	/* Nobody will ever write into it. */
	assert_int_equal(mkfifo(fixture->path, 0644), 0);
	assert_unreadable(fixture, "it is not a file");
	assert_int_equal(unlink(fixture->path), 0);
	assert_int_equal(symlink("/dev/zero", fixture->path), 0);
	assert_unreadable(fixture, "it is not a file");
	assert_int_equal(unlink(fixture->path), 0);

	write_bytes(fixture, "", 0);
	assert_int_equal(chmod(fixture->path, 0), 0);
	if (geteuid() != 0)
		assert_unreadable(fixture, "you may not read it");
	assert_int_equal(unlink(fixture->path), 0);

	/* How to say that there is to be no configuration. */
	unsigned line;
	struct cvq_reason reason;
	assert_int_equal(symlink("/dev/null", fixture->path), 0);
	assert_int_equal(read_file(fixture, &line, &reason), 0);
	assert_defaults(&fixture->policy);
}

/* ========================================================================== */
/*                                The default one                             */
/* ========================================================================== */

static void assert_found(const char *expected)
{
	cleanup_free char *path = NULL;
	assert_int_equal(cvq_config_find(&path), 0);
	if (!expected && access("/etc/cvq.ini", F_OK) == 0)
		expected = "/etc/cvq.ini";
	if (expected)
		assert_string_equal(path, expected);
	else
		assert_null(path);
}

static void make_config(const struct fixture *fixture, const char *folder, char path[256])
{
	char command[256];
	snprintf(command, sizeof(command), "mkdir -p '%s/%s/cvq' && :>'%s/%s/cvq/cvq.ini'",
		 fixture->folder, folder, fixture->folder, folder);
	assert_int_equal(system(command), 0);
	snprintf(path, 256, "%s/%s/cvq/cvq.ini", fixture->folder, folder);
}

static void the_default_is_below_xdg_config_home_or_else_home(void **state)
{
	struct fixture *fixture = *state;
	char below_home[256];
	char elsewhere[256];
	char folder[128];

	assert_int_equal(setenv("HOME", fixture->folder, 1), 0);
	assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
	assert_found(NULL);
	make_config(fixture, ".config", below_home);
	assert_found(below_home);

	/* An empty or relative XDG_CONFIG_HOME is none. */
	assert_int_equal(setenv("XDG_CONFIG_HOME", "", 1), 0);
	assert_found(below_home);
	assert_int_equal(setenv("XDG_CONFIG_HOME", "config", 1), 0);
	assert_found(below_home);
	snprintf(folder, sizeof(folder), "%s/xdg", fixture->folder);
	assert_int_equal(setenv("XDG_CONFIG_HOME", folder, 1), 0);
	assert_found(NULL);
	make_config(fixture, "xdg", elsewhere);
	assert_found(elsewhere);

	/* One that cannot be read exists all the same, one out of sight does not. */
	if (geteuid() != 0) {
		assert_int_equal(chmod(elsewhere, 0), 0);
		assert_found(elsewhere);
		assert_int_equal(chmod(folder, 0), 0);
		assert_found(NULL);
		assert_int_equal(chmod(folder, 0755), 0);
	}
	assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
	assert_int_equal(unsetenv("HOME"), 0);
	assert_found(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_key_is_read_and_a_list_replaces_the_default),
		TEST(what_says_nothing_changes_nothing),
		TEST(all_ways_to_write_it_come_to_the_same),
		TEST(lists_go_on_over_indented_lines_and_may_be_empty),
		TEST(aliases_are_found_by_their_whole_path),
		TEST(the_command_line_wins),
		TEST(the_example_has_every_key_at_its_default),
		TEST(a_slip_is_refused_with_its_line_and_what_to_do),
		TEST(a_line_may_have_198_bytes_and_no_more),
		TEST(what_is_no_text_is_refused),
		TEST(only_a_regular_file_or_dev_null_is_read),
		TEST(the_default_is_below_xdg_config_home_or_else_home),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
