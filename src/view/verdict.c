/* SPDX-License-Identifier: MIT */
#include "view/verdict.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

cvq_err cvq_verdict_create(struct cvq_image *image, const char *reason,
			   struct cvq_verdict **verdict)
{
	struct cvq_verdict *made = calloc(1, sizeof(*made));
	char *copy = reason ? strdup(reason) : NULL;
	if (!made || (reason && !copy)) {
		cvq_image_free(image);
		free(copy);
		free(made);
		return -ENOMEM;
	}
	atomic_init(&made->references, 1);
	made->image = image;
	made->reason = copy;
	*verdict = made;
	return 0;
}

struct cvq_verdict *cvq_verdict_ref(struct cvq_verdict *verdict)
{
	atomic_fetch_add_explicit(&verdict->references, 1, memory_order_relaxed);
	return verdict;
}

void cvq_verdict_unref(struct cvq_verdict *verdict)
{
	if (!verdict ||
	    atomic_fetch_sub_explicit(&verdict->references, 1, memory_order_acq_rel) > 1)
		return;
	cvq_image_free(verdict->image);
	free(verdict->reason);
	free(verdict);
}

char *cvq_verdict_describe(const struct cvq_verdict *verdict,
			   const struct cvq_policy *policy, uint64_t source_size,
			   const char *alias_of)
{
	json_t *info;

	if (verdict->image) {
		const struct cvq_image_summary *summary = cvq_image_summary(verdict->image);
		info = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "state", "converted",
				 "dtype", cvq_dtype_name(policy->dtype), "source_size",
				 (json_int_t)source_size, "view_size",
				 (json_int_t)summary->view_size, "storages",
				 (json_int_t)summary->storages, "converted_storages",
				 (json_int_t)summary->converted_storages);
	} else {
		/* How many storages such a file has, and of what, is not known. */
		info = json_pack("{s:s, s:s, s:n, s:I, s:I, s:n, s:i}", "state",
				 "passthrough", "reason", verdict->reason, "dtype",
				 "source_size", (json_int_t)source_size, "view_size",
				 (json_int_t)source_size, "storages", "converted_storages",
				 0);
	}
	if (alias_of)
		json_object_set_new(info, "alias_of", cvq_json_text(alias_of));
	char *text = info ? json_dumps(info, JSON_COMPACT) : NULL;
	json_decref(info);
	return text;
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

ssize_t cvq_verdict_read(const struct cvq_verdict *verdict,
			 const struct cvq_version *version, const struct cvq_source *source,
			 void *buffer, size_t length, uint64_t offset,
			 struct cvq_reason *reason)
{
	ssize_t got =
		verdict->image
			? cvq_image_read(verdict->image, source, buffer, length, offset)
			: read_passed(source, version->size, buffer, length, offset);

	/* Looked at after reading, so that what was read is known to be one version. */
	struct stat now;
	if (fstat(source->fd, &now))
		return cvq_explain(reason, -EIO, "cannot look at the source: %s",
				   strerror(errno));
	if (!cvq_version_unmodified(version, &now))
		return cvq_explain(reason, -EIO,
				   "it was modified while it was open (open it again)");
	return got < 0 ? explain_failure((cvq_err)got, reason) : got;
}
