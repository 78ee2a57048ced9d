/* SPDX-License-Identifier: MIT */
/*
 * Zip archives as nobody packs them who means well: what they claim costs nothing, and
 * what can be read in two ways is read as torch reads it
 */
#include "images.h"

#include "base/bytes.h"
#include "numeric/crc32.h"

/* ========================================================================== */
/*                             Writing an archive                             */
/* ========================================================================== */

struct writing {
	int fd;
	uint64_t offset; /* in the file */
	struct cvq_buffer directory;
	uint32_t count;
};

struct entry {
	const char *name;
	const void *data;
	uint32_t size;
	bool deflated;   /* the data is; 'size' is that of the inflated */
	uint32_t packed; /* ... and this its own */
	uint32_t crc;
	uint16_t padding; /* zeros in the local header */
	/* Extra fields in the directory. */
	const void *extra;
	uint16_t extra_length;
};

static void open_writing(struct writing *writing)
{
	char path[] = "/tmp/cvq-test-XXXXXX";
	*writing = (struct writing){.fd = mkstemp(path)};
	assert_true(writing->fd >= 0);
	unlink(path);
}

static void put(struct writing *writing, const void *data, size_t length)
{
	assert_int_equal(cvq_write_all(writing->fd, data, length, writing->offset), 0);
	writing->offset += length;
}

/* What local header and directory have in common. */
static void emit_fields(struct cvq_buffer *out, const struct entry *entry,
			uint16_t extra_length)
{
	cvq_buffer_append_u16(out, 0); /* version */
	cvq_buffer_append_u16(out, 0); /* flags */
	cvq_buffer_append_u16(out, entry->deflated ? 8 : 0);
	cvq_buffer_append_u32(out, 0); /* time */
	cvq_buffer_append_u32(out, entry->crc);
	cvq_buffer_append_u32(out, entry->deflated ? entry->packed : entry->size);
	cvq_buffer_append_u32(out, entry->size);
	cvq_buffer_append_u16(out, (uint16_t)strlen(entry->name));
	cvq_buffer_append_u16(out, extra_length);
}

static void emit_entry(struct cvq_buffer *out, const struct entry *entry, uint64_t offset)
{
	emit(out, "PK\1\2\0\0");
	emit_fields(out, entry, entry->extra_length);
	cvq_buffer_append_fill(out, 0, 10); /* comment, disk, attributes */
	cvq_buffer_append_u32(out, (uint32_t)offset);
	cvq_buffer_append(out, entry->name, strlen(entry->name));
	cvq_buffer_append(out, entry->extra, entry->extra_length);
}

static void add(struct writing *writing, struct entry entry)
{
	cleanup_buffer struct cvq_buffer header = {0};
	if (!entry.deflated) {
		entry.crc = cvq_crc32(0, entry.data, entry.size);
		entry.packed = entry.size;
	}
	emit_entry(&writing->directory, &entry, writing->offset);
	writing->count++;
	emit(&header, "PK\3\4");
	emit_fields(&header, &entry, entry.padding ? (uint16_t)(entry.padding + 4) : 0);
	cvq_buffer_append(&header, entry.name, strlen(entry.name));
	if (entry.padding) {
		emit(&header, "FB");
		cvq_buffer_append_u16(&header, entry.padding);
	}
	put(writing, header.data, header.length);
	writing->offset += entry.padding; /* a hole */
	put(writing, entry.data, entry.packed);
}

/* Writes directory and end record, behind which comes a comment of that length. */
static void end_writing(struct writing *writing, uint16_t comment)
{
	cleanup_buffer struct cvq_buffer end = {0};
	emit(&end, "PK\5\6\0\0\0\0");
	cvq_buffer_append_u16(&end, (uint16_t)writing->count);
	cvq_buffer_append_u16(&end, (uint16_t)writing->count);
	cvq_buffer_append_u32(&end, (uint32_t)writing->directory.length);
	cvq_buffer_append_u32(&end, (uint32_t)writing->offset);
	cvq_buffer_append_u16(&end, comment);
	assert_int_equal(writing->directory.error, 0);
	put(writing, writing->directory.data, writing->directory.length);
	put(writing, end.data, end.length);
	cvq_buffer_release(&writing->directory);
	writing->count = 0;
}

/* Adds the records of a checkpoint with one tensor. */
static void add_model(struct writing *writing, uint32_t numel, uint32_t seed)
{
	const struct vector vectors[] = {{"weight", "FloatStorage", numel, 4},
					 {NULL, NULL, 0, 0}};
	cleanup_buffer struct cvq_buffer pickle = {0};
	cleanup_free void *numbers = make_numbers((size_t)numel * 4, seed);
	write_pickle(&pickle, vectors);
	add(writing, (struct entry){.name = "model/data.pkl",
				    .data = pickle.data,
				    .size = (uint32_t)pickle.length});
	add(writing,
	    (struct entry){.name = "model/data/0", .data = numbers, .size = numel * 4});
	add(writing, (struct entry){.name = "model/version", .data = "3\n", .size = 2});
}

