/* SPDX-License-Identifier: MIT */
#include "mount/streams.h"

/* Shorter requests are of somebody who looks around, or who has just begun. */
#define SHORTEST_REQUEST (64u << 10)

/* Requests of one stream come from several threads, so not in their order. */
#define NEAR (4u << 20)

/* How far a reader must have come, and the most that is left to him and stored. */
#define STREAM_BYTES (2u << 20)
#define MOST_LEFT    (8u << 20)
#define MOST_STORED  (32u << 20)

void cvq_streams_init(struct cvq_streams *streams)
{
	*streams = (struct cvq_streams){0};
	pthread_mutex_init(&streams->mutex, NULL);
	pthread_cond_init(&streams->ended, NULL);
}

void cvq_streams_release(struct cvq_streams *streams)
{
	pthread_cond_destroy(&streams->ended);
	pthread_mutex_destroy(&streams->mutex);
}

static uint64_t minimum(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t maximum(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Whether a request at 'offset' may be the stream's: its reader comes from what he has
 * asked for, or from what was stored. */
static bool belongs(const struct cvq_stream *stream, uint64_t node, uint64_t offset)
{
	return stream->node == node && offset + NEAR >= stream->next &&
	       offset <= maximum(stream->next, stream->ahead) + NEAR;
}

/* The stream of a request; a new one takes the place of the one that is silent longest. */
static struct cvq_stream *find_stream(struct cvq_streams *streams, uint64_t node,
				      uint64_t offset)
{
	struct cvq_stream *oldest = NULL;
	for (unsigned i = 0; i < CVQ_STREAMS; i++) {
		struct cvq_stream *stream = &streams->list[i];
		if (belongs(stream, node, offset))
			return stream;
		if (!stream->running && (!oldest || stream->touched < oldest->touched))
			oldest = stream;
	}
	if (oldest)
		*oldest =
			(struct cvq_stream){.node = node, .begin = offset, .next = offset};
	return oldest;
}

static struct cvq_stream *note(struct cvq_streams *streams, unsigned most, uint64_t node,
			       uint64_t offset, size_t length)
{
	struct cvq_stream *stream = find_stream(streams, node, offset);
	if (!stream)
		return NULL;
	stream->begin = minimum(stream->begin, offset);
	stream->next = maximum(stream->next, offset + length);
	stream->touched = ++streams->clock;
	if (streams->stopped || stream->running || streams->running >= most ||
	    stream->next - stream->begin < STREAM_BYTES)
		return NULL;
	stream->running = true;
	streams->running++;
	return stream;
}

struct cvq_stream *cvq_streams_note(struct cvq_streams *streams, unsigned most,
				    uint64_t node, uint64_t offset, size_t length)
{
	if (length < SHORTEST_REQUEST)
		return NULL;
	pthread_mutex_lock(&streams->mutex);
	struct cvq_stream *stream = note(streams, most, node, offset, length);
	pthread_mutex_unlock(&streams->mutex);
	return stream;
}

/* Both grow with the stream, so that who stops soon has caused little. */
static uint64_t left_to_reader(const struct cvq_stream *stream)
{
	return minimum(stream->next - stream->begin, MOST_LEFT);
}

static uint64_t stored_at_most(const struct cvq_stream *stream)
{
	return minimum(2 * (stream->next - stream->begin), MOST_STORED);
}

static size_t advance(struct cvq_stream *stream, uint64_t size, uint64_t *start)
{
	uint64_t left = left_to_reader(stream);
	/* Not to meet the reader, who has come near, with every piece from now on. */
	if (stream->ahead < stream->next + left / 2)
		stream->ahead = stream->next + left;
	*start = stream->ahead;
	if (*start >= minimum(size, stream->next + left + stored_at_most(stream)))
		return 0;
	/* Pieces end at multiples of their size, and so with pages. */
	uint64_t length = CVQ_STREAM_PIECE - *start % CVQ_STREAM_PIECE;
	length = minimum(length, size - *start);
	stream->ahead += length;
	return (size_t)length;
}

size_t cvq_stream_advance(struct cvq_streams *streams, struct cvq_stream *stream,
			  uint64_t size, uint64_t *start)
{
	pthread_mutex_lock(&streams->mutex);
	size_t length = streams->stopped ? 0 : advance(stream, size, start);
	pthread_mutex_unlock(&streams->mutex);
	return length;
}

void cvq_stream_stop(struct cvq_streams *streams, struct cvq_stream *stream)
{
	pthread_mutex_lock(&streams->mutex);
	stream->running = false;
	streams->running--;
	pthread_cond_signal(&streams->ended);
	pthread_mutex_unlock(&streams->mutex);
}

void cvq_streams_stop(struct cvq_streams *streams)
{
	pthread_mutex_lock(&streams->mutex);
	streams->stopped = true;
	while (streams->running > 0)
		pthread_cond_wait(&streams->ended, &streams->mutex);
	pthread_mutex_unlock(&streams->mutex);
}
