/* SPDX-License-Identifier: MIT */
/*
 * Running ahead of readers
 *
 * Who reads a file from its start to its end waits for every request: the kernel
 * asks for 128 KiB, wakes us, and is woken by the answer.  So once a reader is seen
 * to go straight on, the thread that has answered him goes on too: it converts what
 * lies some way before him and stores it in the page cache, where he will find it
 * without asking.
 */
#ifndef CVQ_MOUNT_AHEAD_H
#define CVQ_MOUNT_AHEAD_H

#include <stdatomic.h>

#include "mount/fuse.h"
#include "mount/streams.h"
#include "view/content.h"

struct cvq_context;
struct cvq_handle;

struct cvq_ahead {
	struct fuse_session *session; /* set up before the first request ... */
	unsigned most;                /* ... and how many may run ahead at once */
	struct cvq_streams streams;
	_Atomic uint64_t bytes; /* stored before somebody asked for them */
};

/*
 * To be called when serving begins, with up to 'threads' threads.  A page that a reader
 * has asked for is locked until he is answered, and who would store it waits for that,
 * uninterruptibly.  So at least as many threads as run ahead never do.
 */
void cvq_ahead_init(struct cvq_ahead *ahead, struct fuse_session *session,
		    unsigned threads);
void cvq_ahead_release(struct cvq_ahead *ahead);

/* For good; returns when nobody runs ahead any more.  Requests must go on being served. */
void cvq_ahead_stop(struct cvq_ahead *ahead);

/* A run that was decided on. */
struct cvq_run {
	struct cvq_stream *stream; /* NULL if there is nothing to do */
	struct cvq_node *node;     /* one reference */
	struct cvq_content content;
};

/*
 * Takes notice of a request for 'length' bytes at 'offset' of 'handle', before it is
 * answered: with the answer, the handle may be gone.
 */
struct cvq_run cvq_ahead_note(struct cvq_context *context, const struct cvq_handle *handle,
			      uint64_t offset, size_t length);

/* Runs ahead, if that was decided; to be called after the request was answered. */
void cvq_ahead_run(struct cvq_context *context, struct cvq_run *run);

#endif
