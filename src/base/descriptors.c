/* SPDX-License-Identifier: MIT */
#include "base/descriptors.h"

#include <fcntl.h>
#include <unistd.h>

void cvq_fill_standard_descriptors(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR); /* for the programs that we start as well */
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int cvq_open_any(int folder, const char *path)
{
	return openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}
