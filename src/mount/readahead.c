/* SPDX-License-Identifier: MIT */
#include "mount/readahead.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"

void cvq_read_ahead_raise(dev_t device)
{
	char path[64], text[16];
	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(device),
		 minor(device));
	cleanup_fd int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (length <= 0)
		return;
	text[length] = '\0';
	if (strtoul(text, NULL, 10) >= CVQ_READ_AHEAD_KIB)
		return;
	/* Where even root may not, all works as before. */
	int digits = snprintf(text, sizeof(text), "%d", CVQ_READ_AHEAD_KIB);
	if (pwrite(fd, text, (size_t)digits, 0) < 0)
		return;
}
