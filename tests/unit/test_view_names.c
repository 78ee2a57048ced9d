/* SPDX-License-Identifier: MIT */
/*
 * Names in a view: what symlinks and aliases show, and what a listing has
 */
#include <dirent.h>

#include "view/folder.h"
#include "views.h"

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

static void links_to_files_are_followed_if_they_lead_out_or_convert_otherwise(void **state)
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

static void links_are_kept_on_request_or_if_root_mounts_for_all(void **state)
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

static void a_followed_link_reads_as_its_target_until_it_points_elsewhere(void **state)
{
	struct fixture *fixture = *state;
	make_links(fixture);
	cleanup_entry struct cvq_entry direct = look_up(fixture, "llm.pt");
	cleanup_entry struct cvq_entry entry = look_up(fixture, "leaves.pt");
	cleanup_content struct cvq_content content =
		open_content(fixture, "leaves.pt", &entry);
	cleanup_content struct cvq_content direct_content =
		open_content(fixture, "llm.pt", &direct);

	/* Both checkpoints have the same content, so both images are the same. */
	char bytes[2][20000];
	struct cvq_reason reason;
	ssize_t got = cvq_view_read(fixture->view, &entry, &content, bytes[0],
				    sizeof(bytes[0]), 0, &reason);
	assert_int_equal(got, entry.attributes.st_size);
	assert_int_equal(cvq_view_read(fixture->view, &direct, &direct_content, bytes[1],
				       sizeof(bytes[1]), 0, &reason),
			 got);
	assert_memory_equal(bytes[0], bytes[1], (size_t)got);

	/* Pointed elsewhere, it is another file. */
	assert_int_equal(unlink(in(fixture, "source/leaves.pt")), 0);
	make_link(fixture, "folder/weights.bin", "source/leaves.pt");
	assert_int_equal(open_error(fixture, "leaves.pt", &entry), -ESTALE);
}

/* ========================================================================== */
/*                                   Aliases                                  */
/* ========================================================================== */

static ino_t inode_of(const struct fixture *fixture, const char *name)
{
	struct stat attributes;
	assert_int_equal(lstat(in(fixture, name), &attributes), 0);
	return attributes.st_ino;
}

static void an_alias_shows_another_file(void **state)
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
	assert_int_not_equal(model.attributes.st_ino,
			     inode_of(fixture, "source/folder/weights.bin"));
	assert_passed(fixture, "folder/weights.bin", "its name does not ask");
	assert_passed(fixture, "my_hift.pt", "kept by the pattern '*hift*'");
	assert_passed(fixture, "folder/llm.bin", "its name does not ask");

	/* The target is the source's, whatever the view shows under that name. */
	cleanup_entry struct cvq_entry notes = look_up(fixture, "folder/notes.pt");
	assert_true(cvq_entry_converted(&notes));
	assert_passed(fixture, "llm.pt", "it is no checkpoint"); /* though it asks */
	cleanup_entry struct cvq_entry llm = look_up(fixture, "llm.pt");
	assert_int_not_equal(llm.attributes.st_ino, inode_of(fixture, "source/notes.txt"));

	/* Names are as they are written. */
	assert_int_equal(lookup_error(fixture, "Model.pt"), -ENOENT);
	assert_int_equal(lookup_error(fixture, "folder/model.pt"), -ENOENT);
}

static void an_alias_reads_as_its_target_and_changes_with_it(void **state)
{
	struct fixture *fixture = *state;
	add_alias(fixture, "model.pt", "llm.pt");
	add_alias(fixture, "model.txt", "notes.txt");
	cleanup_entry struct cvq_entry direct = look_up(fixture, "llm.pt");
	cleanup_entry struct cvq_entry entry = look_up(fixture, "model.pt");
	assert_ptr_equal(entry.verdict, direct.verdict);
	cleanup_content struct cvq_content content =
		open_content(fixture, "model.pt", &entry);
	assert_read(fixture, &entry, &content, 0, 64);
	assert_int_equal(cvq_view_access(fixture->view, "model.pt", &entry, R_OK), 0);

	cleanup_entry struct cvq_entry passed = look_up(fixture, "model.txt");
	cleanup_content struct cvq_content passed_content =
		open_content(fixture, "model.txt", &passed);
	assert_read(fixture, &passed, &passed_content, 8, 11);

	/* A target that is replaced or removed is so under all its names. */
	write_text(fixture, "source/new", "something else");
	assert_int_equal(rename(in(fixture, "source/new"), in(fixture, "source/llm.pt")),
			 0);
	assert_int_equal(open_error(fixture, "model.pt", &entry), -ESTALE);
	assert_read(fixture, &entry, &content, 0, 64);
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

static void an_alias_of_nothing_shows_nothing(void **state)
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

static void an_alias_of_a_link_is_a_file_where_links_are_followed(void **state)
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
	cleanup_content struct cvq_content content =
		open_content(fixture, "folder/b.pt", &entry);
	assert_read(fixture, &entry, &content, 0, 64);

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

static void a_listing_has_the_aliases_that_show_a_file(void **state)
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

static void a_listing_says_the_same_inodes_as_lookups(void **state)
{
	struct fixture *fixture = *state;
	add_alias(fixture, "a.pt", "llm.pt");
	cleanup_folder struct cvq_folder *folder = NULL;
	assert_int_equal(cvq_folder_open(fixture->view, "", &folder), 0);
	const struct cvq_name *name;
	unsigned files = 0;
	for (cvq_err err; (name = cvq_folder_peek(folder, &err)); cvq_folder_take(folder)) {
		if (name->type != DT_REG)
			continue;
		cleanup_entry struct cvq_entry entry = look_up(fixture, name->text);
		assert_int_equal(name->inode, entry.attributes.st_ino);
		files++;
	}
	assert_int_equal(files, 6); /* with the alias */

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

	/* To begin anew forgets no position that was handed out. */
	cvq_folder_seek(folder, 0);
	list(folder, &rest, 1);
	cvq_folder_seek(folder, all.next[all.count - 2]);
	list(folder, &rest, MOST_NAMES);
	assert_int_equal(rest.count, 1);
	assert_string_equal(rest.text[0], all.text[all.count - 1]);
}

static void from_every_position_the_rest_of_a_listing_is_the_same(void **state)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(links_to_files_are_followed_if_they_lead_out_or_convert_otherwise),
		TEST(links_are_kept_on_request_or_if_root_mounts_for_all),
		TEST(a_followed_link_reads_as_its_target_until_it_points_elsewhere),
		TEST(an_alias_shows_another_file),
		TEST(an_alias_reads_as_its_target_and_changes_with_it),
		TEST(an_alias_of_nothing_shows_nothing),
		TEST(an_alias_of_a_link_is_a_file_where_links_are_followed),
		TEST(a_listing_has_the_aliases_that_show_a_file),
		TEST(a_listing_says_the_same_inodes_as_lookups),
		TEST(from_every_position_the_rest_of_a_listing_is_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
