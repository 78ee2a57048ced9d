/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"

static bool reserve(struct cvq_buffer *buffer, size_t more)
{
	if (buffer->error)
		return false;
	if (more <= buffer->capacity - buffer->length)
		return true;
	size_t capacity = buffer->capacity ? buffer->capacity : 64;
	while (capacity - buffer->length < more) {
		if (capacity > SIZE_MAX / 2) {
			buffer->error = -ENOMEM;
			return false;
		}
		capacity *= 2;
	}
	uint8_t *data = realloc(buffer->data, capacity);
	if (!data) {
		buffer->error = -ENOMEM;
		return false;
	}
	buffer->data = data;
	buffer->capacity = capacity;
	return true;
}

void cvq_buffer_append(struct cvq_buffer *buffer, const void *data, size_t length)
{
	if (length == 0 || !reserve(buffer, length))
		return;
	memcpy(buffer->data + buffer->length, data, length);
	buffer->length += length;
}

void cvq_buffer_append_fill(struct cvq_buffer *buffer, uint8_t byte, size_t length)
{
	if (length == 0 || !reserve(buffer, length))
		return;
	memset(buffer->data + buffer->length, byte, length);
	buffer->length += length;
}

void cvq_buffer_append_u16(struct cvq_buffer *buffer, uint16_t value)
{
	uint8_t bytes[2];
	cvq_put_u16(bytes, value);
	cvq_buffer_append(buffer, bytes, sizeof(bytes));
}

void cvq_buffer_append_u32(struct cvq_buffer *buffer, uint32_t value)
{
	uint8_t bytes[4];
	cvq_put_u32(bytes, value);
	cvq_buffer_append(buffer, bytes, sizeof(bytes));
}

void cvq_buffer_append_u64(struct cvq_buffer *buffer, uint64_t value)
{
	uint8_t bytes[8];
	cvq_put_u64(bytes, value);
	cvq_buffer_append(buffer, bytes, sizeof(bytes));
}

void cvq_buffer_release(struct cvq_buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct cvq_buffer){0};
}

cvq_err cvq_grow(void **array, size_t *capacity, size_t count, size_t element_size)
{
	if (count < *capacity)
		return 0;
	size_t wanted = *capacity ? *capacity * 2 : 16;
	void *grown = reallocarray(*array, wanted, element_size);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*capacity = wanted;
	return 0;
}
