/* SPDX-License-Identifier: MIT */
/*
 * The nodes: versions, counts, paths, and who outlives whom
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "mount/nodes.h"

/* What a lookup would have found: a file or folder with this inode, modified then. */
static struct cvq_entry make_entry(mode_t type, ino_t inode, time_t modified)
{
	struct cvq_entry entry = {
		.attributes = {.st_mode = type | 0644, .st_ino = inode},
	};
	entry.attributes.st_mtim.tv_sec = modified;
	entry.version = cvq_version_of(&entry.attributes);
	return entry;
}

static struct cvq_entry file_entry(ino_t inode, time_t modified)
{
	return make_entry(S_IFREG, inode, modified);
}

static int set_up(void **state)
{
	struct cvq_nodes *nodes = malloc(sizeof(*nodes));
	struct cvq_entry root = make_entry(S_IFDIR, 2, 0);
	assert_int_equal(cvq_nodes_init(nodes, &root), 0);
	*state = nodes;
	return 0;
}

static int tear_down(void **state)
{
	cvq_nodes_release(*state);
	free(*state);
	return 0;
}

static struct cvq_node *get_root(struct cvq_nodes *nodes)
{
	struct cvq_node *root = cvq_node_get(nodes, 1);
	assert_non_null(root);
	return root;
}

/* One lookup of the kernel; returns the id that it learns. */
static uint64_t look_up(struct cvq_node *parent, const char *name, struct cvq_entry entry)
{
	struct cvq_node *node;
	assert_int_equal(cvq_node_enter(parent, name, &entry, &node), 0);
	uint64_t id = node->id;
	cvq_node_unref(node);
	return id;
}

static bool exists(struct cvq_nodes *nodes, uint64_t id)
{
	cleanup_node struct cvq_node *node = cvq_node_get(nodes, id);
	return node != NULL;
}

static void the_root_has_an_empty_path_and_is_never_forgotten(void **state)
{
	struct cvq_nodes *nodes = *state;
	cleanup_node struct cvq_node *root = get_root(nodes);
	char path[PATH_MAX];

	assert_int_equal(cvq_node_path(root, NULL, path), 0);
	assert_string_equal(path, "");
	assert_int_equal(cvq_node_path(root, "llm.pt", path), 0);
	assert_string_equal(path, "llm.pt");
	assert_false(exists(nodes, 0));
	assert_false(exists(nodes, 2));
	/* The kernel never looked it up, so nothing it says can take it away. */
	cvq_node_forget(nodes, 1, 7);
	assert_true(exists(nodes, 1));
}

static void lookups_are_counted(void **state)
{
	struct cvq_nodes *nodes = *state;
	cleanup_node struct cvq_node *root = get_root(nodes);

	uint64_t id = look_up(root, "a", file_entry(10, 1));
	assert_int_equal(look_up(root, "a", file_entry(10, 1)), id);
	assert_int_equal(look_up(root, "a", file_entry(10, 1)), id);
	assert_int_equal(nodes->count, 2);
	cvq_node_forget(nodes, id, 2);
	assert_true(exists(nodes, id));
	cvq_node_forget(nodes, id, 1);
	assert_false(exists(nodes, id));
	assert_int_equal(nodes->count, 1);
}

static void forgetting_too_much_or_nothing_does_no_harm(void **state)
{
	struct cvq_nodes *nodes = *state;
	cleanup_node struct cvq_node *root = get_root(nodes);

	uint64_t id = look_up(root, "a", file_entry(10, 1));
	cvq_node_forget(nodes, 12345, 1);
	assert_true(exists(nodes, id));
	cvq_node_forget(nodes, id, 99);
	assert_false(exists(nodes, id));
	cvq_node_forget(nodes, id, 1);
	assert_int_equal(nodes->count, 1);
}