/* ========================================================================== */
/*                              What becomes of it                            */
/* ========================================================================== */

static void expect_reason(const struct writing *writing, const char *why)
{
	struct opened opened = {.fd = writing->fd};
	assert_int_equal(cvq_policy_init(&opened.policy), 0);
	assert_passed_through(&opened, why);
	close_model(&opened);
}

static uint8_t *convert(const struct writing *writing, uint64_t *size)
{
	struct opened opened = {.fd = writing->fd};
	struct cvq_reason reason = {""};
	assert_int_equal(cvq_policy_init(&opened.policy), 0);
	if (plan(&opened, &reason))
		fail_msg("not converted: %s", reason.text);
	uint8_t *bytes = read_whole(&opened);
	*size = opened.size;
	close_model(&opened);
	return bytes;
}

static void expect_conversion(const struct writing *writing)
{
	uint64_t size;
	free(convert(writing, &size));
}

/* ========================================================================== */
/*                                 End records                                */
/* ========================================================================== */

static void of_two_archives_the_one_that_ends_last_counts(void **state)
{
	(void)state;
	struct writing two, one;
	open_writing(&two);
	add_model(&two, 5000, 1);
	uint64_t size, expected_size, first_end;
	/* The second is the comment of the first, whose length is known afterwards. */
	first_end = two.offset + two.directory.length;
	end_writing(&two, 0);
	uint64_t comment = two.offset;
	add_model(&two, 300, 2);
	end_writing(&two, 0);
	uint8_t length[2];
	cvq_put_u16(length, (uint16_t)(two.offset - comment));
	assert_int_equal(cvq_write_all(two.fd, length, 2, first_end + 20), 0);

	open_writing(&one);
	add_model(&one, 300, 2);
	end_writing(&one, 0);
	cleanup_free uint8_t *bytes = convert(&two, &size);
	cleanup_free uint8_t *expected = convert(&one, &expected_size);
	assert_int_equal(size, expected_size);
	assert_memory_equal(bytes, expected, size);
}

static void an_archive_in_a_record_is_nobodys_end(void **state)
{
	(void)state;
	/* Empty, and with a comment up to the end of the file. */
	uint8_t inner[22] = "PK\5\6";
	const size_t rest = 4 * 46 +
			    strlen("model/data.pkl"
				   "model/data/0"
				   "model/version"
				   "model/inner") +
			    22;
	cvq_put_u16(inner + 20, (uint16_t)rest);
	struct writing writing;
	open_writing(&writing);
	add_model(&writing, 300, 3);
	add(&writing,
	    (struct entry){.name = "model/inner", .data = inner, .size = sizeof(inner)});
	end_writing(&writing, 0);
	expect_conversion(&writing);
}

static void what_looks_like_an_end_in_the_directory_is_passed_through(void **state)
{
	(void)state;
	struct writing writing;
	open_writing(&writing);
	add_model(&writing, 300, 4);
	add(&writing, (struct entry){.name = "model/PK\5\6"});
	end_writing(&writing, 0);
	expect_reason(&writing, "more than one end");
}

/* ========================================================================== */
/*                               Large directories                            */
/* ========================================================================== */

#define TOO_MANY 1000001

