/* SPDX-License-Identifier: MIT */
#include "base/source.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

static ssize_t read_some(const struct cvq_source *source, void *buffer, size_t length,
			 uint64_t offset)
{
	if (source->read)
		return source->read(source->context, buffer, length, offset);
	const struct iovec target = {.iov_base = buffer, .iov_len = length};
	ssize_t got = source->quickly
			      ? preadv2(source->fd, &target, 1, (off_t)offset, RWF_NOWAIT)
			      : pread(source->fd, buffer, length, (off_t)offset);
	return got < 0 ? -errno : got;
}

cvq_err cvq_source_read(const struct cvq_source *source, void *buffer, size_t length,
			uint64_t offset)
{
	char *target = buffer;
	size_t left = length;

	while (left > 0) {
		ssize_t got = read_some(source, target, left, offset);
		if (got == -EINTR)
			continue;
		if (got < 0)
			return (cvq_err)got;
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
