/* SPDX-License-Identifier: MIT */
/*
 * A growable run of bytes
 *
 * Appending never fails visibly: if memory runs out the buffer remembers it and
 * ignores what follows, so a writer of many fields asks once, at the end.
 */
#ifndef CVQ_BASE_BUFFER_H
#define CVQ_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct cvq_buffer {
	uint8_t *data;
	size_t length;
	size_t capacity;
	cvq_err error; /* 0 or -ENOMEM */
};

void cvq_buffer_append(struct cvq_buffer *buffer, const void *data, size_t length);
void cvq_buffer_append_fill(struct cvq_buffer *buffer, uint8_t byte, size_t length);

/* Little-endian integers. */
void cvq_buffer_append_u16(struct cvq_buffer *buffer, uint16_t value);
void cvq_buffer_append_u32(struct cvq_buffer *buffer, uint32_t value);
void cvq_buffer_append_u64(struct cvq_buffer *buffer, uint64_t value);

void cvq_buffer_release(struct cvq_buffer *buffer);

#define cleanup_buffer cvq_cleanup(cvq_buffer_release)

/*
 * Makes room for one more element in an array that doubles as it grows.
 * 'array' is reallocated; '*capacity' counts elements.  Returns 0 or -ENOMEM.
 */
cvq_err cvq_grow(void **array, size_t *capacity, size_t count, size_t element_size);

#endif
