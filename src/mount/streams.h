/* SPDX-License-Identifier: MIT */
/*
 * Streams: who goes straight on through a file, and how far ahead of him to run
 *
 * The reader is left what is nearest.  Requests for that are under way already, and
 * so he and who runs ahead work at the same time, but never on the same pages.
 */
#ifndef CVQ_MOUNT_STREAMS_H
#define CVQ_MOUNT_STREAMS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CVQ_STREAMS 16 /* that are followed at once */

/* One reader, or several who keep together, going through a file. */
struct cvq_stream {
	uint64_t node;    /* its id; 0 in an unused stream */
	uint64_t begin;   /* where it began ... */
	uint64_t next;    /* ... and how far its requests have got, over what was stored */
	uint64_t ahead;   /* how far somebody has ever run ahead of it, or 0 */
	uint64_t touched; /* when it was last heard of */
	bool running;     /* somebody runs ahead of it */
};

struct cvq_streams {
	pthread_mutex_t mutex; /* guards the rest */
	pthread_cond_t ended;  /* signalled when a run ends */
	bool stopped;
	unsigned running;
	uint64_t clock; /* counts requests */
	struct cvq_stream list[CVQ_STREAMS];
};

void cvq_streams_init(struct cvq_streams *streams);
void cvq_streams_release(struct cvq_streams *streams);

/*
 * Takes notice of a request for 'length' bytes at 'offset' of a node.  Returns its stream
 * if it is time to run ahead of it and fewer than 'most' are being run ahead of; the
 * caller then calls cvq_stream_advance() until it returns 0, and cvq_stream_stop().
 * Else returns NULL.
 */
struct cvq_stream *cvq_streams_note(struct cvq_streams *streams, unsigned most,
				    uint64_t node, uint64_t offset, size_t length);

#define CVQ_STREAM_PIECE (256u << 10)

/*
 * What comes next, of a file of 'size' bytes: returns its length, at most
 * CVQ_STREAM_PIECE, and where it begins; or 0 if that was far enough.
 */
size_t cvq_stream_advance(struct cvq_streams *streams, struct cvq_stream *stream,
			  uint64_t size, uint64_t *start);

void cvq_stream_stop(struct cvq_streams *streams, struct cvq_stream *stream);

/* Nobody runs ahead from now on; returns when the last one has stopped. */
void cvq_streams_stop(struct cvq_streams *streams);

#endif
