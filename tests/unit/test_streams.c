/* SPDX-License-Identifier: MIT */
/*
 * Streams: who is run ahead of, how far, and who is not
 */
#include <errno.h>

#include "fixture.h"
#include "mount/streams.c" // NOLINT(bugprone-suspicious-include): for left_to_reader()

#define REQUEST  (128u << 10)
#define MEBIBYTE (1u << 20)
#define MOST     2u
#define FILE_END (100ull * MEBIBYTE)

static int set_up(void **state)
{
	static struct cvq_streams streams;
	cvq_streams_init(&streams);
	*state = &streams;
	return 0;
}

static int tear_down(void **state)
{
	cvq_streams_release(*state);
	return 0;
}

/* Asks for all from 'from' to 'to'.  Returns the first stream to run ahead of. */
static struct cvq_stream *go_on(struct cvq_streams *streams, uint64_t node, uint64_t from,
				uint64_t to)
{
	struct cvq_stream *found = NULL;
	for (uint64_t offset = from; offset < to; offset += REQUEST) {
		struct cvq_stream *stream =
			cvq_streams_note(streams, MOST, node, offset, REQUEST);
		found = found ? found : stream;
	}
	return found;
}

/* Runs ahead as far as it goes.  Returns how many bytes that were; and where it began. */
static uint64_t run(struct cvq_streams *streams, struct cvq_stream *stream, uint64_t *first)
{
	uint64_t start, bytes = 0;
	for (size_t length;
	     (length = cvq_stream_advance(streams, stream, FILE_END, &start));
	     bytes += length) {
		if (bytes == 0)
			*first = start;
		assert_true(length <= CVQ_STREAM_PIECE);
		assert_int_equal(start, *first + bytes);
		assert_int_equal(start % 4096, 0);
	}
	return bytes;
}

static void nobody_is_run_ahead_of_before_he_has_come_some_way(void **state)
{
	assert_null(go_on(*state, 7, 0, STREAM_BYTES - REQUEST));
	assert_non_null(go_on(*state, 7, STREAM_BYTES - REQUEST, STREAM_BYTES));
}

static void requests_may_come_out_of_order_and_twice(void **state)
{
	for (uint64_t offset = 0; offset < STREAM_BYTES - REQUEST;
	     offset += 2ull * REQUEST) {
		assert_null(
			cvq_streams_note(*state, MOST, 7, offset + REQUEST, REQUEST / 2));
		assert_null(cvq_streams_note(*state, MOST, 7, offset, REQUEST));
		assert_null(cvq_streams_note(*state, MOST, 7, offset, REQUEST));
	}
	assert_non_null(go_on(*state, 7, STREAM_BYTES - REQUEST, STREAM_BYTES));
}

static void who_jumps_about_or_reads_little_is_left_alone(void **state)
{
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t offset = i * 7919 % 1000 * 16 * MEBIBYTE;
		assert_null(cvq_streams_note(*state, MOST, 7, offset, REQUEST));
	}
	for (uint64_t offset = 0; offset < FILE_END; offset += 4096)
		assert_null(cvq_streams_note(*state, MOST, 8, offset, 4096));
}

static void jumps_of_others_do_not_end_a_stream(void **state)
{
	struct cvq_stream *found = NULL;
	for (uint64_t i = 0; i < 16 && !found; i++) {
		found = cvq_streams_note(*state, MOST, 7, i * REQUEST, REQUEST);
		for (uint64_t other = 1; other < CVQ_STREAMS; other++)
			cvq_streams_note(*state, MOST, 8, (i * 64 + other) * 16 * MEBIBYTE,
					 REQUEST);
	}
	assert_non_null(found);
}

static void the_reader_is_left_what_is_nearest(void **state)
{
	uint64_t first;
	struct cvq_stream *stream = go_on(*state, 7, 0, STREAM_BYTES);
	assert_non_null(stream);
	uint64_t bytes = run(*state, stream, &first);
	assert_int_equal(first, 2 * STREAM_BYTES);
	assert_int_equal(bytes, 2 * STREAM_BYTES);
	cvq_stream_stop(*state, stream);
}

