/* SPDX-License-Identifier: MIT */
#include "mount/ahead.h"

#include "base/threads.h"
#include "mount/context.h"
#include "mount/sourcecache.h"

void cvq_ahead_init(struct cvq_ahead *ahead, struct fuse_session *session, unsigned threads)
{
	unsigned processors = cvq_processors();
	unsigned most = threads / 2;
	if (processors < most)
		most = processors;
	ahead->session = session;
	ahead->most = most;
	cvq_streams_init(&ahead->streams);
}

void cvq_ahead_release(struct cvq_ahead *ahead)
{
	cvq_streams_release(&ahead->streams);
}

void cvq_ahead_stop(struct cvq_ahead *ahead)
{
	cvq_streams_stop(&ahead->streams);
}

struct cvq_run cvq_ahead_note(struct cvq_context *context, const struct cvq_handle *handle,
			      uint64_t offset, size_t length)
{
	struct cvq_ahead *ahead = &context->ahead;
	struct cvq_run run = {.content = CVQ_NO_CONTENT};
	run.stream = cvq_streams_note(&ahead->streams, ahead->most, handle->node->id,
				      offset, length);
	if (!run.stream)
		return run;
	/* However many run ahead, as many do not. */
	if (!cvq_serving_provide(&context->serving, 2 * ahead->most) ||
	    cvq_content_copy(&handle->content, &run.content)) {
		cvq_stream_stop(&ahead->streams, run.stream);
		run.stream = NULL;
		return run;
	}
	run.node = handle->node;
	cvq_node_ref(run.node);
	return run;
}

/* Leaves out what is not worth it yet.  Returns whether to go on. */
static bool store_piece(struct cvq_context *context, const struct cvq_run *run,
			void *buffer, uint64_t start, size_t length)
{
	const struct cvq_entry *entry = &run->node->entry;
	if (!cvq_content_is_at_hand(&run->content, length, start))
		return true;
	ssize_t got = cvq_view_read(context->view, entry, &run->content, buffer, length,
				    start, NULL);
	if (got != (ssize_t)length)
		return false; /* who asks for it will be told why */
	struct fuse_bufvec bytes = FUSE_BUFVEC_INIT(length);
	bytes.buf[0].mem = buffer;
	if (fuse_lowlevel_notify_store(context->ahead.session, run->node->id, (off_t)start,
				       &bytes, 0))
		return false; /* nobody knows the file any more */
	atomic_fetch_add(&context->ahead.bytes, length);
	cvq_source_cache_used(context, run->node, run->content.fd, length);
	return true;
}

void cvq_ahead_run(struct cvq_context *context, struct cvq_run *run)
{
	struct cvq_streams *streams = &context->ahead.streams;
	if (!run->stream)
		return;
	cvq_serving_leave(&context->serving);
	cleanup_answer struct cvq_answer *answer =
		cvq_answer_take(&context->buffers, CVQ_STREAM_PIECE);
	uint64_t size = (uint64_t)run->node->entry.attributes.st_size;
	bool going = answer != NULL;
	while (going) {
		uint64_t start;
		size_t length = cvq_stream_advance(streams, run->stream, size, &start);
		going = length > 0 &&
			store_piece(context, run, cvq_answer_bytes(answer), start, length);
	}
	/* Perhaps nobody else has the file open by now. */
	cvq_source_cache_closed(context, run->node, run->content.fd);
	cvq_stream_stop(streams, run->stream);
	cvq_content_close(&run->content);
	cvq_node_unref(run->node);
}