/* A hole, of which the end record claims that it is a directory. */
static void claimed_entries_cost_nothing(void **state)
{
	(void)state;
	cleanup_buffer struct cvq_buffer end = {0};
	const uint64_t size = (uint64_t)TOO_MANY * 46;
	emit(&end, "PK\6\6\x2c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
	cvq_buffer_append_u64(&end, TOO_MANY);
	cvq_buffer_append_u64(&end, TOO_MANY);
	cvq_buffer_append_u64(&end, size);
	cvq_buffer_append_u64(&end, 64);
	emit(&end, "PK\6\7\0\0\0\0");
	cvq_buffer_append_u64(&end, 64 + size);
	emit(&end, "\1\0\0\0PK\5\6\0\0\0\0");
	cvq_buffer_append_fill(&end, 0xff, 12);
	cvq_buffer_append_u16(&end, 0);

	struct writing writing;
	open_writing(&writing);
	put(&writing, "PK\3\4", 4);
	writing.offset = 64 + size;
	put(&writing, end.data, end.length);
	expect_reason(&writing, "more than 1000000 entries");
}

/* An end record without zip64 can claim less than there are. */
static void entries_are_counted(void **state)
{
	(void)state;
	struct writing writing;
	open_writing(&writing);
	put(&writing, "PK\3\4", 4);
	for (int i = 0; i < TOO_MANY; i++)
		emit_entry(&writing.directory, &(struct entry){.name = "n"}, 0);
	writing.count = TOO_MANY % 65536;
	end_writing(&writing, 0);
	expect_reason(&writing, "more than 1000000 entries");
}

/* h * 33 + c is the same for "Bb" and "CA". */
static void make_colliding_name(int number, char *name)
{
	for (int bit = 0; bit < 20; bit++, name += 2)
		memcpy(name, number >> bit & 1 ? "Bb" : "CA", 3);
}

/* In no encoding that one could hash without libzip's help. */
static void make_unreadable_name(int number, char *name)
{
	snprintf(name, 41, "\xff%d", number);
}

static void names_that_collide_are_not_compared(void **state)
{
	(void)state;
	void (*const ways[])(int, char *) = {make_colliding_name, make_unreadable_name};
	for (int way = 0; way < 2; way++) {
		struct writing writing;
		open_writing(&writing);
		for (int i = 0; i < 20000; i++) {
			char name[41];
			ways[way](i, name);
			add(&writing, (struct entry){.name = name});
		}
		end_writing(&writing, 0);
		expect_reason(&writing, "have the same hash");
	}
}

/* As torch pads what has .storage_alignment 65536, but with less records. */
static void padding_of_many_records_is_no_fault(void **state)
{
	(void)state;
	struct writing writing;
	open_writing(&writing);
	add_model(&writing, 300, 5);
	for (int i = 0; i < 6500; i++) {
		char name[32];
		snprintf(name, sizeof(name), "model/extra/%d", i);
		add(&writing, (struct entry){.name = name, .padding = 65000});
	}
	end_writing(&writing, 0);
	expect_conversion(&writing);
}

/* ========================================================================== */
/*                                   Entries                                  */
/* ========================================================================== */

/* torch does not look at the name in the extra field, but libzip does. */
static void an_entry_has_one_name(void **state)
{
	(void)state;
	const char *const names[] = {"model/a", "model/b"};
	for (int other = 0; other < 2; other++) {
		struct writing writing;
		cleanup_buffer struct cvq_buffer extra = {0};
		emit(&extra, "up\x0c\0\1");
		cvq_buffer_append_u32(&extra, cvq_crc32(0, names[0], 7));
		cvq_buffer_append(&extra, names[other], 7);
		open_writing(&writing);
		add_model(&writing, 300, 6);
		add(&writing, (struct entry){.name = names[0],
					     .extra = extra.data,
					     .extra_length = (uint16_t)extra.length});
		end_writing(&writing, 0);
		if (other)
			expect_reason(&writing, "'model/a' has a second name");
		else
			expect_conversion(&writing);
	}
}

static void a_pickle_of_another_length_is_damaged(void **state)
{
	(void)state;
	const uint8_t deflated[] = {1, 3, 0, 0xfc, 0xff, 0x80, 2, '.'}; /* one block */
	for (uint32_t size = 2; size <= 4; size += 2) {
		struct writing writing;
		open_writing(&writing);
		add(&writing, (struct entry){.name = "model/data.pkl",
					     .data = deflated,
					     .deflated = true,
					     .packed = sizeof(deflated),
					     .size = size,
					     .crc = cvq_crc32(0, deflated + 5, 3)});
		add(&writing,
		    (struct entry){.name = "model/version", .data = "3\n", .size = 2});
		end_writing(&writing, 0);
		struct opened opened = {.fd = writing.fd};
		assert_int_equal(cvq_policy_init(&opened.policy), 0);
		assert_passed_through(&opened, "'model/data.pkl' is damaged");
		struct cvq_reason reason;
		assert_int_equal(plan(&opened, &reason), CVQ_ERR_CONTENT);
		assert_null(strstr(reason.text, "No error"));
		close_model(&opened);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_two_archives_the_one_that_ends_last_counts),
		cmocka_unit_test(an_archive_in_a_record_is_nobodys_end),
		cmocka_unit_test(what_looks_like_an_end_in_the_directory_is_passed_through),
		cmocka_unit_test(claimed_entries_cost_nothing),
		cmocka_unit_test(entries_are_counted),
		cmocka_unit_test(names_that_collide_are_not_compared),
		cmocka_unit_test(padding_of_many_records_is_no_fault),
		cmocka_unit_test(an_entry_has_one_name),
		cmocka_unit_test(a_pickle_of_another_length_is_damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
