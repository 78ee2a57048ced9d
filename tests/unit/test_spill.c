/* SPDX-License-Identifier: MIT */
/*
 * Compressed records: how many may be inflated, and how often each is
 */
#include "images.h"

#include <signal.h>
#include <sys/resource.h>

#include "checkpoint/archive.h"

#define NUMEL 70001

static const struct vector model[] = {
	{"weight", "FloatStorage", NUMEL, 4},
	{NULL, NULL, 0, 0},
};

/* ========================================================================== */
/*                                    Limits                                  */
/* ========================================================================== */

static struct cvq_spill *make_spill(struct cvq_source *source)
{
	struct cvq_archive *archive;
	struct cvq_spill *spill;
	struct cvq_reason reason;
	*source = (struct cvq_source){.fd = make_checkpoint(model, ZIP_CM_DEFLATE)};
	assert_int_equal(cvq_archive_open(source, file_size(source->fd), &archive, &reason),
			 0);
	assert_int_equal(cvq_spill_create(archive, &spill), 0);
	return spill;
}

static void records_come_to_16_gib_and_no_more(void **state)
{
	(void)state;
	struct cvq_source source;
	struct cvq_spill *spill = make_spill(&source);
	struct cvq_reason reason;
	struct cvq_record whole = {.size = (uint64_t)16 << 30};
	struct cvq_record larger = {.size = whole.size + 1};
	struct cvq_record one = {.size = 1};
	struct cvq_record none = {.size = 0};
	assert_int_equal(cvq_spill_add(spill, 0, &larger, &reason), CVQ_ERR_CONTENT);
	assert_non_null(strstr(reason.text, "more than 16 GiB"));
	assert_int_equal(cvq_spill_add(spill, 0, &whole, &reason), 0);
	assert_int_equal(whole.offset, CVQ_SPILL_START);
	assert_int_equal(cvq_spill_add(spill, 1, &one, &reason), CVQ_ERR_CONTENT);
	assert_int_equal(cvq_spill_add(spill, 1, &none, &reason), 0);
	cvq_spill_free(spill);
	close(source.fd);
}

/* ========================================================================== */
/*                                  Inflating                                 */
/* ========================================================================== */

static void open_deflated(struct opened *opened)
{
	struct cvq_reason reason = {""};
	*opened = (struct opened){.fd = make_checkpoint(model, ZIP_CM_DEFLATE)};
	assert_int_equal(cvq_policy_init(&opened->policy), 0);
	if (plan(opened, &reason))
		fail_msg("not converted: %s", reason.text);
}

/* Reads two numbers of the record. */
static cvq_err read_some(struct opened *opened)
{
	uint8_t bytes[4];
	ssize_t got = cvq_image_read(opened->image, &opened->source, bytes, sizeof(bytes),
				     opened->size / 2);
	return got < 0 ? (cvq_err)got : 0;
}

static uint64_t bytes_read(struct opened *opened)
{
	return atomic_load(&opened->counters.bytes_read);
}

static void a_record_is_inflated_once(void **state)
{
	(void)state;
	struct opened opened;
	open_deflated(&opened);
	uint64_t before = bytes_read(&opened);
	assert_int_equal(read_some(&opened), 0);
	uint64_t after = bytes_read(&opened);
	assert_true(after - before > NUMEL);
	free(read_whole(&opened));
	/* Of the file itself, small records and no more than that. */
	assert_true(bytes_read(&opened) - after < 1000);
	close_model(&opened);
}

static void a_damaged_record_is_inflated_once(void **state)
{
	(void)state;
	struct opened opened;
	open_deflated(&opened);
	assert_int_equal(pwrite(opened.fd, "damage!!", 8, 100000), 8);
	assert_int_equal(read_some(&opened), -EBADMSG);
	uint64_t after = bytes_read(&opened);
	assert_int_equal(read_some(&opened), -EBADMSG);
	assert_int_equal(bytes_read(&opened), after);
	close_model(&opened);
}

static void without_room_nothing_is_inflated_until_there_is_some(void **state)
{
	(void)state;
	struct rlimit limit, small;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = (struct rlimit){.rlim_cur = NUMEL * 4 - 1, .rlim_max = limit.rlim_max};
	struct opened opened;
	open_deflated(&opened);
	uint64_t before = bytes_read(&opened);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(read_some(&opened), -EFBIG);
	assert_int_equal(bytes_read(&opened), before);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(read_some(&opened), 0);
	close_model(&opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_to_16_gib_and_no_more),
		cmocka_unit_test(a_record_is_inflated_once),
		cmocka_unit_test(a_damaged_record_is_inflated_once),
		cmocka_unit_test(without_room_nothing_is_inflated_until_there_is_some),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
