/* SPDX-License-Identifier: MIT */
/*
 * The zip archive under a checkpoint, read with libzip
 *
 * libzip checks the archive and lists, inflates and verifies entries.  What it
 * does not tell is where a stored payload lies in the file; this room watches
 * where libzip reads to find that out, so that the payload can later be read
 * with pread(2), by any thread, without libzip.
 *
 * Private to the room.
 */
#ifndef CVQ_CHECKPOINT_ARCHIVE_H
#define CVQ_CHECKPOINT_ARCHIVE_H

#include "checkpoint/checkpoint.h"

/* An open archive: one thread at a time. */
struct cvq_archive;

/*
 * Opens the archive of 'size' bytes.  'source' is borrowed until the archive is
 * closed.  Returns as cvq_checkpoint_open().
 */
cvq_err cvq_archive_open(const struct cvq_source *source, uint64_t size,
			 struct cvq_archive **archive, struct cvq_reason *reason);
void cvq_archive_close(struct cvq_archive *archive);

size_t cvq_archive_count(const struct cvq_archive *archive);

/*
 * Fills name, size, crc and offset of the entry at 'index'.  An entry that is
 * compressed has the offset CVQ_NO_OFFSET: its payload is no run of the file.
 */
#define CVQ_NO_OFFSET UINT64_MAX
cvq_err cvq_archive_entry(struct cvq_archive *archive, size_t index,
			  struct cvq_record *record, struct cvq_reason *reason);

/*
 * Reads the whole entry, inflated, and verifies its CRC.  On success '*data' has
 * record->size bytes and a NUL behind them, and is the caller's.
 */
cvq_err cvq_archive_extract(struct cvq_archive *archive, size_t index,
			    const struct cvq_record *record, uint8_t **data,
			    struct cvq_reason *reason);

/*
 * Inflates the entry of 'size' bytes into the file 'fd' at 'offset' and verifies its
 * CRC.  'source' is the file that the archive was opened from.  Returns 0; -EBADMSG
 * if the entry is damaged; or what reading, writing or malloc(3) failed with.
 */
cvq_err cvq_archive_inflate(struct cvq_archive *archive, const struct cvq_source *source,
			    size_t index, uint64_t size, int fd, uint64_t offset);

/* Says through which descriptor the archive is to be read from now on. */
void cvq_archive_rebind(struct cvq_archive *archive, const struct cvq_source *source);

#endif
