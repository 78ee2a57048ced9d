/* SPDX-License-Identifier: MIT */
/*
 * Views of a small folder of checkpoints and other files, not mounted
 */
#ifndef CVQ_TESTS_VIEWS_H
#define CVQ_TESTS_VIEWS_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "checkpoints.h"
#include "fixture.h"
#include "view/view.h"

#define NUMEL 5000

static const struct vector one_vector[] = {
	{"weight", "FloatStorage", NUMEL, 4},
	{NULL, NULL, 0, 0},
};

struct fixture {
	char folder[64]; /* has "source" and "outside" */
	struct cvq_policy policy;
	struct cvq_view *view;
};

/* ========================================================================== */

static inline const char *in(const struct fixture *fixture, const char *name)
{
	static char path[2][512];
	static unsigned turn;
	char *result = path[turn++ % 2];
	snprintf(result, sizeof(path[0]), "%s/%s", fixture->folder, name);
	return result;
}

static inline void write_text(const struct fixture *fixture, const char *name,
			      const char *text)
{
	FILE *file = fopen(in(fixture, name), "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static inline void write_checkpoint(const struct fixture *fixture, const char *name)
{
	cleanup_fd int from = make_checkpoint(one_vector, ZIP_CM_STORE);
	cleanup_fd int to = open(in(fixture, name), O_WRONLY | O_CREAT | O_EXCL, 0644);
	assert_true(to >= 0);
	assert_int_equal(sendfile(to, from, NULL, file_size(from)), file_size(from));
}

static inline void make_link(const struct fixture *fixture, const char *target,
			     const char *name)
{
	assert_int_equal(symlink(target, in(fixture, name)), 0);
}

static inline void open_view(struct fixture *fixture, enum cvq_symlinks symlinks,
			     bool for_all)
{
	cvq_view_close(fixture->view);
	fixture->policy.symlinks = symlinks;
	assert_int_equal(cvq_view_open(in(fixture, "source"), &fixture->policy, for_all,
				       &fixture->view),
			 0);
}

static inline int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	strcpy(fixture->folder, "/tmp/cvq-test-view-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	assert_int_equal(mkdir(in(fixture, "source"), 0755), 0);
	assert_int_equal(mkdir(in(fixture, "source/folder"), 0755), 0);
	assert_int_equal(mkdir(in(fixture, "outside"), 0755), 0);
	write_checkpoint(fixture, "source/llm.pt");
	write_checkpoint(fixture, "source/hift.pt");
	write_checkpoint(fixture, "source/folder/weights.bin");
	write_checkpoint(fixture, "outside/blob");
	write_text(fixture, "source/notes.txt", "nothing to convert\n");
	write_text(fixture, "source/notes.pt", "nothing to convert\n");
	write_text(fixture, "source/empty.pt", "");
	assert_int_equal(cvq_policy_init(&fixture->policy), 0);
	open_view(fixture, CVQ_SYMLINKS_AUTO, false);
	*state = fixture;
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *fixture = *state;
	cvq_view_close(fixture->view);
	cvq_policy_release(&fixture->policy);
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", fixture->folder);
	assert_int_equal(system(command), 0);
	free(fixture);
	return 0;
}

static inline struct cvq_entry look_up(const struct fixture *fixture, const char *path)
{
	struct cvq_entry entry;
	cvq_err err = cvq_view_lookup(fixture->view, path, &entry);
	if (err)
		fail_msg("'%s': %s", path, strerror(-err));
	return entry;
}

static inline cvq_err lookup_error(const struct fixture *fixture, const char *path)
{
	cleanup_entry struct cvq_entry entry;
	return cvq_view_lookup(fixture->view, path, &entry);
}

static inline struct cvq_content
open_content(const struct fixture *fixture, const char *path, const struct cvq_entry *entry)
{
	struct cvq_content content;
	cvq_err err = cvq_view_open_file(fixture->view, path, entry, &content);
	if (err)
		fail_msg("'%s': %s", path, strerror(-err));
	return content;
}

static inline cvq_err open_error(const struct fixture *fixture, const char *path,
				 const struct cvq_entry *entry)
{
	cleanup_content struct cvq_content content;
	return cvq_view_open_file(fixture->view, path, entry, &content);
}

static inline void assert_passed(const struct fixture *fixture, const char *path,
				 const char *reason)
{
	cleanup_entry struct cvq_entry entry = look_up(fixture, path);
	assert_false(cvq_entry_converted(&entry));
	assert_true(S_ISREG(entry.attributes.st_mode));
	assert_int_equal(entry.attributes.st_size, entry.version.size);
	const char *found = entry.verdict->reason;
	if (!found || !strstr(found, reason))
		fail_msg("'%s': %s", path, found ? found : "no reason");
}

static inline void add_alias(struct fixture *fixture, const char *path, const char *target)
{
	assert_int_equal(cvq_policy_add_alias(&fixture->policy, path, target, 1), 0);
}

static inline bool shown_as_link(const struct fixture *fixture, const char *path)
{
	cleanup_entry struct cvq_entry entry = look_up(fixture, path);
	assert_int_equal(entry.followed, S_ISREG(entry.attributes.st_mode));
	return S_ISLNK(entry.attributes.st_mode);
}

static inline void assert_read(const struct fixture *fixture, const struct cvq_entry *entry,
			       const struct cvq_content *content, uint64_t offset,
			       ssize_t expected)
{
	char bytes[64];
	struct cvq_reason reason = {""};
	ssize_t got = cvq_view_read(fixture->view, entry, content, bytes, sizeof(bytes),
				    offset, &reason);
	if (got != expected)
		fail_msg("%zd in place of %zd (%s)", got, expected, reason.text);
	if (expected < 0)
		assert_non_null(strstr(reason.text, "modified while it was open"));
}

#endif
