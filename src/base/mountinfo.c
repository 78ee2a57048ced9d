/* SPDX-License-Identifier: MIT */
#include "base/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* The kernel writes blanks, line breaks and backslashes in paths as \ooo. */
static void unescape(char *text)
{
	char *to = text;
	for (const char *from = text; *from;) {
		if (from[0] == '\\' && is_octal(from[1]) && is_octal(from[2]) &&
		    is_octal(from[3])) {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
				       (from[3] - '0'));
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

/*
 * ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [OPTIONAL...] - TYPE SOURCE OPTIONS
 */
static bool parse_line(char *line, char **mountpoint, struct cvq_mounted *mounted)
{
	char *type = strstr(line, " - ");
	char *fields[5];
	char *rest = line;

	if (!type)
		return false;
	for (int i = 0; i < 5; i++)
		if (!(fields[i] = strsep(&rest, " ")))
			return false;
	unsigned device_major;
	unsigned device_minor;
	if (sscanf(fields[0], "%d", &mounted->id) != 1 ||
	    sscanf(fields[2], "%u:%u", &device_major, &device_minor) != 2 ||
	    sscanf(type, " - %63s", mounted->type) != 1)
		return false;
	mounted->device = makedev(device_major, device_minor);
	mounted->whole = strcmp(fields[3], "/") == 0;
	*mountpoint = fields[4];
	unescape(*mountpoint);
	return true;
}

bool cvq_mounted_is_view(const struct cvq_mounted *mounted)
{
	return strcmp(mounted->type, "fuse." CVQ_SUBTYPE) == 0;
}

cvq_err cvq_mounts_open(struct cvq_mounts *mounts)
{
	*mounts = (struct cvq_mounts){.file = fopen("/proc/self/mountinfo", "re")};
	return mounts->file ? 0 : -errno;
}

void cvq_mounts_close(struct cvq_mounts *mounts)
{
	if (mounts->file)
		fclose(mounts->file);
	free(mounts->line);
}

const char *cvq_mounts_next(struct cvq_mounts *mounts, struct cvq_mounted *mounted)
{
	char *mountpoint;
	while (getline(&mounts->line, &mounts->size, mounts->file) > 0)
		if (parse_line(mounts->line, &mountpoint, mounted))
			return mountpoint;
	return NULL;
}

int cvq_mounted_id(int fd)
{
	char path[64];
	char text[256];
	int id;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	cleanup_fd int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
	if (length < 0)
		return -errno;
	text[length] = '\0';
	const char *line = strstr(text, "mnt_id:");
	return line && sscanf(line, "mnt_id: %d", &id) == 1 ? id : -ENOTSUP;
}

int cvq_mounted_hold(const char *path, struct cvq_mounted *mounted)
{
	cleanup_fd int root = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (root < 0)
		return -errno;
	int id = cvq_mounted_id(root);
	if (id < 0)
		return id;
	cleanup_mounts struct cvq_mounts mounts;
	cvq_err err = cvq_mounts_open(&mounts);
	const char *mountpoint;
	while (!err && (mountpoint = cvq_mounts_next(&mounts, mounted)))
		if (mounted->id == id) /* of 'path', or of what that lies in */
			return strcmp(mountpoint, path) == 0 ? steal_fd(root) : -ENOENT;
	return err ? err : -ENOENT;
}

cvq_err cvq_mounted_at(const char *path, struct cvq_mounted *mounted)
{
	cleanup_fd int root = cvq_mounted_hold(path, mounted);
	return root < 0 ? root : 0;
}

cvq_err cvq_mounted_as(dev_t device, struct cvq_mounted *mounted)
{
	cleanup_mounts struct cvq_mounts mounts;
	cvq_err err = cvq_mounts_open(&mounts);
	while (!err && cvq_mounts_next(&mounts, mounted))
		if (mounted->device == device)
			return 0;
	return err ? err : -ENOENT;
}
