/* SPDX-License-Identifier: MIT */
/*
 * Memory for answers
 *
 * Whoever asks is given what was given back last, by whatever thread: the kernel
 * wakes threads in turn, and memory of their own would be cold whenever it is
 * needed.  To map and unmap it every time would cost more than to fill it.
 */
#ifndef CVQ_MOUNT_BUFFERS_H
#define CVQ_MOUNT_BUFFERS_H

#include <pthread.h>
#include <stddef.h>

#include "base/cleanup.h"

struct cvq_answer; /* a buffer; its bytes are found by cvq_answer_bytes() */

struct cvq_buffers {
	pthread_mutex_t mutex;
	struct cvq_answer *free; /* guarded by the mutex */
};

void cvq_buffers_init(struct cvq_buffers *buffers);

/* Nobody may hold a buffer any more. */
void cvq_buffers_release(struct cvq_buffers *buffers);

/* A buffer of at least 'size' bytes, aligned to 64; NULL if memory ran out. */
struct cvq_answer *cvq_answer_take(struct cvq_buffers *buffers, size_t size);
void *cvq_answer_bytes(struct cvq_answer *answer);
void cvq_answer_give_back(struct cvq_answer *answer);

static inline void cvq_answer_cleanup(struct cvq_answer **answer)
{
	if (*answer)
		cvq_answer_give_back(*answer);
}

#define cleanup_answer cvq_cleanup(cvq_answer_cleanup)

#endif
