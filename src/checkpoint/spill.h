/* SPDX-License-Identifier: MIT */
/*
 * The spill file: compressed records, inflated
 *
 * A deflated payload cannot be read from its middle.  So a compressed record is
 * inflated as a whole when somebody first reads of it, into a file without a name in
 * $TMPDIR, /var/tmp or /tmp, which goes with the image.  All records of a checkpoint
 * have their place in that file from the start; its bytes have offsets from
 * CVQ_SPILL_START on.
 */
#ifndef CVQ_CHECKPOINT_SPILL_H
#define CVQ_CHECKPOINT_SPILL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/source.h"

/* What all compressed records of a file may come to. */
#define CVQ_SPILL_MAX_BYTES ((uint64_t)16 << 30)

/* Offsets from here on lie in the spill file. */
#define CVQ_SPILL_START ((uint64_t)1 << 63)

struct cvq_archive;
struct cvq_record;
struct cvq_spill;

/*
 * Makes a spill for the archive, which it takes over in any case.  Returns 0 or
 * -ENOMEM.
 */
cvq_err cvq_spill_create(struct cvq_archive *archive, struct cvq_spill **spill);
void cvq_spill_free(struct cvq_spill *spill);

/*
 * Gives the record, which is the compressed entry 'index', its place: sets its
 * offset.  Returns 0; CVQ_ERR_CONTENT if it is too large; -ENOMEM.
 */
cvq_err cvq_spill_add(struct cvq_spill *spill, size_t index, struct cvq_record *record,
		      struct cvq_reason *reason);

/*
 * Reads exactly 'length' bytes at 'offset', of the source or of one record in the
 * spill file.  'spill' may be NULL if no offset is beyond CVQ_SPILL_START.
 *
 * Thread-safe.  While a record is inflated, whoever reads of it waits, and so does who is
 * the first to read of another record of the same file.  What is damaged is inflated no
 * second time, what failed for another reason is tried again.
 *
 * Returns 0; -ENOSPC, -EDQUOT or -EFBIG if there is no room to inflate (what was taken of
 * it is given back); -EBADMSG if the record is damaged; or what cvq_source_read() returns.
 */
cvq_err cvq_spill_read(struct cvq_spill *spill, const struct cvq_source *source,
		       void *buffer, size_t length, uint64_t offset);

#endif
