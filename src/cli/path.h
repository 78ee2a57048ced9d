/* SPDX-License-Identifier: MIT */
/*
 * Paths as text
 */
#ifndef CVQ_CLI_PATH_H
#define CVQ_CLI_PATH_H

#include <stdbool.h>

/* Whether 'path' is 'folder' or lies in it; both are absolute. */
bool cvq_path_lies_in(const char *path, const char *folder);

/* What follows the last slash. */
const char *cvq_path_name(const char *path);

#endif
