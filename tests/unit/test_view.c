/* SPDX-License-Identifier: MIT */
/*
 * The view of a real directory: decisions, sizes, symlinks, versions, attributes
 *
 * Nothing is mounted here; what a view does where it is mounted itself is tried by
 * naming another file system as its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/cleanup.h"
#include "checkpoints.h"
#include "view/folder.h"

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
/*                                   Fixture                                  */
/* ========================================================================== */

static const char *in(const struct fixture *fixture, const char *name)
{
	static char path[2][512];
	static unsigned turn;
	char *result = path[turn++ % 2];
	snprintf(result, sizeof(path[0]), "%s/%s", fixture->folder, name);
	return result;
}

static void write_text(const struct fixture *fixture, const char *name, const char *text)
{
	FILE *file = fopen(in(fixture, name), "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void write_checkpoint(const struct fixture *fixture, const char *name)
{
	cleanup_fd int from = make_checkpoint(one_vector, ZIP_CM_STORE);
	cleanup_fd int to = open(in(fixture, name), O_WRONLY | O_CREAT | O_EXCL, 0644);
	assert_true(to >= 0);
	assert_int_equal(sendfile(to, from, NULL, file_size(from)), file_size(from));
}

static void make_link(const struct fixture *fixture, const char *target, const char *name)
{
	assert_int_equal(symlink(target, in(fixture, name)), 0);
}

static void open_view(struct fixture *fixture, enum cvq_symlinks symlinks, bool for_all)
{
	cvq_view_close(fixture->view);
	fixture->policy.symlinks = symlinks;
	assert_int_equal(cvq_view_open(in(fixture, "source"), &fixture->policy, for_all,
				       &fixture->view),
			 0);
}

static int set_up(void **state)
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

static int tear_down(void **state)
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

static struct cvq_entry look_up(const struct fixture *fixture, const char *path)
{
	struct cvq_entry entry;
	cvq_err err = cvq_view_lookup(fixture->view, path, &entry);
	if (err)
		fail_msg("'%s': %s", path, strerror(-err));
	return entry;
}

static cvq_err lookup_error(const struct fixture *fixture, const char *path)
{
	cleanup_entry struct cvq_entry entry;
	return cvq_view_lookup(fixture->view, path, &entry);
}

static void assert_passed(const struct fixture *fixture, const char *path,
			  const char *reason)
{
	cleanup_entry struct cvq_entry entry = look_up(fixture, path);
	assert_false(cvq_entry_converted(&entry));
	assert_true(S_ISREG(entry.attributes.st_mode));
	assert_int_equal(entry.attributes.st_size, entry.version.size);
	if (!strstr(entry.verdict->reason, reason))
		fail_msg("'%s': %s", path, entry.verdict->reason);
}

/* ========================================================================== */
/*                                  Decisions                                 */
/* ========================================================================== */

static void test_a_checkpoint_is_converted(void **state)
{
	struct fixture *fixture = *state;
	struct stat source;
	assert_int_equal(stat(in(fixture, "source/llm.pt"), &source), 0);

	cleanup_entry struct cvq_entry entry = look_up(fixture, "llm.pt");
	assert_true(cvq_entry_converted(&entry));
	assert_int_equal(entry.version.size, source.st_size);
	/* Half of each number is gone, and so is nothing else. */
	assert_true(entry.attributes.st_size < source.st_size - NUMEL);
	assert_true(entry.attributes.st_size > source.st_size - 3 * NUMEL);
	assert_int_equal(entry.attributes.st_blocks,
			 (entry.attributes.st_size + 511) / 512);
	assert_int_equal(entry.attributes.st_ino, source.st_ino);
	assert_int_equal(entry.attributes.st_mode, source.st_mode);
	assert_int_equal(entry.attributes.st_mtim.tv_nsec, source.st_mtim.tv_nsec);
}

static void test_the_rest_is_passed_with_a_reason(void **state)
{
	struct fixture *fixture = *state;
	assert_passed(fixture, "notes.txt", "its name does not ask for conversion");
	assert_passed(fixture, "folder/weights.bin",
		      "its name does not ask for conversion");
	assert_passed(fixture, "hift.pt", "kept by the pattern '*hift*'");
	assert_passed(fixture, "notes.pt", "it is no checkpoint");
	assert_passed(fixture, "empty.pt", "it is empty");

	assert_int_equal(chmod(in(fixture, "source/llm.pt"), 0), 0);
	if (geteuid() != 0)
		assert_passed(fixture, "llm.pt", "cannot be read: Permission denied");
}

/* The kernel has files that nobody can read, of the loopback device for one. */
static void test_what_cannot_be_read_is_not_passed(void **state)
{
	(void)state;
	struct cvq_policy policy;
	struct cvq_reason reason;
	struct cvq_view *view;
	assert_int_equal(cvq_policy_init(&policy), 0);
	assert_int_equal(cvq_policy_set(&policy, "convert", "speed", &reason), 0);
	if (cvq_view_open("/sys/class/net/lo", &policy, false, &view)) {
		cvq_policy_release(&policy);
		skip();
	}
	struct cvq_entry entry;
	assert_int_equal(cvq_view_lookup(view, "speed", &entry), 0);
	assert_false(cvq_entry_converted(&entry));
	assert_non_null(strstr(entry.verdict->reason, "it cannot be read: "));
	assert_int_equal(cvq_view_open_file(view, "speed", &entry), -EIO);
	cvq_entry_release(&entry);
	cvq_view_close(view);
	cvq_policy_release(&policy);
}

static void test_paths_stay_below_the_root(void **state)
{
	struct fixture *fixture = *state;
	make_link(fixture, "folder", "source/way");

	assert_int_equal(lookup_error(fixture, "../outside/blob"), -EINVAL);
	assert_int_equal(lookup_error(fixture, "folder/../../outside"), -EINVAL);
	assert_int_equal(lookup_error(fixture, "missing"), -ENOENT);
	assert_int_equal(lookup_error(fixture, "llm.pt/x"), -ENOTDIR);
	assert_int_equal(lookup_error(fixture, "way/weights.bin"), -ELOOP);

	cleanup_entry struct cvq_entry root = look_up(fixture, "");
	assert_true(S_ISDIR(root.attributes.st_mode));
	assert_null(root.verdict);
}

static void test_a_missing_source(void **state)
{
	struct fixture *fixture = *state;
	struct cvq_view *view;
	assert_int_equal(
		cvq_view_open(in(fixture, "missing"), &fixture->policy, false, &view),
		-ENOENT);
	assert_int_equal(
		cvq_view_open(in(fixture, "source/llm.pt"), &fixture->policy, false, &view),
		-ENOTDIR);
}

/* ========================================================================== */
/*                                  Symlinks                                  */
/* ========================================================================== */

static void make_links(const struct fixture *fixture)
{
	make_link(fixture, "../outside/blob", "source/leaves.pt");
	make_link(fixture, in(fixture, "outside/blob"), "source/absolute.pt");
	make_link(fixture, "../../outside/blob", "source/folder/leaves.txt");
	make_link(fixture, "../outside", "source/leaves");
	make_link(fixture, "leaves/blob", "source/two-steps.pt");
	make_link(fixture, "folder/weights.bin", "source/stays.pt");
	make_link(fixture, "./folder/../llm.pt", "source/same.pt");
	make_link(fixture, "notes.txt", "source/notes.link");
	make_link(fixture, "folder", "source/folder.pt");
	make_link(fixture, "missing", "source/dangling.pt");
	make_link(fixture, "../missing", "source/dangling-outside.pt");
	make_link(fixture, "loop.pt", "source/loop.pt");
	make_link(fixture, "../source/llm.pt", "source/there-and-back.pt");
}

static bool shown_as_link(const struct fixture *fixture, const char *path)
{
	cleanup_entry struct cvq_entry entry = look_up(fixture, path);
	assert_int_equal(entry.followed, S_ISREG(entry.attributes.st_mode));
	return S_ISLNK(entry.attributes.st_mode);
}

static void test_followed_links(void **state)
{
	struct fixture *fixture = *state;
	make_links(fixture);
	static const char *const files[] = {"leaves.pt",         "absolute.pt",
					    "folder/leaves.txt", "two-steps.pt",
					    "stays.pt",          "there-and-back.pt"};
	static const char *const links[] = {
		"leaves",  "same.pt",     "notes.link",          "folder.pt",
		"loop.pt", "dangling.pt", "dangling-outside.pt",
	};
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (shown_as_link(fixture, files[i]))
			fail_msg("%s is shown as a link", files[i]);
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
		if (!shown_as_link(fixture, links[i]))
			fail_msg("%s is followed", links[i]);

	/* The link's name decides, not the target's. */
	cleanup_entry struct cvq_entry asks = look_up(fixture, "stays.pt");
	assert_true(cvq_entry_converted(&asks));
	assert_passed(fixture, "folder/leaves.txt", "its name does not ask");
	assert_passed(fixture, "folder/weights.bin", "its name does not ask");
}

static void test_kept_links(void **state)
{
	struct fixture *fixture = *state;
	make_links(fixture);
	for (int i = 0; i < 2; i++) {
		open_view(fixture, i ? CVQ_SYMLINKS_KEEP : CVQ_SYMLINKS_AUTO, i == 0);
		assert_true(shown_as_link(fixture, "leaves.pt"));
		assert_true(shown_as_link(fixture, "stays.pt"));
	}
	open_view(fixture, CVQ_SYMLINKS_FOLLOW, true);
	assert_false(shown_as_link(fixture, "leaves.pt"));

	char target[64];
	assert_int_equal(
		cvq_view_read_link(fixture->view, "leaves.pt", target, sizeof(target)), 0);
	assert_string_equal(target, "../outside/blob");
	assert_int_equal(cvq_view_read_link(fixture->view, "leaves.pt", target, 5),
			 -ENAMETOOLONG);
}

static void test_reading_a_followed_link(void **state)
{
	struct fixture *fixture = *state;
	make_links(fixture);
	cleanup_entry struct cvq_entry direct = look_up(fixture, "llm.pt");
	cleanup_entry struct cvq_entry entry = look_up(fixture, "leaves.pt");
	cleanup_fd int fd = cvq_view_open_file(fixture->view, "leaves.pt", &entry);
	cleanup_fd int direct_fd = cvq_view_open_file(fixture->view, "llm.pt", &direct);
	assert_true(fd >= 0 && direct_fd >= 0);

	/* Both checkpoints have the same content, so both images are the same. */
	char bytes[2][20000];
	struct cvq_reason reason;
	ssize_t got = cvq_view_read(fixture->view, &entry, fd, bytes[0], sizeof(bytes[0]),
				    0, &reason);
	assert_int_equal(got, entry.attributes.st_size);
	assert_int_equal(cvq_view_read(fixture->view, &direct, direct_fd, bytes[1],
				       sizeof(bytes[1]), 0, &reason),
			 got);
	assert_memory_equal(bytes[0], bytes[1], (size_t)got);

	/* Pointed elsewhere, it is another file. */
	assert_int_equal(unlink(in(fixture, "source/leaves.pt")), 0);
	make_link(fixture, "folder/weights.bin", "source/leaves.pt");
	assert_int_equal(cvq_view_open_file(fixture->view, "leaves.pt", &entry), -ESTALE);
}

/* ========================================================================== */
/*                                  Versions                                  */
/* ========================================================================== */

static void assert_read(const struct fixture *fixture, const struct cvq_entry *entry,
			int fd, uint64_t offset, ssize_t expected)
{
	char bytes[64];
	struct cvq_reason reason = {""};
	ssize_t got = cvq_view_read(fixture->view, entry, fd, bytes, sizeof(bytes), offset,
				    &reason);
	if (got != expected)
		fail_msg("%zd in place of %zd (%s)", got, expected, reason.text);
	if (expected < 0)
		assert_non_null(strstr(reason.text, "modified while it was open"));
}

static void test_reading_to_the_end(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {"llm.pt", "hift.pt"};
	for (int i = 0; i < 2; i++) {
		cleanup_entry struct cvq_entry entry = look_up(fixture, names[i]);
		cleanup_fd int fd = cvq_view_open_file(fixture->view, names[i], &entry);
		uint64_t size = (uint64_t)entry.attributes.st_size;
		assert_read(fixture, &entry, fd, 0, 64);
		assert_read(fixture, &entry, fd, size - 10, 10);
		assert_read(fixture, &entry, fd, size, 0);
		assert_read(fixture, &entry, fd, size + 4096, 0);
	}
	struct cvq_counters *counters = cvq_view_counters(fixture->view);
	assert_true(atomic_load(&counters->bytes_read) >= 2 * 74);
}

static void test_a_replaced_file(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {"llm.pt", "hift.pt"};
	for (int i = 0; i < 2; i++) {
		cleanup_entry struct cvq_entry before = look_up(fixture, names[i]);
		cleanup_fd int fd = cvq_view_open_file(fixture->view, names[i], &before);
		assert_true(fd >= 0);
		char path[64];
		snprintf(path, sizeof(path), "source/%s", names[i]);
		write_text(fixture, "source/new", "something else");
		assert_int_equal(rename(in(fixture, "source/new"), in(fixture, path)), 0);

		/* Old descriptors have the old file, new ones the new. */
		assert_read(fixture, &before, fd, 0, 64);
		assert_int_equal(cvq_view_open_file(fixture->view, names[i], &before),
				 -ESTALE);
		cleanup_entry struct cvq_entry after = look_up(fixture, names[i]);
		assert_false(cvq_entry_same(&before, &after));
		assert_int_equal(after.attributes.st_size, 14);
		cleanup_fd int new_fd = cvq_view_open_file(fixture->view, names[i], &after);
		assert_read(fixture, &after, new_fd, 0, 14);

		assert_int_equal(unlink(in(fixture, path)), 0);
		assert_read(fixture, &before, fd, 0, 64);
		assert_int_equal(cvq_view_open_file(fixture->view, names[i], &after),
				 -ENOENT);
	}
}

static void test_a_file_modified_in_place(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {"llm.pt", "hift.pt"};
	for (int i = 0; i < 2; i++) {
		cleanup_entry struct cvq_entry before = look_up(fixture, names[i]);
		cleanup_fd int fd = cvq_view_open_file(fixture->view, names[i], &before);
		assert_read(fixture, &before, fd, 0, 64);

		/* Same size, same bytes, another time. */
		char path[64];
		snprintf(path, sizeof(path), "source/%s", names[i]);
		struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = 1000000000}};
		assert_int_equal(utimensat(AT_FDCWD, in(fixture, path), times, 0), 0);
		assert_read(fixture, &before, fd, 0, -EIO);
		cleanup_entry struct cvq_entry after = look_up(fixture, names[i]);
		assert_false(cvq_entry_same(&before, &after));
		cleanup_fd int new_fd = cvq_view_open_file(fixture->view, names[i], &after);
		assert_read(fixture, &after, new_fd, 0, 64);

		assert_int_equal(truncate(in(fixture, path), 100), 0);
		assert_read(fixture, &after, new_fd, 0, -EIO);
		assert_read(fixture, &after, new_fd, 90, -EIO);
	}
}

