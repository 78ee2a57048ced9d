/* SPDX-License-Identifier: MIT */
#include "base/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *cvq_program_find(const char *name)
{
	const char *directories = getenv("PATH");
	if (!directories)
		directories = "/usr/local/bin:/usr/bin:/bin";
	while (*directories) {
		size_t length = strcspn(directories, ":");
		char *path;
		if (asprintf(&path, "%.*s/%s", (int)length, directories, name) < 0)
			return NULL;
		if (path[0] == '/' && access(path, X_OK) == 0)
			return path;
		free(path);
		directories += length + (directories[length] == ':');
	}
	return NULL;
}
