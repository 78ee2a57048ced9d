/* SPDX-License-Identifier: MIT */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

cvq_err cvq_output_begin(struct cvq_output *output, int folder, const char *path)
{
	*output = (struct cvq_output){.folder = folder, .path = path, .fd = -1};
	const char *slash = strrchr(path, '/');
	int folder_length = slash ? (int)(slash + 1 - path) : 0;
	/* Not made of the file's name, which may be as long as names may be. */
	if (asprintf(&output->temporary, "%.*s.cvq-%ld.part", folder_length, path,
		     (long)getpid()) < 0) {
		output->temporary = NULL;
		return -ENOMEM;
	}
	output->fd = openat(folder, output->temporary,
			    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	return output->fd < 0 ? -errno : 0;
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
