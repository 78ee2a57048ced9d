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

ssize_t cvq_content_read(const struct cvq_content *content,
			 const struct cvq_version *version, struct cvq_counters *counters,
			 bool quickly, void *buffer, size_t length, uint64_t offset,
			 struct cvq_reason *reason)
{
	const struct cvq_source source = {
		.fd = content->fd, .counters = counters, .quickly = quickly};
	ssize_t got =
		content->image
			? cvq_image_read(content->image, &source, buffer, length, offset)
			: read_passed(&source, version->size, buffer, length, offset);
	if (quickly && got == -EAGAIN)
		return got;

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
