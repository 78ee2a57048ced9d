/* SPDX-License-Identifier: MIT */
/*
 * The view of a real directory: decisions, its own mount, attributes, census
 *
 * Nothing is mounted here; what a view does where it is mounted itself is tried by
 * naming another file system as its own.
 */
#include <jansson.h>
#include <sys/xattr.h>

#include "views.h"

/* ========================================================================== */
/*                                  Decisions                                 */
/* ========================================================================== */

static void a_checkpoint_is_converted(void **state)
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

static void the_rest_is_passed_with_a_reason(void **state)
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
static void what_cannot_be_read_is_not_passed(void **state)
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
	struct cvq_content content;
	assert_int_equal(cvq_view_open_file(view, "speed", &entry, &content), -EIO);
	assert_int_equal(content.fd, -1);
	cvq_entry_release(&entry);
	cvq_view_close(view);
	cvq_policy_release(&policy);
}

static void paths_stay_below_the_root(void **state)
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

static void a_source_must_be_a_folder(void **state)
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

static void links_never_lead_into_the_own_mount(void **state)
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

static void the_own_mount_is_an_empty_folder(void **state)
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
	mountpoint.st_dev = before.version.device; /* of another file system */
	cvq_view_set_mount(fixture->view, proc, &mountpoint);
	cleanup_entry struct cvq_entry hidden = look_up(fixture, "proc");
	assert_true(hidden.hidden);
	assert_int_equal(hidden.attributes.st_ino,
			 cvq_view_inode(fixture->view, mountpoint.st_dev, 4711));
	assert_int_not_equal(hidden.attributes.st_ino, 4711);
	assert_int_equal(hidden.attributes.st_mode, S_IFDIR | 0751);
	assert_int_equal(lookup_error(fixture, "proc/version"), -ENOENT);
	assert_int_equal(lookup_error(fixture, "proc/self/status"), -ENOENT);
	assert_int_equal(cvq_view_open_folder(fixture->view, "proc"), -EXDEV);
	assert_int_equal(open_error(fixture, "proc/version", &version), -ENOENT);
}

/* ========================================================================== */
/*                            Attributes and census                           */
/* ========================================================================== */

static void extended_attributes_are_the_sources_but_for_our_own(void **state)
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

static void a_file_may_be_read_but_not_written_or_executed(void **state)
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
static void equal_numbers_mean_equal_content(void **state)
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

	/* Of two names one converts: an alias or its target, a link or its target. */
	make_link(fixture, in(fixture, "source/llm.pt"), "source/latest.bin");
	add_alias(fixture, "d.pt", "folder/weights.bin");
	add_alias(fixture, "e.txt", "llm.pt");
	static const char *const pairs[][2] = {
		{"d.pt", "folder/weights.bin"},
		{"e.txt", "llm.pt"},
		{"latest.bin", "llm.pt"},
	};
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		assert_int_not_equal(shown_inode(fixture, pairs[i][0]),
				     shown_inode(fixture, pairs[i][1]));

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

static void the_description_tells_what_became_of_it(void **state)
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

static void the_description_of_an_alias_names_its_target(void **state)
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

static void the_census_counts_what_the_view_shows(void **state)
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
	assert_int_equal(census.unfit, 2); /* notes.pt empty.pt */
	assert_non_null(strstr(census.left.text, ".pt': it is "));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_checkpoint_is_converted),
		TEST(the_rest_is_passed_with_a_reason),
		TEST(what_cannot_be_read_is_not_passed),
		TEST(paths_stay_below_the_root),
		TEST(a_source_must_be_a_folder),
		TEST(links_never_lead_into_the_own_mount),
		TEST(the_own_mount_is_an_empty_folder),
		TEST(extended_attributes_are_the_sources_but_for_our_own),
		TEST(a_file_may_be_read_but_not_written_or_executed),
		TEST(equal_numbers_mean_equal_content),
		TEST(the_description_tells_what_became_of_it),
		TEST(the_description_of_an_alias_names_its_target),
		TEST(the_census_counts_what_the_view_shows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