static void how_far_it_goes_grows_and_ends(void **state)
{
	uint64_t first;
	go_on(*state, 7, 0, 40ull * MEBIBYTE);
	struct cvq_stream *stream = &((struct cvq_streams *)*state)->list[0];
	uint64_t bytes = run(*state, stream, &first);
	assert_int_equal(first, 40ull * MEBIBYTE + MOST_LEFT);
	assert_int_equal(bytes, MOST_STORED);
	cvq_stream_stop(*state, stream);

	/* He has read what was stored, and asks for what is behind it. */
	uint64_t behind = first + bytes;
	assert_ptr_equal(go_on(*state, 7, behind, behind + REQUEST), stream);
	bytes = run(*state, stream, &first);
	assert_int_equal(first, behind + REQUEST + MOST_LEFT);
	assert_int_equal(first + bytes, FILE_END);
	cvq_stream_stop(*state, stream);
}

static void who_is_caught_up_with_jumps_ahead(void **state)
{
	uint64_t start;
	struct cvq_stream *stream = go_on(*state, 7, 0, STREAM_BYTES);
	assert_true(cvq_stream_advance(*state, stream, FILE_END, &start) > 0);
	assert_null(go_on(*state, 7, STREAM_BYTES, start + MEBIBYTE)); /* one is enough */
	assert_true(cvq_stream_advance(*state, stream, FILE_END, &start) > 0);
	assert_int_equal(start, stream->next + left_to_reader(stream));
	cvq_stream_stop(*state, stream);
}

static void no_more_run_than_may(void **state)
{
	struct cvq_stream *first = go_on(*state, 7, 0, STREAM_BYTES);
	struct cvq_stream *second = go_on(*state, 8, 0, STREAM_BYTES);
	assert_true(first && second && first != second);
	assert_null(go_on(*state, 9, 0, 4ull * STREAM_BYTES));
	cvq_stream_stop(*state, first);
	assert_non_null(go_on(*state, 9, 4ull * STREAM_BYTES, 5ull * STREAM_BYTES));
	/* Those that run are never forgotten. */
	for (uint64_t node = 10; node < 100; node++)
		cvq_streams_note(*state, MOST, node, 0, REQUEST);
	assert_true(second->running && second->node == 8);
}

static void none_may_where_all_threads_are_needed(void **state)
{
	for (uint64_t offset = 0; offset < FILE_END; offset += REQUEST)
		assert_null(cvq_streams_note(*state, 0, 7, offset, REQUEST));
}

static void *stop(void *streams)
{
	cvq_streams_stop(streams);
	return NULL;
}

static void stopping_waits_for_those_who_run(void **state)
{
	struct cvq_streams *streams = *state;
	struct cvq_stream *stream = go_on(streams, 7, 0, 2ull * STREAM_BYTES);
	uint64_t start;
	assert_true(cvq_stream_advance(streams, stream, FILE_END, &start) > 0);

	pthread_t stopper;
	assert_int_equal(pthread_create(&stopper, NULL, stop, streams), 0);
	while (cvq_stream_advance(streams, stream, UINT64_MAX, &start) > 0)
		stream->next += CVQ_STREAM_PIECE; /* its reader goes on */
	assert_int_equal(pthread_tryjoin_np(stopper, NULL), EBUSY);
	cvq_stream_stop(streams, stream);
	assert_int_equal(pthread_join(stopper, NULL), 0);
	assert_null(go_on(streams, 8, 0, FILE_END));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_is_run_ahead_of_before_he_has_come_some_way),
		TEST(requests_may_come_out_of_order_and_twice),
		TEST(who_jumps_about_or_reads_little_is_left_alone),
		TEST(jumps_of_others_do_not_end_a_stream),
		TEST(the_reader_is_left_what_is_nearest),
		TEST(how_far_it_goes_grows_and_ends),
		TEST(who_is_caught_up_with_jumps_ahead),
		TEST(no_more_run_than_may),
		TEST(none_may_where_all_threads_are_needed),
		TEST(stopping_waits_for_those_who_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