/* Two changes within one tick of the clock that stamps files: same size, same time? */
static void test_changes_without_a_pause(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {"llm.pt", "notes.txt"};
	for (int i = 0; i < 2; i++) {
		char path[64];
		snprintf(path, sizeof(path), "source/%s", names[i]);
		cleanup_fd int file = open(in(fixture, path), O_WRONLY);
		for (int change = 0; change < 20; change++) {
			assert_int_equal(pwrite(file, "x", 1, 0), 1);
			cleanup_entry struct cvq_entry before = look_up(fixture, names[i]);
			cleanup_fd int fd =
				cvq_view_open_file(fixture->view, names[i], &before);
			assert_true(fd >= 0);
			assert_int_equal(pwrite(file, "y", 1, 0), 1);
			cleanup_entry struct cvq_entry after = look_up(fixture, names[i]);
			assert_false(cvq_entry_same(&before, &after));
			assert_read(fixture, &before, fd, 0, -EIO);
		}
	}
}

static void test_plans_are_remembered(void **state)
{
	struct fixture *fixture = *state;
	struct cvq_counters *counters = cvq_view_counters(fixture->view);
	cleanup_entry struct cvq_entry first = look_up(fixture, "llm.pt");
	uint64_t read = atomic_load(&counters->bytes_read);
	assert_true(read > 0);
	cleanup_entry struct cvq_entry second = look_up(fixture, "llm.pt");
	assert_int_equal(atomic_load(&counters->bytes_read), read);
	assert_ptr_equal(first.verdict, second.verdict);
	assert_true(cvq_entry_same(&first, &second));

	/* That something is no checkpoint is remembered, too. */
	cleanup_entry struct cvq_entry third = look_up(fixture, "notes.pt");
	read = atomic_load(&counters->bytes_read);
	cleanup_entry struct cvq_entry fourth = look_up(fixture, "notes.pt");
	assert_int_equal(atomic_load(&counters->bytes_read), read);
	assert_ptr_equal(third.verdict, fourth.verdict);

	/* Far more files than places: the first ones are planned anew, and all is well. */
	for (int i = 0; i < 600; i++) {
		char name[32];
		snprintf(name, sizeof(name), "source/%d.pt", i);
		write_text(fixture, name, "no checkpoint");
		cleanup_entry struct cvq_entry entry =
			look_up(fixture, name + strlen("source/"));
		assert_false(cvq_entry_converted(&entry));
	}
	cleanup_entry struct cvq_entry last = look_up(fixture, "llm.pt");
	assert_int_equal(last.attributes.st_size, first.attributes.st_size);
	assert_ptr_not_equal(first.verdict, last.verdict);
}