static void a_changed_file_is_another_node(void **state)
{
	struct cvq_nodes *nodes = *state;
	cleanup_node struct cvq_node *root = get_root(nodes);

	uint64_t before = look_up(root, "a", file_entry(10, 1));
	uint64_t modified = look_up(root, "a", file_entry(10, 2));
	uint64_t replaced = look_up(root, "a", file_entry(11, 2));
	assert_int_not_equal(before, modified);
	assert_int_not_equal(before, replaced);
	assert_int_not_equal(modified, replaced);

	/* Each is found again as long as somebody remembers it. */
	assert_int_equal(look_up(root, "a", file_entry(10, 1)), before);
	assert_int_equal(look_up(root, "a", file_entry(11, 2)), replaced);

	/* An open file keeps its version after the kernel has forgotten the name. */
	cleanup_node struct cvq_node *open = cvq_node_get(nodes, before);
	cvq_node_forget(nodes, before, 2);
	assert_true(exists(nodes, before));
	assert_int_equal(open->entry.version.modified.tv_sec, 1);
	cvq_node_unref(steal_pointer(open));
	assert_false(exists(nodes, before));
	assert_true(exists(nodes, modified));
}

static void ids_are_never_used_twice(void **state)
{
	struct cvq_nodes *nodes = *state;
	cleanup_node struct cvq_node *root = get_root(nodes);

	uint64_t last = 1;
	for (int i = 0; i < 100; i++) {
		uint64_t id = look_up(root, "a", file_entry(10, 1));
		assert_true(id > last);
		last = id;
		cvq_node_forget(nodes, id, 1);
	}
}

static void a_folder_stays_itself(void **state)
{
	struct cvq_nodes *nodes = *state;
	cleanup_node struct cvq_node *root = get_root(nodes);

	uint64_t id = look_up(root, "d", make_entry(S_IFDIR, 10, 1));
	assert_int_equal(look_up(root, "d", make_entry(S_IFDIR, 10, 2)), id);
	assert_int_not_equal(look_up(root, "d", make_entry(S_IFDIR, 11, 2)), id);
	assert_int_not_equal(look_up(root, "d", make_entry(S_IFREG, 10, 1)), id);
	struct cvq_entry hidden = make_entry(S_IFDIR, 10, 1);
	hidden.hidden = true;
	assert_int_not_equal(look_up(root, "d", hidden), id);
}

static void names_belong_to_their_folder(void **state)
{
	struct cvq_nodes *nodes = *state;
	cleanup_node struct cvq_node *root = get_root(nodes);
	struct cvq_entry folder = make_entry(S_IFDIR, 10, 1);
	cleanup_node struct cvq_node *child = NULL;
	assert_int_equal(cvq_node_enter(root, "d", &folder, &child), 0);

	/* A hard link: the same file under the same name in two folders. */
	uint64_t above = look_up(root, "a", file_entry(20, 1));
	uint64_t below = look_up(child, "a", file_entry(20, 1));
	uint64_t other = look_up(root, "b", file_entry(20, 1));
	assert_int_not_equal(above, below);
	assert_int_not_equal(above, other);

	char path[PATH_MAX];
	cleanup_node struct cvq_node *file = cvq_node_get(nodes, below);
	assert_int_equal(cvq_node_path(file, NULL, path), 0);
	assert_string_equal(path, "d/a");
	assert_int_equal(cvq_node_path(child, "x.pt", path), 0);
	assert_string_equal(path, "d/x.pt");
}

static void children_keep_their_ancestors(void **state)
{
	struct cvq_nodes *nodes = *state;
	cleanup_node struct cvq_node *root = get_root(nodes);
	struct cvq_entry folder = make_entry(S_IFDIR, 10, 1);
	struct cvq_node *child;
	assert_int_equal(cvq_node_enter(root, "d", &folder, &child), 0);
	uint64_t folder_id = child->id;
	uint64_t file_id = look_up(child, "a", file_entry(20, 1));
	cvq_node_unref(child);

	cvq_node_forget(nodes, folder_id, 1);
	assert_true(exists(nodes, folder_id));
	char path[PATH_MAX];
	struct cvq_node *file = cvq_node_get(nodes, file_id);
	assert_int_equal(cvq_node_path(file, NULL, path), 0);
	assert_string_equal(path, "d/a");
	cvq_node_unref(file);

	cvq_node_forget(nodes, file_id, 1);
	assert_false(exists(nodes, file_id));
	assert_false(exists(nodes, folder_id));
	assert_int_equal(nodes->count, 1);
}

