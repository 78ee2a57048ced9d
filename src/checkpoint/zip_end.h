/* SPDX-License-Identifier: MIT */
/*
 * The end of a zip archive, looked at before libzip reads it
 *
 * torch's reader, miniz, takes the last end record that there is; libzip looks at
 * each of them and takes, as versions differ, the one whose archive covers most or
 * the last that seems good to it.  And what libzip allocates before it has read a
 * single entry is what that record claims.
 *
 * Nothing that is malformed is refused here: libzip does that.
 *
 * Private to the room.
 */
#ifndef CVQ_CHECKPOINT_ZIP_END_H
#define CVQ_CHECKPOINT_ZIP_END_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/source.h"

struct cvq_zip_end {
	/* The last bytes of the file, with no end record in them but the one that
	 * torch takes. */
	uint8_t *tail;
	size_t tail_length;
	uint64_t tail_offset;

	/* Where the end record lies, and what it says, be it true or not. */
	uint64_t record; /* 0: there is none, nor in the file for libzip */
	uint64_t directory;
	uint64_t entries;
};

/*
 * Reads the end of a file of 'size' bytes.  Returns as cvq_checkpoint_open(); the end
 * is to be released in any case.
 */
cvq_err cvq_zip_end_read(const struct cvq_source *source, uint64_t size,
			 struct cvq_zip_end *end, struct cvq_reason *reason);
void cvq_zip_end_release(struct cvq_zip_end *end);

/*
 * Copies what the tail has of the 'length' bytes at 'offset' of the file to its place in
 * 'data'.  Returns how many bytes precede that.
 */
size_t cvq_zip_end_copy(const struct cvq_zip_end *end, void *data, size_t length,
			uint64_t offset);

#endif