/* What was seen while somebody may still have been writing is not relied on for long. */
static void test_a_file_comes_to_rest(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {"llm.pt", "notes.txt"};
	struct cvq_entry fresh[2];
	for (int i = 0; i < 2; i++)
		fresh[i] = look_up(fixture, names[i]);
	sleep(4);
	for (int i = 0; i < 2; i++) {
		cleanup_entry struct cvq_entry at_rest = look_up(fixture, names[i]);
		cleanup_entry struct cvq_entry later = look_up(fixture, names[i]);
		assert_false(cvq_entry_same(&fresh[i], &at_rest));
		assert_true(cvq_entry_same(&at_rest, &later));
		assert_ptr_equal(at_rest.verdict, later.verdict);
		assert_int_equal(cvq_view_open_file(fixture->view, names[i], &fresh[i]),
				 -ESTALE);
		cvq_entry_release(&fresh[i]);
	}
}

static void test_what_is_no_longer_a_file(void **state)
{
	struct fixture *fixture = *state;
	cleanup_entry struct cvq_entry entry = look_up(fixture, "notes.txt");
	const char *path = in(fixture, "source/notes.txt");

	/* A fifo without a writer would keep open(2) waiting. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0644), 0);
	assert_int_equal(cvq_view_open_file(fixture->view, "notes.txt", &entry), -ESTALE);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(cvq_view_open_file(fixture->view, "notes.txt", &entry), -ESTALE);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("llm.pt", path), 0);
	assert_int_equal(cvq_view_open_file(fixture->view, "notes.txt", &entry), -ESTALE);

	/* The same with what is no longer a folder or a symlink. */
	char target[64];
	assert_int_equal(cvq_view_open_folder(fixture->view, "notes.txt"), -ESTALE);
	assert_int_equal(cvq_view_open_folder(fixture->view, "hift.pt"), -ESTALE);
	assert_int_equal(
		cvq_view_read_link(fixture->view, "hift.pt", target, sizeof(target)),
		-ESTALE);
}

