/* SPDX-License-Identifier: MIT */
/*
 * Writing files so that none is ever half there: under another name, then renamed
 */
#ifndef CVQ_CLI_OUTPUT_H
#define CVQ_CLI_OUTPUT_H

#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"

/* A file being written. */
struct cvq_output {
	int folder; /* borrowed: what 'path' is relative to */
	const char *path;
	char *temporary; /* the path that it has so far; NULL: none */
	int fd;
};

/*
 * Begins the file at 'path' below 'folder'; both are borrowed.  Its temporary name is one
 * that nothing had.  Returns 0 or a negative errno.  In any case release it, which removes
 * what was not finished.
 */
cvq_err cvq_output_begin(struct cvq_output *output, int folder, const char *path);

/*
 * Gives the file the mode and the times of 'attributes' (unless NULL), brings it to the
 * disk and under its name.  Returns 0 or a negative errno.
 */
cvq_err cvq_output_finish(struct cvq_output *output, const struct stat *attributes);
void cvq_output_release(struct cvq_output *output);

#define cleanup_output cvq_cleanup(cvq_output_release)

#endif
