/* SPDX-License-Identifier: MIT */
#include "base/source.h"

#include <errno.h>
#include <unistd.h>

cvq_err cvq_source_read(const struct cvq_source *source, void *buffer, size_t length,
			uint64_t offset)
{
	char *target = buffer;
	size_t left = length;

	while (left > 0) {
		ssize_t got = pread(source->fd, target, left, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -ENODATA;
		target += got;
		offset += (uint64_t)got;
		left -= (size_t)got;
	}
	if (source->counters)
		atomic_fetch_add_explicit(&source->counters->bytes_read, length,
					  memory_order_relaxed);
	return 0;
}

cvq_err cvq_write_all(int fd, const void *buffer, size_t length, uint64_t offset)
{
	const char *data = buffer;

	while (length > 0) {
		ssize_t written = pwrite(fd, data, length, (off_t)offset);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		data += written;
		offset += (uint64_t)written;
		length -= (size_t)written;
	}
	return 0;
}