/* ========================================================================== */
/*                                   Aliases                                  */
/* ========================================================================== */

static void add_alias(struct fixture *fixture, const char *path, const char *target)
{
	assert_int_equal(cvq_policy_add_alias(&fixture->policy, path, target, 1), 0);
}

static ino_t inode_of(const struct fixture *fixture, const char *name)
{
	struct stat attributes;
	assert_int_equal(lstat(in(fixture, name), &attributes), 0);
	return attributes.st_ino;
}

static void test_an_alias_shows_another_file(void **state)
{
	struct fixture *fixture = *state;
	add_alias(fixture, "model.pt", "folder/weights.bin");
	add_alias(fixture, "folder/notes.pt", "llm.pt");
	add_alias(fixture, "llm.pt", "notes.txt");
	add_alias(fixture, "my_hift.pt", "llm.pt");
	add_alias(fixture, "folder/llm.bin", "llm.pt");

	/* Its own name asks for conversion, not the target's. */
	cleanup_entry struct cvq_entry model = look_up(fixture, "model.pt");
	assert_true(cvq_entry_converted(&model));
	assert_int_equal(model.attributes.st_ino,
			 inode_of(fixture, "source/folder/weights.bin"));
	assert_passed(fixture, "folder/weights.bin", "its name does not ask");
	assert_passed(fixture, "my_hift.pt", "kept by the pattern '*hift*'");
	assert_passed(fixture, "folder/llm.bin", "its name does not ask");

	/* The target is the source's, whatever the view shows under that name. */
	cleanup_entry struct cvq_entry notes = look_up(fixture, "folder/notes.pt");
	assert_true(cvq_entry_converted(&notes));
	assert_passed(fixture, "llm.pt", "it is no checkpoint"); /* though it asks */
	cleanup_entry struct cvq_entry llm = look_up(fixture, "llm.pt");
	assert_int_equal(llm.attributes.st_ino, inode_of(fixture, "source/notes.txt"));

	/* Names are as they are written. */
	assert_int_equal(lookup_error(fixture, "Model.pt"), -ENOENT);
	assert_int_equal(lookup_error(fixture, "folder/model.pt"), -ENOENT);
}

