/* SPDX-License-Identifier: MIT */
#include "mount/ahead.h"

#include <fcntl.h>
#include <unistd.h>

#include "mount/context.h"
#include "mount/sourcecache.h"

/* Shorter requests are of somebody who looks around, or who has just begun. */
#define SHORTEST_REQUEST (64u << 10)

/* Requests of one stream come from several threads, so not in their order. */
#define NEAR (4u << 20)

/* How far a reader must have come, and how much is then left to him and stored. */
#define STREAM_BYTES (2u << 20)
#define MOST_LEFT    (8u << 20)
#define MOST_STORED  (32u << 20)

/* What is stored at a time. */
#define PIECE_BYTES (256u << 10)

void cvq_ahead_init(struct cvq_ahead *ahead)
{
	*ahead = (struct cvq_ahead){0};
	pthread_mutex_init(&ahead->mutex, NULL);
}

void cvq_ahead_release(struct cvq_ahead *ahead)
{
	pthread_mutex_destroy(&ahead->mutex);
}

uint64_t cvq_ahead_bytes(struct cvq_ahead *ahead)
{
	pthread_mutex_lock(&ahead->mutex);
	uint64_t bytes = ahead->bytes;
	pthread_mutex_unlock(&ahead->mutex);
	return bytes;
}

void cvq_ahead_begin(struct cvq_ahead *ahead, struct fuse_session *session,
		     unsigned threads)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned most = threads / 2;
	ahead->most =
		processors > 0 && processors < (long)most ? (unsigned)processors : most;
	ahead->session = session;
}

/* ========================================================================== */
/*                                   Streams                                  */
/* ========================================================================== */

static uint64_t minimum(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t maximum(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Whether a request at 'offset' may be the stream's: its reader comes from what it has
 * asked for, or from what was stored. */
static bool belongs(const struct cvq_stream *stream, fuse_ino_t id, uint64_t offset)
{
	return stream->id == id && offset + NEAR >= stream->next &&
	       offset <= maximum(stream->next, stream->stored) + NEAR;
}

/* The stream of a request; a new one takes the place of the one that is silent longest. */
static struct cvq_stream *find_stream(struct cvq_ahead *ahead, fuse_ino_t id,
				      uint64_t offset)
{
	struct cvq_stream *oldest = NULL;
	for (unsigned i = 0; i < CVQ_STREAMS; i++) {
		struct cvq_stream *stream = &ahead->streams[i];
		if (belongs(stream, id, offset))
			return stream;
		if (!stream->running && (!oldest || stream->touched < oldest->touched))
			oldest = stream;
	}
	if (oldest)
		*oldest = (struct cvq_stream){.id = id, .begin = offset, .next = offset};
	return oldest;
}

/* Grows with the stream, so that who stops soon has caused little. */
static uint64_t left_to_reader(const struct cvq_stream *stream)
{
	return minimum(stream->next - stream->begin, MOST_LEFT);
}

static uint64_t stored_at_most(const struct cvq_stream *stream)
{
	return minimum(2 * (stream->next - stream->begin), MOST_STORED);
}

/* With the mutex held. */
static struct cvq_stream *note(struct cvq_ahead *ahead, fuse_ino_t id, uint64_t offset,
			       size_t length)
{
	struct cvq_stream *stream = find_stream(ahead, id, offset);
	if (!stream)
		return NULL;
	stream->next = maximum(stream->next, offset + length);
	stream->touched = ++ahead->clock;
	if (stream->running || ahead->running >= ahead->most ||
	    stream->next - stream->begin < STREAM_BYTES)
		return NULL;
	stream->running = true;
	ahead->running++;
	return stream;
}

static void stop(struct cvq_ahead *ahead, struct cvq_stream *stream)
{
	pthread_mutex_lock(&ahead->mutex);
	stream->running = false;
	ahead->running--;
	pthread_mutex_unlock(&ahead->mutex);
}

struct cvq_run cvq_ahead_note(struct cvq_ahead *ahead, const struct cvq_handle *handle,
			      uint64_t offset, size_t length)
{
	struct cvq_run run = {.fd = -1};
	if (length < SHORTEST_REQUEST || ahead->most == 0)
		return run;
	pthread_mutex_lock(&ahead->mutex);
	run.stream = note(ahead, handle->node->id, offset, length);
	pthread_mutex_unlock(&ahead->mutex);
	if (!run.stream)
		return run;

	run.fd = fcntl(handle->fd, F_DUPFD_CLOEXEC, 0);
	if (run.fd < 0) {
		stop(ahead, run.stream);
		run.stream = NULL;
		return run;
	}
	run.node = handle->node;
	cvq_node_ref(run.node);
	return run;
}

/* ========================================================================== */
/*                                   Running                                  */
/* ========================================================================== */

/* Where to go on, of a file of 'size' bytes.  Returns 0 when that is far enough. */
static size_t next_piece(struct cvq_ahead *ahead, struct cvq_stream *stream, uint64_t size,
			 uint64_t *start)
{
	size_t length = 0;
	pthread_mutex_lock(&ahead->mutex);
	uint64_t left = left_to_reader(stream);
	/* Not to meet the reader, who has come near, with every piece from now on. */
	if (stream->stored < stream->next + left / 2)
		stream->stored = stream->next + left;
	uint64_t end = minimum(size, stream->next + left + stored_at_most(stream));
	*start = stream->stored;
	if (*start < end) {
		/* Pieces begin at their multiples, and so do pages. */
		length = PIECE_BYTES - (size_t)(*start % PIECE_BYTES);
		length = (size_t)minimum(length, size - *start);
		stream->stored += length;
	}
	pthread_mutex_unlock(&ahead->mutex);
	return length;
}

static void count(struct cvq_ahead *ahead, size_t length)
{
	pthread_mutex_lock(&ahead->mutex);
	ahead->bytes += length;
	pthread_mutex_unlock(&ahead->mutex);
}

/* Leaves out what is not worth it yet.  Returns whether to go on. */
static bool store_piece(struct cvq_context *context, const struct cvq_run *run,
			void *buffer, uint64_t start, size_t length)
{
	if (!cvq_entry_is_at_hand(&run->node->entry, length, start))
		return true;
	ssize_t got = cvq_view_read(context->view, &run->node->entry, run->fd, buffer,
				    length, start, NULL);
	if (got != (ssize_t)length)
		return false; /* who asks for it will be told why */
	struct fuse_bufvec bytes = FUSE_BUFVEC_INIT(length);
	bytes.buf[0].mem = buffer;
	if (fuse_lowlevel_notify_store(context->ahead.session, run->node->id, (off_t)start,
				       &bytes, 0))
		return false; /* nobody knows the file any more */
	count(&context->ahead, length);
	cvq_source_cache_used(context, run->node, run->fd, length);
	return true;
}

void cvq_ahead_run(struct cvq_context *context, struct cvq_run *run)
{
	struct cvq_ahead *ahead = &context->ahead;
	if (!run->stream)
		return;
	cleanup_answer struct cvq_answer *answer =
		cvq_answer_take(&context->buffers, PIECE_BYTES);
	uint64_t size = (uint64_t)run->node->entry.attributes.st_size;
	bool going = answer != NULL;
	while (going) {
		uint64_t start;
		size_t length = next_piece(ahead, run->stream, size, &start);
		going = length > 0 &&
			store_piece(context, run, cvq_answer_bytes(answer), start, length);
	}
	stop(ahead, run->stream);
	close(run->fd);
	cvq_node_unref(run->node);
}
