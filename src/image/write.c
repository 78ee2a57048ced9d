/* SPDX-License-Identifier: MIT */
/*
 * Writing a whole image
 *
 * Threads take pieces of the image one after the other and write them without seals
 * and checksums.  When all numbers have been read once, their CRCs are known, and the
 * few bytes that were left out follow.
 */
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/threads.h"
#include "image/layout.h"

/* A multiple of CVQ_PAGE_BYTES, so that no page is read in two pieces. */
#define PIECE_BYTES (1u << 20)

struct writing {
	struct cvq_image *image;
	const struct cvq_source *source;
	int fd;
	const struct cvq_write_watch *watch;
	_Atomic uint64_t next; /* where the next piece begins */
	_Atomic uint64_t written;
	atomic_int error; /* whatever ended the writing */
	/* Kept apart, for a full disk or a broken one may be either. */
	atomic_int reading_error;
};

static cvq_err fail_reading(struct writing *writing, cvq_err err)
{
	atomic_store(&writing->reading_error, err);
	return err;
}

static cvq_err write_piece(struct writing *writing, uint8_t *buffer, uint64_t start)
{
	uint64_t left = writing->image->summary.view_size - start;
	size_t length = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
	cvq_err err = cvq_image_read_numbers(writing->image, writing->source, buffer,
					     length, start);
	if (err)
		return fail_reading(writing, err);
	err = cvq_write_all(writing->fd, buffer, length, start);
	if (err)
		return err;
	/* To the disk at once, while the next pieces are converted; fsync(2) will tell of
	 * errors. */
	sync_file_range(writing->fd, (off_t)start, (off_t)length, SYNC_FILE_RANGE_WRITE);
	atomic_fetch_add(&writing->written, length);
	return 0;
}

/* Writes pieces until there is none left or somebody failed. */
static void write_pieces(void *context, bool is_caller)
{
	struct writing *writing = context;
	const struct cvq_write_watch *watch = is_caller ? writing->watch : NULL;
	uint64_t size = writing->image->summary.view_size;
	cleanup_free uint8_t *buffer = malloc(PIECE_BYTES);
	cvq_err err = buffer ? 0 : -ENOMEM;
	while (!err && !atomic_load(&writing->error)) {
		uint64_t start = atomic_fetch_add(&writing->next, PIECE_BYTES);
		if (start >= size)
			break;
		err = write_piece(writing, buffer, start);
		if (!err && watch &&
		    !watch->report(watch->context, atomic_load(&writing->written)))
			err = -ECANCELED;
	}
	if (err)
		atomic_store(&writing->error, err);
}

static cvq_err write_checksums(struct writing *writing)
{
	struct cvq_image *image = writing->image;
	cvq_err err = 0;
	for (size_t i = 0; i < image->extent_count && !err; i++) {
		const struct cvq_extent *extent = &image->extents[i];
		uint8_t bytes[4];
		if (!cvq_extent_is_check(extent))
			continue;
		size_t length = (size_t)cvq_extent_length(image, i);
		ssize_t got = cvq_image_read(image, writing->source, bytes, length,
					     extent->start);
		err = got < 0 ? fail_reading(writing, (cvq_err)got)
			      : cvq_write_all(writing->fd, bytes, length, extent->start);
	}
	return err;
}

cvq_err cvq_image_write(struct cvq_image *image, const struct cvq_source *source, int fd,
			const struct cvq_write_watch *watch, bool *reading_failed)
{
	struct writing writing = {
		.image = image, .source = source, .fd = fd, .watch = watch};
	uint64_t size = image->summary.view_size;
	cvq_run_on_all_cores(size / PIECE_BYTES + 1, write_pieces, &writing);
	cvq_err err = atomic_load(&writing.error);
	if (!err)
		err = write_checksums(&writing);
	cvq_err reading_error = atomic_load(&writing.reading_error);
	*reading_failed = reading_error != 0;
	return reading_error ? reading_error : err;
}