static void test_reading_an_alias(void **state)
{
	struct fixture *fixture = *state;
	add_alias(fixture, "model.pt", "llm.pt");
	add_alias(fixture, "model.txt", "notes.txt");
	cleanup_entry struct cvq_entry direct = look_up(fixture, "llm.pt");
	cleanup_entry struct cvq_entry entry = look_up(fixture, "model.pt");
	assert_ptr_equal(entry.verdict, direct.verdict);
	cleanup_fd int fd = cvq_view_open_file(fixture->view, "model.pt", &entry);
	assert_true(fd >= 0);
	assert_read(fixture, &entry, fd, 0, 64);
	assert_int_equal(cvq_view_access(fixture->view, "model.pt", &entry, R_OK), 0);

	cleanup_entry struct cvq_entry passed = look_up(fixture, "model.txt");
	cleanup_fd int passed_fd = cvq_view_open_file(fixture->view, "model.txt", &passed);
	assert_read(fixture, &passed, passed_fd, 8, 11);

	/* A target that is replaced or removed is so under all its names. */
	write_text(fixture, "source/new", "something else");
	assert_int_equal(rename(in(fixture, "source/new"), in(fixture, "source/llm.pt")),
			 0);
	assert_int_equal(cvq_view_open_file(fixture->view, "model.pt", &entry), -ESTALE);
	assert_read(fixture, &entry, fd, 0, 64);
	cleanup_entry struct cvq_entry after = look_up(fixture, "model.pt");
	assert_false(cvq_entry_same(&entry, &after));
	assert_int_equal(after.attributes.st_size, 14);
	assert_int_equal(unlink(in(fixture, "source/llm.pt")), 0);
	assert_int_equal(lookup_error(fixture, "model.pt"), -ENOENT);
}

static void assert_no_file(const struct fixture *fixture, const char *path,
			   const char *reason)
{
	struct cvq_reason found = {""};
	assert_int_equal(lookup_error(fixture, path), -ENOENT);
	cvq_err err = cvq_view_check_alias(
		fixture->view, cvq_policy_find_alias(&fixture->policy, path), &found);
	assert_true(err < 0);
	if (!strstr(found.text, reason))
		fail_msg("'%s': %s", path, found.text);
}

static void test_an_alias_of_nothing_shows_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct cvq_reason reason;
	assert_int_equal(mkfifo(in(fixture, "source/fifo"), 0644), 0);
	make_link(fixture, "folder", "source/way");
	add_alias(fixture, "llm.pt", "missing.pt"); /* although the source has one */
	add_alias(fixture, "a.pt", "folder");
	add_alias(fixture, "b.pt", "fifo");
	add_alias(fixture, "c.pt", "notes.txt/x");
	add_alias(fixture, "d.pt", "way/weights.bin");
	add_alias(fixture, "missing/e.pt", "hift.pt");
	add_alias(fixture, "notes.txt/f.pt", "hift.pt");
	add_alias(fixture, "g.pt", "hift.pt");

	assert_no_file(fixture, "llm.pt", "there is no file 'missing.pt'");
	assert_no_file(fixture, "a.pt", "there is no file 'folder'");
	assert_no_file(fixture, "b.pt", "there is no file 'fifo'");
	assert_no_file(fixture, "c.pt", "there is no file");
	assert_no_file(fixture, "d.pt", "there is no file");
	const struct cvq_policy *policy = &fixture->policy;
	assert_int_equal(cvq_view_check_alias(fixture->view,
					      cvq_policy_find_alias(policy, "missing/e.pt"),
					      &reason),
			 -ENOENT);
	assert_non_null(strstr(reason.text, "its folder is missing"));
	assert_int_equal(cvq_view_check_alias(
				 fixture->view,
				 cvq_policy_find_alias(policy, "notes.txt/f.pt"), &reason),
			 -ENOTDIR);
	assert_int_equal(cvq_view_check_alias(fixture->view,
					      cvq_policy_find_alias(policy, "g.pt"),
					      &reason),
			 0);
}

static void test_an_alias_of_a_link(void **state)
{
	struct fixture *fixture = *state;
	make_links(fixture);
	add_alias(fixture, "folder/a.pt", "leaves.pt");
	add_alias(fixture, "folder/b.pt", "same.pt");
	add_alias(fixture, "folder/c.pt", "dangling.pt");
	add_alias(fixture, "folder/d.txt", "two-steps.pt");

	/* It is a file wherever links are followed, for it lies in another folder. */
	assert_false(shown_as_link(fixture, "folder/a.pt"));
	assert_false(shown_as_link(fixture, "folder/b.pt"));
	assert_true(shown_as_link(fixture, "folder/c.pt"));
	assert_passed(fixture, "folder/d.txt", "its name does not ask");
	cleanup_entry struct cvq_entry entry = look_up(fixture, "folder/b.pt");
	assert_true(cvq_entry_converted(&entry));
	/* By its own name the file may be shown as it is, so the number is another. */
	assert_int_not_equal(entry.attributes.st_ino, inode_of(fixture, "source/llm.pt"));
	cleanup_fd int fd = cvq_view_open_file(fixture->view, "folder/b.pt", &entry);
	assert_read(fixture, &entry, fd, 0, 64);

	/* Else it is the link. */
	char target[64];
	open_view(fixture, CVQ_SYMLINKS_KEEP, false);
	assert_true(shown_as_link(fixture, "folder/a.pt"));
	assert_int_equal(
		cvq_view_read_link(fixture->view, "folder/a.pt", target, sizeof(target)),
		0);
	assert_string_equal(target, "../outside/blob");
}

/* ========================================================================== */
/*                                   Listing                                  */
/* ========================================================================== */

