/* SPDX-License-Identifier: MIT */
#include "mount/check.h"

#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"

struct source {
	int directory;
	const struct cvq_policy *policy;
};

static int open_as_shown(void *context, const char *path)
{
	struct source *source = context;
	const struct cvq_alias *alias = cvq_policy_find_alias(source->policy, path);
	return cvq_package_open_at(&source->directory, alias ? alias->target : path);
}

cvq_err cvq_check_source(const char *directory, const struct cvq_policy *policy,
			 struct cvq_package_report *report)
{
	*report = (struct cvq_package_report){0};
	cleanup_fd int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	struct source source = {fd, policy};
	const struct cvq_package_files files = {open_as_shown, &source};
	return cvq_package_check(&files, report);
}
