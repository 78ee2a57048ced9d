/* SPDX-License-Identifier: MIT */
#include "mount/buffers.h"

#include <stdlib.h>

/* The most that the kernel asks for by default: so hardly any buffer is ever too small.
 * Memory that nobody has written to costs nothing. */
#define LEAST_BYTES (1u << 20)

struct cvq_answer {
	struct cvq_buffers *buffers; /* where it belongs */
	struct cvq_answer *next;
	size_t size;
	_Alignas(64) char bytes[];
};

void cvq_buffers_init(struct cvq_buffers *buffers)
{
	*buffers = (struct cvq_buffers){0};
	pthread_mutex_init(&buffers->mutex, NULL);
}

void cvq_buffers_release(struct cvq_buffers *buffers)
{
	while (buffers->free) {
		struct cvq_answer *answer = buffers->free;
		buffers->free = answer->next;
		free(answer);
	}
	pthread_mutex_destroy(&buffers->mutex);
}

struct cvq_answer *cvq_answer_take(struct cvq_buffers *buffers, size_t size)
{
	pthread_mutex_lock(&buffers->mutex);
	struct cvq_answer *answer = buffers->free;
	if (answer)
		buffers->free = answer->next;
	pthread_mutex_unlock(&buffers->mutex);
	if (answer && answer->size >= size)
		return answer;

	free(answer);
	size = size < LEAST_BYTES ? LEAST_BYTES : (size + 63) & ~(size_t)63;
	answer = aligned_alloc(64, sizeof(*answer) + size);
	if (answer) {
		answer->buffers = buffers;
		answer->size = size;
	}
	return answer;
}

void *cvq_answer_bytes(struct cvq_answer *answer)
{
	return answer->bytes;
}

void cvq_answer_give_back(struct cvq_answer *answer)
{
	struct cvq_buffers *buffers = answer->buffers;
	pthread_mutex_lock(&buffers->mutex);
	answer->next = buffers->free;
	buffers->free = answer;
	pthread_mutex_unlock(&buffers->mutex);
}