#define MOST_NAMES 64

struct listed {
	char text[MOST_NAMES][64];
	off_t next[MOST_NAMES];
	size_t count;
};

/* Lists from where the folder stands, at most 'most' names. */
static void list(struct cvq_folder *folder, struct listed *listed, size_t most)
{
	const struct cvq_name *name;
	cvq_err err = 0;

	listed->count = 0;
	while (listed->count < most && (name = cvq_folder_peek(folder, &err))) {
		assert_ptr_equal(cvq_folder_peek(folder, &err), name);
		snprintf(listed->text[listed->count], sizeof(listed->text[0]), "%s",
			 name->text);
		listed->next[listed->count++] = name->next;
		cvq_folder_take(folder);
	}
	assert_int_equal(err, 0);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void assert_lists(const struct fixture *fixture, const char *path,
			 const char *expected)
{
	cleanup_folder struct cvq_folder *folder = NULL;
	struct listed listed;
	assert_int_equal(cvq_folder_open(fixture->view, path, &folder), 0);
	list(folder, &listed, MOST_NAMES);
	qsort(listed.text, listed.count, sizeof(listed.text[0]), compare_names);

	char all[1024] = "";
	for (size_t i = 0; i < listed.count; i++) {
		strcat(all, i ? " " : "");
		strcat(all, listed.text[i]);
	}
	assert_string_equal(all, expected);
}

static void test_listing_aliases(void **state)
{
	struct fixture *fixture = *state;
	assert_lists(fixture, "", ". .. empty.pt folder hift.pt llm.pt notes.pt notes.txt");
	add_alias(fixture, "llm.pt", "hift.pt");      /* there already */
	add_alias(fixture, "model.pt", "hift.pt");    /* new */
	add_alias(fixture, "folder/a.pt", "hift.pt"); /* elsewhere */
	add_alias(fixture, "notes.pt", "missing");    /* of nothing, hiding something */
	add_alias(fixture, "z.pt", "missing");        /* of nothing */
	add_alias(fixture, "none/b.pt", "hift.pt");
	add_alias(fixture, "fold", "hift.pt");
	assert_lists(fixture, "",
		     ". .. empty.pt fold folder hift.pt llm.pt model.pt notes.txt");
	assert_lists(fixture, "folder", ". .. a.pt weights.bin");
	assert_int_equal(unlink(in(fixture, "source/hift.pt")), 0);
	assert_lists(fixture, "", ". .. empty.pt folder notes.txt");
}

static void test_what_a_listing_says(void **state)
{
	struct fixture *fixture = *state;
	add_alias(fixture, "a.pt", "llm.pt");
	cleanup_folder struct cvq_folder *folder = NULL;
	assert_int_equal(cvq_folder_open(fixture->view, "", &folder), 0);
	ino_t inode = inode_of(fixture, "source/llm.pt");
	const struct cvq_name *name;
	unsigned found = 0;
	for (cvq_err err; (name = cvq_folder_peek(folder, &err)); cvq_folder_take(folder))
		if (name->inode == inode) {
			assert_int_equal(name->type, DT_REG);
			found++;
		}
	assert_int_equal(found, 2); /* under both names */

	struct cvq_folder *none;
	assert_int_equal(cvq_folder_open(fixture->view, "llm.pt", &none), -ESTALE);
}

/* From every position the rest is the same, in whatever order they are gone to. */
static void assert_positions(const struct fixture *fixture)
{
	cleanup_folder struct cvq_folder *folder = NULL;
	struct listed all;
	struct listed rest;
	assert_int_equal(cvq_folder_open(fixture->view, "", &folder), 0);
	list(folder, &all, MOST_NAMES);
	assert_true(all.count > 6);

	for (size_t step = 0; step < 2 * all.count; step++) {
		size_t i = step < all.count ? all.count - 1 - step : step - all.count;
		cvq_folder_seek(folder, all.next[i]);
		list(folder, &rest, step % 3 ? MOST_NAMES : 2);
		if (step % 3)
			assert_int_equal(rest.count, all.count - 1 - i);
		for (size_t j = 0; j < rest.count; j++) {
			assert_string_equal(rest.text[j], all.text[i + 1 + j]);
			assert_int_equal(rest.next[j], all.next[i + 1 + j]);
		}
	}
	cvq_folder_seek(folder, 0);
	list(folder, &rest, MOST_NAMES);
	assert_memory_equal(rest.next, all.next, all.count * sizeof(*all.next));
}

static void test_positions(void **state)
{
	struct fixture *fixture = *state;
	char name[64];
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "source/file-%d", i);
		write_text(fixture, name, "");
	}
	assert_positions(fixture);
	add_alias(fixture, "x.pt", "missing");
	add_alias(fixture, "folder/y.pt", "llm.pt");
	assert_positions(fixture);
	add_alias(fixture, "a.pt", "llm.pt");
	add_alias(fixture, "file-7", "llm.pt");
	add_alias(fixture, "z.pt", "llm.pt");
	assert_positions(fixture);

	/* A position that no name had is the end. */
	cleanup_folder struct cvq_folder *folder = NULL;
	struct listed rest;
	assert_int_equal(cvq_folder_open(fixture->view, "", &folder), 0);
	cvq_folder_seek(folder, 1000);
	list(folder, &rest, MOST_NAMES);
	assert_int_equal(rest.count, 0);
}

/* ========================================================================== */
/*                             The view's own mount                           */
/* ========================================================================== */

