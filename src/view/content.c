/* SPDX-License-Identifier: MIT */
#include "view/content.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

cvq_err cvq_content_copy(const struct cvq_content *content, struct cvq_content *copy)
{
	*copy = CVQ_NO_CONTENT;
	copy->fd = fcntl(content->fd, F_DUPFD_CLOEXEC, 0);
	if (copy->fd < 0)
		return -errno;
	copy->image = content->image ? cvq_image_ref(content->image) : NULL;
	return 0;
}

void cvq_content_close(struct cvq_content *content)
{
	cvq_image_unref(content->image);
	if (content->fd >= 0)
		close(content->fd);
	*content = CVQ_NO_CONTENT;
}

bool cvq_content_is_at_hand(const struct cvq_content *content, size_t length,
			    uint64_t offset)
{
	return !content->image || cvq_image_is_at_hand(content->image, length, offset);
}

static ssize_t read_passed(const struct cvq_source *source, uint64_t size, void *buffer,
			   size_t length, uint64_t offset)
{
	if (offset >= size)
		return 0;
	if (length > size - offset)
		length = (size_t)(size - offset);
	cvq_err err = cvq_source_read(source, buffer, length, offset);
	return err ? err : (ssize_t)length;
}

static cvq_err explain_failure(cvq_err err, struct cvq_reason *reason)
{
	switch (err) {
	case -ENOMEM:
		return cvq_explain(reason, -ENOMEM, "out of memory");
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		return cvq_explain(reason, -EIO,
				   "there is no space to inflate it (set TMPDIR to a "
				   "folder with more)");
	case -EBADMSG:
		return cvq_explain(reason, -EIO,
				   "one of its compressed entries is damaged");
	default:
		return cvq_explain(reason, -EIO, "cannot read the source: %s",
				   strerror(-err));
	}
}

static ssize_t read_content(const struct cvq_content *content,
			    const struct cvq_version *version,
			    const struct cvq_source *source, void *buffer, size_t length,
			    uint64_t offset)
{
	return content->image
		       ? cvq_image_read(content->image, source, buffer, length, offset)
		       : read_passed(source, version->size, buffer, length, offset);
}

ssize_t cvq_content_read(const struct cvq_content *content,
			 const struct cvq_version *version, struct cvq_counters *counters,
			 void *buffer, size_t length, uint64_t offset,
			 struct cvq_reason *reason)
{
	const struct cvq_source source = {.fd = content->fd, .counters = counters};
	ssize_t got = read_content(content, version, &source, buffer, length, offset);

	/* Looked at after reading, so that what was read is known to be one version. */
	struct stat now;
	if (fstat(content->fd, &now))
		return cvq_explain(reason, -EIO, "cannot look at the source: %s",
				   strerror(errno));
	if (!cvq_version_unmodified(version, &now))
		return cvq_explain(reason, -EIO,
				   "it was modified while it was open (open it again)");
	return got < 0 ? explain_failure((cvq_err)got, reason) : got;
}

/* By what a server last said of the file: it may not answer, and nothing was read there. */
static bool seems_unmodified(int fd, const struct cvq_version *version)
{
	struct statx known;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE | STATX_MTIME,
		  &known))
		return false;
	const struct stat now = {
		.st_size = (off_t)known.stx_size,
		.st_mtim = {known.stx_mtime.tv_sec, known.stx_mtime.tv_nsec},
	};
	return cvq_version_unmodified(version, &now);
}

ssize_t cvq_content_read_quickly(const struct cvq_content *content,
				 const struct cvq_version *version,
				 struct cvq_counters *counters, void *buffer, size_t length,
				 uint64_t offset)
{
	/* What does not succeed is done again, and counted then. */
	struct cvq_counters own = {0};
	const struct cvq_source source = {
		.fd = content->fd, .counters = &own, .quickly = true};
	ssize_t got = read_content(content, version, &source, buffer, length, offset);
	if (got < 0 || !seems_unmodified(content->fd, version))
		return -EAGAIN;
	atomic_fetch_add_explicit(&counters->bytes_read, own.bytes_read,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&counters->bytes_converted, own.bytes_converted,
				  memory_order_relaxed);
	return got;
}
