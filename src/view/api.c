/* SPDX-License-Identifier: MIT */
/*
 * The public interface to one checkpoint: see cvq/cvq.h
 */
#include "cvq/cvq.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/descriptors.h"
#include "view/content.h"
#include "view/decide.h"

struct cvq_file {
	struct cvq_content content;
	struct cvq_version version;
	struct cvq_verdict *verdict;
	struct cvq_policy policy;
};

static bool options_in_range(const struct cvq_options *options)
{
	/* A larger struct is from a later version, with wishes that we do not know; there
	 * is no earlier version whose struct is smaller. */
	return options->sizeof_options == sizeof(*options) &&
	       (unsigned)options->dtype <= CVQ_BF16 &&
	       (unsigned)options->overflow <= CVQ_OVERFLOW_CLAMP &&
	       (unsigned)options->checksum <= CVQ_CHECKSUM_NONE &&
	       (options->align == 0 || cvq_policy_aligns_by(options->align));
}

static cvq_err policy_from_options(struct cvq_policy *policy,
				   const struct cvq_options *options)
{
	policy->dtype = options->dtype;
	policy->overflow = options->overflow;
	policy->checksum = options->checksum;
	policy->align = options->align;
	for (const char *const *name = options->keep_tensors; name && *name; name++) {
		cvq_err err = cvq_policy_set(policy, "keep-tensor", *name, NULL);
		if (err)
			return err;
	}
	return 0;
}

static cvq_err open_file(struct cvq_file *file, const char *path,
			 const struct cvq_options *options)
{
	cvq_err err = cvq_policy_init(&file->policy);
	err = err ? err : policy_from_options(&file->policy, options);
	if (err)
		return err;

	file->content.fd = cvq_open_any(AT_FDCWD, path);
	const struct cvq_source source = {.fd = file->content.fd};
	struct stat attributes;
	if (source.fd < 0)
		return -errno;
	err = -EAGAIN;
	for (int waits = 0; err == -EAGAIN; waits++)
		err = cvq_stat_settled(source.fd, waits < CVQ_MOST_WAITS, &attributes);
	if (err)
		return err;
	if (!S_ISREG(attributes.st_mode))
		return S_ISDIR(attributes.st_mode) ? -EISDIR : -ESPIPE;

	err = cvq_decide_content(&source, &file->policy, &attributes, &file->verdict,
				 &file->content.image);
	if (err)
		return err == -ESTALE ? -EIO : err; /* somebody is writing it right now */
	file->version = cvq_version_of(&attributes);
	return 0;
}

int cvq_open(const char *path, const struct cvq_options *options, struct cvq_file **file)
{
	const struct cvq_options defaults = CVQ_OPTIONS_DEFAULT;
	if (!options)
		options = &defaults;
	if (!options_in_range(options))
		return -EINVAL;

	struct cvq_file *made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->content = CVQ_NO_CONTENT;
	cvq_err err = open_file(made, path, options);
	if (err) {
		cvq_close(made);
		return err;
	}
	*file = made;
	return 0;
}

void cvq_close(struct cvq_file *file)
{
	if (!file)
		return;
	cvq_verdict_unref(file->verdict);
	cvq_policy_release(&file->policy);
	cvq_content_close(&file->content);
	free(file);
}

uint64_t cvq_size(const struct cvq_file *file)
{
	return file->verdict->converted ? file->verdict->summary.view_size
					: file->version.size;
}

const char *cvq_reason(const struct cvq_file *file)
{
	return file->verdict->reason;
}

ssize_t cvq_read(struct cvq_file *file, void *buffer, size_t count, uint64_t offset)
{
	return cvq_content_read(&file->content, &file->version, NULL, buffer, count, offset,
				NULL);
}

char *cvq_describe(const struct cvq_file *file)
{
	return cvq_verdict_describe(file->verdict, &file->policy, file->version.size, NULL);
}
