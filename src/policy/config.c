/* SPDX-License-Identifier: MIT */
/*
 * inih takes lines apart.  It is lenient where a slip should be told rather than
 * passed over: it cuts long lines, does not mention sections without keys, stumbles
 * over bytes 0, takes an indented "key = value" for more of the value above, and
 * before release 56 a comment there as well.  So every line is looked at in
 * next_line() before inih gets it, and an error ends the reading, which is how its
 * line is known.
 */
#include "policy/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/descriptors.h"

#define SYSTEM_CONFIG "/etc/cvq.ini"
#define USER_CONFIG   "cvq/cvq.ini"

/* ========================================================================== */
/*                              Sections and keys                             */
/* ========================================================================== */

static const char *const section_names[] = {"files", "tensors", "format",
					    "alias", "view",    NULL};

#define NO_LIST      SIZE_MAX
#define LIST(member) offsetof(struct cvq_policy, member)

static const struct key {
	const char *section;
	const char *name;
	const char *option; /* of cvq_policy_set() */
	size_t list;        /* where in the policy, if the value is a list */
} keys[] = {
	{"files", "convert", "convert", LIST(convert_files)},
	{"files", "keep", "keep", LIST(keep_files)},
	{"tensors", "keep", "keep-tensor", LIST(keep_tensors)},
	{"format", "dtype", "dtype", NO_LIST},
	{"format", "overflow", "overflow", NO_LIST},
	{"format", "checksum", "checksum", NO_LIST},
	{"format", "align", "align", NO_LIST},
	{"view", "symlinks", "symlinks", NO_LIST},
	{"view", "timeout", "timeout", NO_LIST},
};
#define KEY_COUNT (sizeof(keys) / sizeof(*keys))

/* Here any path is a key. */
static const struct key alias_key = {"alias", NULL, NULL, NO_LIST};

