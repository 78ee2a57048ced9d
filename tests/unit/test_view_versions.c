/* SPDX-License-Identifier: MIT */
/*
 * Files that change while they are in view: what still reads, and what is planned anew
 */
#include "views.h"

static void reads_are_short_only_at_the_end(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {"llm.pt", "hift.pt"};
	for (int i = 0; i < 2; i++) {
		cleanup_entry struct cvq_entry entry = look_up(fixture, names[i]);
		cleanup_content struct cvq_content content =
			open_content(fixture, names[i], &entry);
		uint64_t size = (uint64_t)entry.attributes.st_size;
		assert_read(fixture, &entry, &content, 0, 64);
		assert_read(fixture, &entry, &content, size - 10, 10);
		assert_read(fixture, &entry, &content, size, 0);
		assert_read(fixture, &entry, &content, size + 4096, 0);
	}
	struct cvq_counters *counters = cvq_view_counters(fixture->view);
	assert_true(atomic_load(&counters->bytes_read) >= 2 * 74);
}

static void a_replaced_file_is_still_read_by_who_has_it_open(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {"llm.pt", "hift.pt"};
	for (int i = 0; i < 2; i++) {
		cleanup_entry struct cvq_entry before = look_up(fixture, names[i]);
		cleanup_content struct cvq_content content =
			open_content(fixture, names[i], &before);
		char path[64];
		snprintf(path, sizeof(path), "source/%s", names[i]);
		write_text(fixture, "source/new", "something else");
		assert_int_equal(rename(in(fixture, "source/new"), in(fixture, path)), 0);

		/* Old descriptors have the old file, new ones the new. */
		assert_read(fixture, &before, &content, 0, 64);
		assert_int_equal(open_error(fixture, names[i], &before), -ESTALE);
		cleanup_entry struct cvq_entry after = look_up(fixture, names[i]);
		assert_false(cvq_entry_same(&before, &after));
		assert_int_equal(after.attributes.st_size, 14);
		cleanup_content struct cvq_content new_content =
			open_content(fixture, names[i], &after);
		assert_read(fixture, &after, &new_content, 0, 14);

		assert_int_equal(unlink(in(fixture, path)), 0);
		assert_read(fixture, &before, &content, 0, 64);
		assert_int_equal(open_error(fixture, names[i], &after), -ENOENT);
	}
}

static void a_file_modified_in_place_fails_for_who_has_it_open(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {"llm.pt", "hift.pt"};
	for (int i = 0; i < 2; i++) {
		cleanup_entry struct cvq_entry before = look_up(fixture, names[i]);
		cleanup_content struct cvq_content content =
			open_content(fixture, names[i], &before);
		assert_read(fixture, &before, &content, 0, 64);

		/* Same size, same bytes, another time. */
		char path[64];
		snprintf(path, sizeof(path), "source/%s", names[i]);
		struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = 1000000000}};
		assert_int_equal(utimensat(AT_FDCWD, in(fixture, path), times, 0), 0);
		assert_read(fixture, &before, &content, 0, -EIO);
		cleanup_entry struct cvq_entry after = look_up(fixture, names[i]);
		assert_false(cvq_entry_same(&before, &after));
		cleanup_content struct cvq_content new_content =
			open_content(fixture, names[i], &after);
		assert_read(fixture, &after, &new_content, 0, 64);

		assert_int_equal(truncate(in(fixture, path), 100), 0);
		assert_read(fixture, &after, &new_content, 0, -EIO);
		assert_read(fixture, &after, &new_content, 90, -EIO);
	}
}

/* Two changes within one tick of the clock that stamps files: same size, same time? */
static void two_changes_within_one_tick_are_told_apart(void **state)
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
			cleanup_content struct cvq_content content =
				open_content(fixture, names[i], &before);
			assert_int_equal(pwrite(file, "y", 1, 0), 1);
			cleanup_entry struct cvq_entry after = look_up(fixture, names[i]);
			assert_false(cvq_entry_same(&before, &after));
			assert_read(fixture, &before, &content, 0, -EIO);
		}
	}
}

static void plans_are_remembered(void **state)
{
	struct fixture *fixture = *state;
	struct cvq_counters *counters = cvq_view_counters(fixture->view);
	sleep(4); /* or the files come to rest meanwhile, and are others then */
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

	/* Who still knows the file does not need the plan to look at it again ... */
	read = atomic_load(&counters->bytes_read);
	for (int i = 0; i < 600; i++) {
		char name[32];
		snprintf(name, sizeof(name), "%d.pt", i);
		assert_passed(fixture, name, "it is no checkpoint");
	}
	assert_true(atomic_load(&counters->bytes_read) > read);
	read = atomic_load(&counters->bytes_read);
	cleanup_entry struct cvq_entry again;
	assert_int_equal(cvq_view_look_again(fixture->view, "llm.pt", &last, &again), 0);
	assert_ptr_equal(again.verdict, last.verdict);
	assert_int_equal(atomic_load(&counters->bytes_read), read);

	/* ... and gets another one to read it. */
	cleanup_content struct cvq_content content = open_content(fixture, "llm.pt", &last);
	assert_true(atomic_load(&counters->bytes_read) > read);
	assert_read(fixture, &last, &content, 0, 64);
}

/* What was seen while somebody may still have been writing is not relied on for long. */
static void a_file_comes_to_rest(void **state)
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
		assert_int_equal(open_error(fixture, names[i], &fresh[i]), -ESTALE);
		cvq_entry_release(&fresh[i]);
	}
}

static void what_is_no_longer_a_file_is_stale(void **state)
{
	struct fixture *fixture = *state;
	cleanup_entry struct cvq_entry entry = look_up(fixture, "notes.txt");
	const char *path = in(fixture, "source/notes.txt");

	/* A fifo without a writer would keep open(2) waiting. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0644), 0);
	assert_int_equal(open_error(fixture, "notes.txt", &entry), -ESTALE);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(open_error(fixture, "notes.txt", &entry), -ESTALE);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("llm.pt", path), 0);
	assert_int_equal(open_error(fixture, "notes.txt", &entry), -ESTALE);

	/* The same with what is no longer a folder or a symlink. */
	char target[64];
	assert_int_equal(cvq_view_open_folder(fixture->view, "notes.txt"), -ESTALE);
	assert_int_equal(cvq_view_open_folder(fixture->view, "hift.pt"), -ESTALE);
	assert_int_equal(
		cvq_view_read_link(fixture->view, "hift.pt", target, sizeof(target)),
		-ESTALE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_are_short_only_at_the_end),
		TEST(a_replaced_file_is_still_read_by_who_has_it_open),
		TEST(a_file_modified_in_place_fails_for_who_has_it_open),
		TEST(two_changes_within_one_tick_are_told_apart),
		TEST(plans_are_remembered),
		TEST(a_file_comes_to_rest),
		TEST(what_is_no_longer_a_file_is_stale),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
