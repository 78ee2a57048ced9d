/* SPDX-License-Identifier: MIT */
/*
 * Copying a file as it is
 */
#ifndef CVQ_CLI_COPY_H
#define CVQ_CLI_COPY_H

#include "image/image.h"

/*
 * Copies the first 'size' bytes of 'source' to the start of the file 'to': by the kernel
 * where it can, which may share the blocks.  'watch', not NULL, is told the bytes written
 * so far.
 *
 * Returns 0; -ENODATA if the source is shorter; -ECANCELED if 'watch' said so; or what
 * reading or writing failed with.  Sets '*reading_failed' to whether it was reading.
 */
cvq_err cvq_copy(const struct cvq_source *source, uint64_t size, int to,
		 const struct cvq_write_watch *watch, bool *reading_failed);

#endif
