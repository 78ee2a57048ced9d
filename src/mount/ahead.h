/* SPDX-License-Identifier: MIT */
/*
 * Running ahead of readers
 *
 * Who reads a file from its start to its end waits for every request: the kernel
 * asks for 128 KiB, wakes us, and is woken by the answer.  So once a reader is seen
 * to go straight on, the thread that has answered him goes on too: it converts what
 * lies some way before him and stores it in the page cache, where he will find it
 * without asking.
 *
 * The reader is left what is nearest.  Requests for that are under way already, and
 * so he and we work at the same time, but never on the same pages.
 */
#ifndef CVQ_MOUNT_AHEAD_H
#define CVQ_MOUNT_AHEAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "mount/fuse.h"

struct cvq_context;
struct cvq_handle;

#define CVQ_STREAMS 16

/* One reader, or several who keep together, going through a file. */
struct cvq_stream {
	fuse_ino_t id;    /* of the node; 0 in an unused stream */
	uint64_t begin;   /* where it began ... */
	uint64_t next;    /* ... and how far its requests have got */
	uint64_t stored;  /* the end of what was stored before it, or 0 */
	uint64_t touched; /* when it was last heard of */
	bool running;     /* somebody runs ahead of it */
};

struct cvq_ahead {
	/* Set up before the first request: */
	struct fuse_session *session;
	unsigned most; /* threads that may run ahead at once */
	/* The rest is guarded by the mutex, which is never held across I/O: */
	pthread_mutex_t mutex;
	unsigned running;
	uint64_t bytes; /* stored so far */
	uint64_t clock; /* counts requests */
	struct cvq_stream streams[CVQ_STREAMS];
};

void cvq_ahead_init(struct cvq_ahead *ahead);
void cvq_ahead_release(struct cvq_ahead *ahead);

/* How many bytes were stored before somebody asked for them. */
uint64_t cvq_ahead_bytes(struct cvq_ahead *ahead);

/*
 * To be called when serving begins.  Of 'threads' that serve, enough are left to answer
 * requests: a page that one of them is asked for is locked until it is answered.
 */
void cvq_ahead_begin(struct cvq_ahead *ahead, struct fuse_session *session,
		     unsigned threads);

/* A run that was decided on. */
struct cvq_run {
	struct cvq_stream *stream; /* NULL if there is nothing to do */
	struct cvq_node *node;     /* one reference */
	int fd;                    /* the file, open */
};

/*
 * Takes notice of a request for 'length' bytes at 'offset' of 'handle', before it is
 * answered: with the answer, the handle may be gone.
 */
struct cvq_run cvq_ahead_note(struct cvq_ahead *ahead, const struct cvq_handle *handle,
			      uint64_t offset, size_t length);

/* Runs ahead, if that was decided; to be called after the request was answered. */
void cvq_ahead_run(struct cvq_context *context, struct cvq_run *run);

#endif