/* A chain of folders named "d"; returns the id of the last one. */
static uint64_t make_chain(struct cvq_nodes *nodes, size_t depth)
{
	struct cvq_node *folder = get_root(nodes);
	for (size_t i = 0; i < depth; i++) {
		struct cvq_entry entry = make_entry(S_IFDIR, 100 + i, 1);
		struct cvq_node *child;
		assert_int_equal(cvq_node_enter(folder, "d", &entry, &child), 0);
		cvq_node_unref(folder);
		folder = child;
	}
	uint64_t id = folder->id;
	cvq_node_unref(folder);
	return id;
}

static void the_longest_path_fits_and_a_longer_one_is_refused(void **state)
{
	struct cvq_nodes *nodes = *state;
	char path[PATH_MAX];

	/* "d/d/.../d": 2048 of them have 4095 characters. */
	uint64_t id = make_chain(nodes, PATH_MAX / 2);
	cleanup_node struct cvq_node *longest = cvq_node_get(nodes, id);
	assert_int_equal(cvq_node_path(longest, NULL, path), 0);
	assert_int_equal(strlen(path), PATH_MAX - 1);
	assert_memory_equal(path, "d/d/", 4);
	assert_int_equal(cvq_node_path(longest, "d", path), -ENAMETOOLONG);
}

static void any_depth_is_freed(void **state)
{
	struct cvq_nodes *nodes = *state;
	const size_t depth = 200000;

	uint64_t last = make_chain(nodes, depth);
	assert_int_equal(nodes->count, depth + 1);
	for (uint64_t id = 2; id <= last; id++)
		cvq_node_forget(nodes, id, 1);
	assert_int_equal(nodes->count, 1);
}

static void every_one_of_many_names_is_found_again(void **state)
{
	struct cvq_nodes *nodes = *state;
	cleanup_node struct cvq_node *root = get_root(nodes);
	enum { COUNT = 20000 };
	uint64_t *ids = calloc(COUNT, sizeof(*ids));
	char name[16];

	for (unsigned i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "%u.pt", i);
		ids[i] = look_up(root, name, file_entry(1000 + i, 1));
	}
	assert_true(nodes->by_id.size >= COUNT);
	for (unsigned i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "%u.pt", i);
		assert_int_equal(look_up(root, name, file_entry(1000 + i, 1)), ids[i]);
		cvq_node_forget(nodes, ids[i], 2);
	}
	assert_int_equal(nodes->count, 1);
	free(ids);
}