/* Another file system below 'path' than that of the fixture; skips if there is none. */
static dev_t other_device(const struct fixture *fixture, const char *path)
{
	struct stat here;
	struct stat there;
	assert_int_equal(stat(fixture->folder, &here), 0);
	if (stat(path, &there) || here.st_dev == there.st_dev)
		skip();
	return there.st_dev;
}

static void test_links_never_lead_into_the_own_mount(void **state)
{
	struct fixture *fixture = *state;
	dev_t proc = other_device(fixture, "/proc");
	make_link(fixture, "/proc/version", "source/version.pt");
	make_link(fixture, "/proc/../etc/passwd", "source/through.pt");
	assert_false(shown_as_link(fixture, "version.pt"));
	assert_false(shown_as_link(fixture, "through.pt"));

	struct stat mountpoint = {.st_mode = S_IFDIR | 0700};
	cvq_view_set_mount(fixture->view, proc, &mountpoint);
	assert_true(shown_as_link(fixture, "version.pt"));
	assert_true(shown_as_link(fixture, "through.pt"));
}

static void test_the_own_mount_is_an_empty_folder(void **state)
{
	struct fixture *fixture = *state;
	dev_t proc = other_device(fixture, "/proc");
	cvq_view_close(fixture->view);
	assert_int_equal(cvq_view_open("/", &fixture->policy, false, &fixture->view), 0);

	/* Before, /proc is a file system like any other below the source. */
	cleanup_entry struct cvq_entry before = look_up(fixture, "proc");
	cleanup_entry struct cvq_entry version = look_up(fixture, "proc/version");
	assert_true(S_ISDIR(before.attributes.st_mode) && !before.hidden);
	assert_int_equal(version.version.device, proc);

	struct stat mountpoint = {.st_mode = S_IFDIR | 0751, .st_ino = 4711};
	cvq_view_set_mount(fixture->view, proc, &mountpoint);
	cleanup_entry struct cvq_entry hidden = look_up(fixture, "proc");
	assert_true(hidden.hidden);
	assert_int_equal(hidden.attributes.st_ino, 4711);
	assert_int_equal(hidden.attributes.st_mode, S_IFDIR | 0751);
	assert_int_equal(lookup_error(fixture, "proc/version"), -ENOENT);
	assert_int_equal(lookup_error(fixture, "proc/self/status"), -ENOENT);
	assert_int_equal(cvq_view_open_folder(fixture->view, "proc"), -EXDEV);
	assert_int_equal(cvq_view_open_file(fixture->view, "proc/version", &version),
			 -ENOENT);
}

/* ========================================================================== */
/*                            Attributes and census                           */
/* ========================================================================== */

static void test_extended_attributes(void **state)
{
	struct fixture *fixture = *state;
	const char *path = in(fixture, "source/llm.pt");
	if (setxattr(path, "user.colour", "green", 5, 0))
		skip(); /* a file system without them */
	assert_int_equal(setxattr(path, "user.cvq.info", "a lie", 5, 0), 0);

	cleanup_entry struct cvq_entry entry = look_up(fixture, "llm.pt");
	struct cvq_view *view = fixture->view;
	char value[64];
	assert_int_equal(cvq_view_get_xattr(view, "llm.pt", &entry, "user.colour", NULL, 0),
			 5);
	assert_int_equal(cvq_view_get_xattr(view, "llm.pt", &entry, "user.colour", value,
					    sizeof(value)),
			 5);
	assert_memory_equal(value, "green", 5);
	assert_int_equal(
		cvq_view_get_xattr(view, "llm.pt", &entry, "user.colour", value, 2),
		-ERANGE);
	assert_int_equal(cvq_view_get_xattr(view, "llm.pt", &entry, "user.cvq.info", value,
					    sizeof(value)),
			 -ENODATA);
	assert_int_equal(cvq_view_get_xattr(view, "llm.pt", &entry, "user.other", value,
					    sizeof(value)),
			 -ENODATA);
	assert_int_equal(cvq_view_list_xattrs(view, "llm.pt", &entry, value, sizeof(value)),
			 12);
	assert_memory_equal(value, "user.colour", 12);
	assert_int_equal(cvq_view_list_xattrs(view, "llm.pt", &entry, NULL, 0), 12);
	assert_int_equal(cvq_view_list_xattrs(view, "llm.pt", &entry, value, 3), -ERANGE);
}

static void test_access(void **state)
{
	struct fixture *fixture = *state;
	cleanup_entry struct cvq_entry entry = look_up(fixture, "llm.pt");
	struct cvq_view *view = fixture->view;
	assert_int_equal(cvq_view_access(view, "llm.pt", &entry, F_OK), 0);
	assert_int_equal(cvq_view_access(view, "llm.pt", &entry, R_OK), 0);
	assert_int_equal(cvq_view_access(view, "llm.pt", &entry, W_OK), -EROFS);
	assert_int_equal(cvq_view_access(view, "llm.pt", &entry, X_OK), -EACCES);
}

static ino_t shown_inode(const struct fixture *fixture, const char *path)
{
	cleanup_entry struct cvq_entry entry = look_up(fixture, path);
	return entry.attributes.st_ino;
}