static const struct key *find_key(const char *section, const char *name)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (strcmp(keys[i].section, section) == 0 &&
		    strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static bool is_section(const char *name, size_t length)
{
	for (const char *const *known = section_names; *known; known++)
		if (strlen(*known) == length && strncmp(*known, name, length) == 0)
			return true;
	return false;
}

/* ========================================================================== */
/*                                   Values                                   */
/* ========================================================================== */

struct parser {
	FILE *file;
	struct cvq_policy *policy;
	const struct key *key; /* whose value it is; NULL before a section's first */
	bool given[KEY_COUNT];
	unsigned line;  /* the last one that was read */
	bool continues; /* it is indented below a key ... */
	bool colon;     /* ... or else its name ends at a colon */
	cvq_err err;    /* what is wrong with it */
	struct cvq_reason *reason;
};

static cvq_err explain_unknown(struct parser *parser, const char *section, const char *name)
{
	const char *names[KEY_COUNT + 1] = {NULL};
	char known[64];
	size_t count = 0;

	if (!*section)
		return cvq_explain(parser->reason, -EINVAL,
				   "%.60s: it is in no section (put a line such as [%s] "
				   "above it)",
				   name, section_names[0]);
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (strcmp(keys[i].section, section) == 0)
			names[count++] = keys[i].name;
	cvq_list_names(names, known, sizeof(known));
	return cvq_explain(parser->reason, -EINVAL,
			   "[%s] %.60s: there is no such key (use %s)", section, name,
			   known);
}

static cvq_err set(struct parser *parser, const char *value)
{
	const struct key *key = parser->key;
	struct cvq_reason detail;
	cvq_err err = cvq_policy_set(parser->policy, key->option, value, &detail);
	if (err == -EINVAL)
		cvq_explain(parser->reason, err, "[%s] %s: %s", key->section, key->name,
			    detail.text);
	return err;
}

static cvq_err add_words(struct parser *parser, const char *words)
{
	cleanup_free char *copy = strdup(words);
	cvq_err err = copy ? 0 : -ENOMEM;

	char *rest = copy;
	for (char *word; !err && (word = strsep(&rest, " \t"));) {
		if (strpbrk(word, "\"'"))
			err = cvq_explain(
				parser->reason, -EINVAL,
				"[%s] %s: '%.60s' has a quote, which means nothing "
				"here (write ? for a blank or a quote)",
				parser->key->section, parser->key->name, word);
		else if (*word == '#')
			err = cvq_explain(parser->reason, -EINVAL,
					  "[%s] %s: '%.60s' is no pattern (a comment "
					  "behind a value begins with a semicolon)",
					  parser->key->section, parser->key->name, word);
		else if (*word)
			err = set(parser, word);
	}
	return err;
}

static cvq_err explain_indented(struct parser *parser, const char *text)
{
	return cvq_explain(parser->reason, -EINVAL,
			   "'%.60s' is indented, which continues a list above it (begin at "
			   "the start of the line; a pattern with = belongs on that of its "
			   "key)",
			   text);
}

/* More of a list.  What looks like a key, or is below one without a list, is a slip. */
static cvq_err take_more(struct parser *parser, const char *value)
{
	if (parser->key->list == NO_LIST || strchr(value, '='))
		return explain_indented(parser, value);
	return add_words(parser, value);
}

static cvq_err explain_twice(struct parser *parser, const char *section, const char *name)
{
	return cvq_explain(parser->reason, -EINVAL,
			   "[%s] %.60s: it is given twice (remove one of them)", section,
			   name);
}

/* Whether the path says plainly what it is, and so stays below where it begins. */
static bool is_plain(const char *path)
{
	for (;;) {
		size_t length = strcspn(path, "/");
		if (length == 0 || strncmp(path, ".", length) == 0 ||
		    strncmp(path, "..", length) == 0)
			return false;
		if (!path[length])
			return true;
		path += length + 1;
	}
}

static cvq_err take_alias(struct parser *parser, const char *path, const char *target)
{
	parser->key = &alias_key;
	if (!is_plain(path) || !is_plain(target))
		return cvq_explain(parser->reason, -EINVAL,
				   "[alias] %.60s: '%.60s' is no path below the directory "
				   "(use names and single slashes, no . or ..)",
				   path, is_plain(path) ? target : path);
	cvq_err err = cvq_policy_add_alias(parser->policy, path, target, parser->line);
	return err == -EEXIST ? explain_twice(parser, "alias", path) : err;
}

static cvq_err take_key(struct parser *parser, const char *section, const char *name,
			const char *value)
{
	if (strcmp(section, alias_key.section) == 0)
		return take_alias(parser, name, value);
	const struct key *key = find_key(section, name);
	if (!key)
		return explain_unknown(parser, section, name);
	if (parser->given[key - keys])
		return explain_twice(parser, section, name);
	parser->given[key - keys] = true;
	parser->key = key;
	if (key->list == NO_LIST)
		return set(parser, value);
	cvq_globs_clear((struct cvq_globs *)((char *)parser->policy + key->list));
	return add_words(parser, value);
}

/* inih's handler: a name and its value, or more of the value of the last name. */
static int take_pair(void *user, const char *section, const char *name, const char *value)
{
	struct parser *parser = user;

	if (parser->continues) {
		parser->err = take_more(parser, value);
	} else if (parser->colon) {
		parser->err = cvq_explain(parser->reason, -EINVAL,
					  "%.60s: a name cannot have a colon (use NAME = "
					  "VALUE)",
					  name);
	} else {
		parser->err = take_key(parser, section, name, value);
	}
	return parser->err == 0;
}

/* ========================================================================== */
/*                                    Lines                                   */
/* ========================================================================== */

/* Reads a line without its end.  Returns false if there is none, or an error. */
static bool read_line(struct parser *parser, char *line, int size)
{
	int length = 0;
	int c = getc(parser->file);

	parser->line += c != EOF;
	for (; c != EOF && c != '\n'; c = getc(parser->file)) {
		if (c == '\0' || length + 2 == size) {
			parser->err =
				c ? cvq_explain(parser->reason, -EINVAL,
						"the line is longer than %d bytes (a list "
						"may go on in indented lines)",
						length)
				  : cvq_explain(parser->reason, -EINVAL,
						"there is a byte 0 (use a text file)");
			return false;
		}
		line[length++] = (char)c;
	}
	line[length] = '\0';
	if (ferror(parser->file))
		parser->err = cvq_explain(parser->reason, -EIO,
					  "it cannot be read: %s (check its disk)",
					  strerror(errno));
	return !parser->err && (length > 0 || c == '\n');
}

/* A comment behind a value begins with a blank and a semicolon. */
static void cut_comment(char *line)
{
	for (char *c = line; *c; c++)
		if (c[0] == ';' && c > line && isspace((unsigned char)c[-1]))
			*c = '\0';
}

/* What follows the bracket that closes, or NULL; a comment is nothing. */
static const char *behind_bracket(const char *line)
{
	const char *rest = strchr(line, ']');
	if (!rest)
		return NULL;
	rest++;
	rest += strspn(rest, " \t\r");
	return *rest == ';' ? rest + strlen(rest) : rest;
}

/* A line that begins with a bracket. */
static cvq_err check_section(struct parser *parser, const char *line)
{
	size_t length = strcspn(line, "]");
	const char *rest = behind_bracket(line);
	if (!rest)
		return cvq_explain(parser->reason, -EINVAL,
				   "%.60s: the bracket is not closed (use [SECTION])",
				   line);
	if (*rest)
		return cvq_explain(parser->reason, -EINVAL,
				   "'%.60s' follows the section's name (put it on a line "
				   "of its own)",
				   rest);
	if (is_section(line + 1, length - 1))
		return 0;
	char known[64];
	cvq_list_names(section_names, known, sizeof(known));
	return cvq_explain(parser->reason, -EINVAL,
			   "[%.*s]: there is no such section (use %s)",
			   length < 60 ? (int)length - 1 : 60, line + 1, known);
}

/* A set of characters, as in [ab]*.pt, goes on with a list; [files] alone is a slip. */
static bool is_pattern(const struct parser *parser, const char *text)
{
	const char *rest = behind_bracket(text);
	return parser->continues && parser->key->list != NO_LIST && rest && *rest;
}

/* inih's reader. */
static char *next_line(char *line, int size, void *stream)
{
	static const char mark[] = "\xEF\xBB\xBF"; /* of UTF-8, which some editors write */
	struct parser *parser = stream;

	if (parser->err || !read_line(parser, line, size))
		return NULL;
	if (parser->line == 1 && strncmp(line, mark, strlen(mark)) == 0)
		memmove(line, line + strlen(mark), strlen(line + strlen(mark)) + 1);

	cut_comment(line);
	const char *start = line;
	while (isspace((unsigned char)*start))
		start++;
	parser->continues = parser->key && start > line;
	parser->colon = line[strcspn(line, "=:")] == ':';
	if (*start == '[' && !is_pattern(parser, start)) {
		parser->err = parser->continues ? explain_indented(parser, start)
						: check_section(parser, start);
		parser->key = NULL;
	}
	return parser->err ? NULL : line;
}

/* ========================================================================== */
/*                                    Files                                   */
/* ========================================================================== */

static void close_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

static cvq_err explain_open(cvq_err err, struct cvq_reason *reason)
{
	if (err == -ENOENT || err == -ENOTDIR)
		return cvq_explain(reason, err, "there is no such file (check its path)");
	if (err == -EACCES)
		return cvq_explain(reason, err, "you may not read it (ask its owner)");
	return cvq_explain(reason, err, "it cannot be opened: %s (check its path)",
			   strerror(-err));
}

/* /dev/null stands for an empty configuration; a fifo would keep us waiting. */
static bool is_readable_kind(const struct stat *attributes)
{
	return S_ISREG(attributes->st_mode) ||
	       (S_ISCHR(attributes->st_mode) && attributes->st_rdev == makedev(1, 3));
}

static cvq_err open_file(const char *path, FILE **file, struct cvq_reason *reason)
{
	cleanup_fd int fd = cvq_open_any(AT_FDCWD, path);
	struct stat attributes;
	if (fd < 0 || fstat(fd, &attributes))
		return explain_open(-errno, reason);
	if (!is_readable_kind(&attributes))
		return cvq_explain(reason, -EINVAL, "it is not a file (give a text file)");
	*file = fdopen(fd, "r");
	if (!*file)
		return -ENOMEM;
	steal_fd(fd);
	return 0;
}

cvq_err cvq_config_read(struct cvq_policy *policy, const char *path, unsigned *line,
			struct cvq_reason *reason)
{
	cvq_cleanup(close_file) FILE *file = NULL;

	*line = 0;
	cvq_err err = open_file(path, &file, reason);
	if (err)
		return err;
	struct parser parser = {.file = file, .policy = policy, .reason = reason};
	int found = ini_parse_stream(next_line, &parser, take_pair, &parser);
	policy->convert_given = false;
	if (found < 0)
		return -ENOMEM;
	/* What we have not seen ourselves is a line that is nothing inih knows. */
	if (found > 0 && (!parser.err || (unsigned)found < parser.line)) {
		*line = (unsigned)found;
		return cvq_explain(reason, -EINVAL,
				   "the line has no '=' (use NAME = VALUE or [SECTION])");
	}
	*line = parser.line;
	return parser.err;
}

/* ========================================================================== */
/*                                  The default                               */
/* ========================================================================== */

/* A folder that this process may not look into has nothing for it. */
static bool exists(const char *path)
{
	struct stat attributes;
	return stat(path, &attributes) == 0 ||
	       (errno != ENOENT && errno != ENOTDIR && errno != EACCES);
}

/* The user's own, whether it exists or not; NULL without a home. */
static cvq_err user_config(char **path)
{
	const char *folder = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	int length = 0;

	*path = NULL;
	if (folder && folder[0] == '/') /* the specification has others ignored */
		length = asprintf(path, "%s/" USER_CONFIG, folder);
	else if (home && *home)
		length = asprintf(path, "%s/.config/" USER_CONFIG, home);
	if (length < 0)
		*path = NULL;
	return length < 0 ? -ENOMEM : 0;
}

cvq_err cvq_config_find(char **path)
{
	cleanup_free char *user = NULL;
	cvq_err err = user_config(&user);

	*path = NULL;
	if (err)
		return err;
	if (user && exists(user))
		*path = steal_pointer(user);
	else if (exists(SYSTEM_CONFIG))
		*path = strdup(SYSTEM_CONFIG);
	else
		return 0;
	return *path ? 0 : -ENOMEM;
}

cvq_err cvq_config_load(struct cvq_policy *policy, const char *path, char **place,
			struct cvq_reason *reason)
{
	unsigned line;
	cvq_err err = cvq_config_read(policy, path, &line, reason);
	if (!err || err == -ENOMEM)
		return err;
	int length = line > 0 ? asprintf(place, "%s:%u", path, line)
			      : asprintf(place, "%s", path);
	if (length >= 0)
		return err;
	*place = NULL;
	return -ENOMEM;
}
