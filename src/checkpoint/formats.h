/* SPDX-License-Identifier: MIT */
/*
 * The formats, each of which fills a zeroed checkpoint
 *
 * Private to the room.  The functions return as cvq_checkpoint_open(); what they
 * have filled in is the checkpoint's in any case.
 */
#ifndef CVQ_CHECKPOINT_FORMATS_H
#define CVQ_CHECKPOINT_FORMATS_H

#include "checkpoint/checkpoint.h"

/* A file as a format's reader sees it. */
struct cvq_file_bytes {
	const struct cvq_source *source;
	uint64_t size;
};

cvq_err cvq_zip_read(const struct cvq_file_bytes *file, struct cvq_checkpoint *checkpoint,
		     struct cvq_reason *reason);

cvq_err cvq_legacy_read(const struct cvq_file_bytes *file,
			struct cvq_checkpoint *checkpoint, struct cvq_reason *reason);

cvq_err cvq_safetensors_read(const struct cvq_file_bytes *file,
			     struct cvq_checkpoint *checkpoint, struct cvq_reason *reason);
void cvq_safetensors_free(struct cvq_safetensors *own);

/* Whether a file that begins with these bytes may be of the format. */
bool cvq_legacy_begins(const uint8_t *bytes, size_t length);
bool cvq_safetensors_begins(const uint8_t *bytes, size_t length);

/* Makes the pickle's storages and tensors the checkpoint's. */
void cvq_checkpoint_use_pickle(struct cvq_checkpoint *checkpoint);

/* "its storage 'KEY' has too short a record": says 'what' of a storage. */
cvq_err cvq_refuse_storage(const struct cvq_storage *storage, const char *what,
			   struct cvq_reason *reason);

#endif
