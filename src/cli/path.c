/* SPDX-License-Identifier: MIT */
#include "cli/path.h"

#include <string.h>

bool cvq_path_lies_in(const char *path, const char *folder)
{
	size_t length = strlen(folder);
	while (length > 0 && folder[length - 1] == '/')
		length--;
	return strncmp(path, folder, length) == 0 &&
	       (path[length] == '/' || path[length] == '\0');
}

const char *cvq_path_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}
