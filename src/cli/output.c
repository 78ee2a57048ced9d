/* SPDX-License-Identifier: MIT */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than killed runs leave behind, even if each has the same process id. */
#define MOST_NAMES 1000

/* Not made of the file's name, which may be as long as names may be. */
static char *temporary_path(const char *path, unsigned attempt)
{
	const char *slash = strrchr(path, '/');
	int folder_length = slash ? (int)(slash + 1 - path) : 0;
	char number[12] = "";
	if (attempt > 0)
		snprintf(number, sizeof(number), "-%u", attempt);
	char *temporary;
	if (asprintf(&temporary, "%.*s.cvq-%ld%s.part", folder_length, path, (long)getpid(),
		     number) < 0)
		return NULL;
	return temporary;
}

cvq_err cvq_output_begin(struct cvq_output *output, int folder, const char *path)
{
	*output = (struct cvq_output){.folder = folder, .path = path, .fd = -1};
	for (unsigned attempt = 0; attempt < MOST_NAMES; attempt++) {
		char *temporary = temporary_path(path, attempt);
		if (!temporary)
			return -ENOMEM;
		/* What has the name may be somebody else's, or a file of the source. */
		output->fd = openat(folder, temporary,
				    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (output->fd >= 0) {
			output->temporary = temporary;
			return 0;
		}
		cvq_err err = -errno;
		free(temporary);
		if (err != -EEXIST)
			return err;
	}
	return -EEXIST;
}

cvq_err cvq_output_finish(struct cvq_output *output, const struct stat *attributes)
{
	mode_t mode = attributes ? attributes->st_mode & 0777 : 0644;
	if (fchmod(output->fd, mode))
		return -errno;
	if (attributes) {
		const struct timespec times[] = {attributes->st_atim, attributes->st_mtim};
		if (futimens(output->fd, times))
			return -errno;
	}
	if (fsync(output->fd) ||
	    renameat(output->folder, output->temporary, output->folder, output->path))
		return -errno;
	free(output->temporary);
	output->temporary = NULL;
	return 0;
}

void cvq_output_release(struct cvq_output *output)
{
	if (output->fd >= 0)
		close(output->fd);
	if (output->temporary)
		unlinkat(output->folder, output->temporary, 0);
	free(output->temporary);
}
