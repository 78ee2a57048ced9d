/* SPDX-License-Identifier: MIT */
#include "cli/copy.h"

#include <errno.h>
#include <unistd.h>

/* Copied at a time, so that a progress bar moves. */
#define PIECE_BYTES (64u << 20)

static cvq_err copy_by_hand(const struct cvq_source *source, int to, uint64_t offset,
			    size_t length, bool *reading_failed)
{
	uint8_t buffer[64 << 10];
	while (length > 0) {
		size_t piece = length < sizeof(buffer) ? length : sizeof(buffer);
		cvq_err err = cvq_source_read(source, buffer, piece, offset);
		*reading_failed = err != 0;
		if (!err)
			err = cvq_write_all(to, buffer, piece, offset);
		if (err)
			return err;
		offset += piece;
		length -= piece;
	}
	return 0;
}

/*
 * Copies up to 'length' bytes, by the kernel unless '*by_hand'.  Whatever the kernel fails
 * with, it is by hand from there on: either that works, or it tells which side it is.
 */
static cvq_err copy_piece(const struct cvq_source *source, int to, uint64_t offset,
			  size_t *length, bool *by_hand, bool *reading_failed)
{
	off_t in = (off_t)offset, out = (off_t)offset;
	ssize_t copied =
		*by_hand ? -1 : copy_file_range(source->fd, &in, to, &out, *length, 0);
	if (copied > 0) {
		*length = (size_t)copied;
		return 0;
	}
	*by_hand = true;
	return copy_by_hand(source, to, offset, *length, reading_failed);
}

cvq_err cvq_copy(const struct cvq_source *source, uint64_t size, int to,
		 const struct cvq_write_watch *watch, bool *reading_failed)
{
	bool by_hand = false;
	*reading_failed = false;
	for (uint64_t done = 0; done < size;) {
		uint64_t left = size - done;
		size_t length = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
		cvq_err err =
			copy_piece(source, to, done, &length, &by_hand, reading_failed);
		if (err)
			return err;
		done += length;
		if (!watch->report(watch->context, done))
			return -ECANCELED;
	}
	return 0;
}
