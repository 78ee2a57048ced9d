/* SPDX-License-Identifier: MIT */
/*
 * The extended attribute in which a view says how it fares
 */
#ifndef CVQ_CLI_STATUS_ATTRIBUTE_H
#define CVQ_CLI_STATUS_ATTRIBUTE_H

#include <jansson.h>

#include "base/error.h"

/*
 * Reads that of the view at 'path'.  Returns 0 and an object to be released; -ENODATA if
 * 'path' is not the root of a view; or another negative errno: -ENOTCONN if its daemon
 * has ended, -EACCES if it is another user's.
 */
cvq_err cvq_status_read(const char *path, json_t **status);

#endif