static int open_null(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void one_descriptor_is_reserved_until_its_node_goes(void **state)
{
	struct cvq_nodes *nodes = *state;
	cleanup_node struct cvq_node *root = get_root(nodes);
	uint64_t id = look_up(root, "a", file_entry(10, 1));
	cleanup_node struct cvq_node *node = cvq_node_get(nodes, id);
	assert_int_equal(cvq_node_claim(node), -1);

	/* One is kept, and each claim gets one of its own. */
	int kept = open_null();
	cvq_node_reserve(node, kept);
	int second = open_null();
	cvq_node_reserve(node, second);
	assert_true(is_open(kept) && !is_open(second));
	for (int i = 0; i < 2; i++) {
		cleanup_fd int claimed = cvq_node_claim(node);
		assert_true(claimed >= 0 && claimed != kept);
	}

	/* It is closed with its node. */
	cvq_node_forget(nodes, id, 1);
	cvq_node_unref(steal_pointer(node));
	assert_false(is_open(kept));
	for (unsigned i = 0; i < CVQ_NODES_RESERVED; i++)
		assert_null(nodes->reserved[i].node);
}

static void descriptors_are_not_reserved_for_long(void **state)
{
	struct cvq_nodes *nodes = *state;
	cleanup_node struct cvq_node *root = get_root(nodes);
	int kept[2];
	for (int i = 0; i < 2; i++) {
		uint64_t id = look_up(root, i ? "new" : "old", file_entry(10, 1));
		cleanup_node struct cvq_node *node = cvq_node_get(nodes, id);
		kept[i] = open_null();
		cvq_node_reserve(node, kept[i]);
	}
	cvq_nodes_release_reserved(nodes);
	assert_true(is_open(kept[0]) && is_open(kept[1]));

	nodes->reserved[0].since -= CVQ_RESERVED_SECONDS + 2;
	cvq_nodes_release_reserved(nodes);
	assert_true(!is_open(kept[0]) && is_open(kept[1]));

	/* From then on it is as if it had never been kept. */
	cleanup_node struct cvq_node *old = cvq_node_newest(root, "old");
	assert_int_equal(cvq_node_claim(old), -1);
	int again = open_null();
	cvq_node_reserve(old, again);
	assert_true(is_open(again));
}

static void few_descriptors_are_reserved(void **state)
{
	struct cvq_nodes *nodes = *state;
	cleanup_node struct cvq_node *root = get_root(nodes);

	/* A new one takes the place of the oldest. */
	uint64_t ids[2 * CVQ_NODES_RESERVED];
	for (unsigned i = 0; i < 2 * CVQ_NODES_RESERVED; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%u", i);
		ids[i] = look_up(root, name, file_entry(1000 + i, 1));
		cleanup_node struct cvq_node *node = cvq_node_get(nodes, ids[i]);
		cvq_node_reserve(node, open_null());
	}
	for (unsigned i = 0; i < 2 * CVQ_NODES_RESERVED; i++) {
		cleanup_node struct cvq_node *node = cvq_node_get(nodes, ids[i]);
		cleanup_fd int claimed = cvq_node_claim(node);
		assert_true((claimed >= 0) == (i >= CVQ_NODES_RESERVED));
	}
}

/* Looks up, opens, closes and forgets the same few files as the other threads do. */
static void *trample(void *argument)
{
	struct cvq_nodes *nodes = argument;
	struct cvq_node *root = cvq_node_get(nodes, 1);

	for (int i = 0; i < 20000; i++) {
		struct cvq_entry entry = file_entry(10 + i % 3, i / 100);
		struct cvq_node *node;
		char name[2] = {(char)('a' + i % 3), '\0'};
		if (cvq_node_enter(root, name, &entry, &node))
			continue;
		uint64_t id = node->id;
		cvq_node_ref(node);
		cvq_node_reserve(node, open_null());
		int fd = cvq_node_claim(node);
		if (fd >= 0)
			close(fd);
		cvq_node_unref(node);
		cvq_node_forget(nodes, id, 1);
		cvq_node_unref(node);
	}
	cvq_node_unref(root);
	return NULL;
}

static void threads_leave_no_node_behind(void **state)
{
	struct cvq_nodes *nodes = *state;
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, trample, nodes), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(nodes->count, 1);
	assert_int_equal(get_root(nodes)->references, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_root_has_an_empty_path_and_is_never_forgotten),
		TEST(lookups_are_counted),
		TEST(forgetting_too_much_or_nothing_does_no_harm),
		TEST(a_changed_file_is_another_node),
		TEST(ids_are_never_used_twice),
		TEST(a_folder_stays_itself),
		TEST(names_belong_to_their_folder),
		TEST(children_keep_their_ancestors),
		TEST(one_descriptor_is_reserved_until_its_node_goes),
		TEST(few_descriptors_are_reserved),
		TEST(descriptors_are_not_reserved_for_long),
		TEST(the_longest_path_fits_and_a_longer_one_is_refused),
		TEST(any_depth_is_freed),
		TEST(every_one_of_many_names_is_found_again),
		TEST(threads_leave_no_node_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
