/* SPDX-License-Identifier: MIT */
/*
 * The directory of a zip archive, walked through before libzip reads it
 *
 * libzip keeps all of it in memory, and compares each name with all that share a list
 * of its hash table.  Whoever writes a directory can make that gigabytes and hours,
 * which nobody could interrupt.
 *
 * Nothing that is malformed is refused here: libzip does that.
 *
 * Private to the room.
 */
#ifndef CVQ_CHECKPOINT_ZIP_DIRECTORY_H
#define CVQ_CHECKPOINT_ZIP_DIRECTORY_H

#include "checkpoint/zip_end.h"

/*
 * Refuses a directory that costs too much, or that gives an entry another name for
 * libzip than for torch.  Returns as cvq_checkpoint_open().
 */
cvq_err cvq_zip_directory_check(const struct cvq_source *source,
				const struct cvq_zip_end *end, struct cvq_reason *reason);

#endif