/* Programs that see one number in two places read only one of them. */
static void test_equal_numbers_mean_equal_content(void **state)
{
	struct fixture *fixture = *state;
	struct stat source;
	assert_int_equal(link(in(fixture, "source/llm.pt"), in(fixture, "source/b.pt")), 0);
	assert_int_equal(link(in(fixture, "source/llm.pt"), in(fixture, "source/raw")), 0);
	make_link(fixture, "folder/weights.bin", "source/c.pt");
	assert_int_equal(stat(in(fixture, "source/llm.pt"), &source), 0);

	assert_int_equal(shown_inode(fixture, "raw"), source.st_ino);
	assert_int_equal(shown_inode(fixture, "b.pt"), shown_inode(fixture, "llm.pt"));
	assert_int_not_equal(shown_inode(fixture, "llm.pt"), source.st_ino);
	assert_int_not_equal(shown_inode(fixture, "c.pt"),
			     shown_inode(fixture, "folder/weights.bin"));

	/* Numbers of another file system are not those of the root's. */
	dev_t proc = other_device(fixture, "/proc");
	assert_int_equal(cvq_view_inode(fixture->view, source.st_dev, 1), 1);
	assert_int_not_equal(cvq_view_inode(fixture->view, proc, 1), 1);
}

static json_t *describe(const struct fixture *fixture, const char *path)
{
	cleanup_entry struct cvq_entry entry = look_up(fixture, path);
	cleanup_free char *text = cvq_view_describe(fixture->view, &entry);
	assert_non_null(text);
	json_t *object = json_loads(text, 0, NULL);
	assert_non_null(object);
	assert_int_equal(json_integer_value(json_object_get(object, "view_size")),
			 entry.attributes.st_size);
	assert_int_equal(json_integer_value(json_object_get(object, "source_size")),
			 entry.version.size);
	return object;
}

static const char *member(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static void test_description(void **state)
{
	struct fixture *fixture = *state;
	json_t *converted = describe(fixture, "llm.pt");
	assert_string_equal(member(converted, "state"), "converted");
	assert_string_equal(member(converted, "dtype"), "fp16");
	assert_null(member(converted, "reason"));
	assert_int_equal(
		json_integer_value(json_object_get(converted, "converted_storages")), 1);
	json_decref(converted);

	json_t *passed = describe(fixture, "hift.pt");
	assert_string_equal(member(passed, "state"), "passthrough");
	assert_non_null(strstr(member(passed, "reason"), "'*hift*'"));
	json_decref(passed);
}

static void test_description_of_an_alias(void **state)
{
	struct fixture *fixture = *state;
	add_alias(fixture, "a.pt", "llm.pt");
	add_alias(fixture, "b.txt", "llm.pt");
	add_alias(fixture, "c.pt", "\xff.pt");
	write_checkpoint(fixture, "source/\xff.pt");
	static const char *const paths[] = {"a.pt", "b.txt", "c.pt", "llm.pt"};
	static const char *const targets[] = {"llm.pt", "llm.pt", "?.pt", NULL};
	for (int i = 0; i < 4; i++) {
		json_t *object = describe(fixture, paths[i]);
		if (targets[i])
			assert_string_equal(member(object, "alias_of"), targets[i]);
		else
			assert_null(member(object, "alias_of"));
		json_decref(object);
	}
}

static void test_census(void **state)
{
	struct fixture *fixture = *state;
	make_link(fixture, "../../outside/blob", "source/folder/leaves.pt");
	make_link(fixture, "..", "source/folder/up");
	cleanup_entry struct cvq_entry entry = look_up(fixture, "llm.pt");
	struct cvq_census census;

	cvq_view_count(fixture->view, 60, &census);
	assert_true(census.complete);
	assert_int_equal(census.converted, 2); /* llm.pt and folder/leaves.pt */
	/* hift.pt notes.txt notes.pt empty.pt folder/weights.bin */
	assert_int_equal(census.passed, 5);
	assert_int_equal(census.source_bytes, 2 * entry.version.size);
	assert_int_equal(census.view_bytes, 2 * entry.attributes.st_size);

	cvq_view_count(fixture->view, 0, &census);
	assert_false(census.complete);
	assert_true(census.converted + census.passed <= 1);

	/* An alias counts as what it shows, in place of what it hides. */
	add_alias(fixture, "notes.pt", "llm.pt");
	add_alias(fixture, "new.txt", "llm.pt");
	add_alias(fixture, "hift.pt", "missing");
	add_alias(fixture, "folder", "notes.txt");
	cvq_view_count(fixture->view, 60, &census);
	assert_true(census.complete);
	assert_int_equal(census.converted, 2); /* llm.pt notes.pt */
	assert_int_equal(census.passed, 4);    /* empty.pt folder new.txt notes.txt */
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_checkpoint_is_converted),
		TEST(test_the_rest_is_passed_with_a_reason),
		TEST(test_what_cannot_be_read_is_not_passed),
		TEST(test_paths_stay_below_the_root),
		TEST(test_a_missing_source),
		TEST(test_followed_links),
		TEST(test_kept_links),
		TEST(test_reading_a_followed_link),
		TEST(test_reading_to_the_end),
		TEST(test_a_replaced_file),
		TEST(test_a_file_modified_in_place),
		TEST(test_changes_without_a_pause),
		TEST(test_plans_are_remembered),
		TEST(test_a_file_comes_to_rest),
		TEST(test_what_is_no_longer_a_file),
		TEST(test_an_alias_shows_another_file),
		TEST(test_reading_an_alias),
		TEST(test_an_alias_of_nothing_shows_nothing),
		TEST(test_an_alias_of_a_link),
		TEST(test_listing_aliases),
		TEST(test_what_a_listing_says),
		TEST(test_positions),
		TEST(test_links_never_lead_into_the_own_mount),
		TEST(test_the_own_mount_is_an_empty_folder),
		TEST(test_extended_attributes),
		TEST(test_access),
		TEST(test_equal_numbers_mean_equal_content),
		TEST(test_description),
		TEST(test_description_of_an_alias),
		TEST(test_census),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
