/* SPDX-License-Identifier: MIT */
/*
 * What a file is: a zip checkpoint, its records and its storages
 *
 * Reads the archive's directory, the local headers and the pickle, never the
 * weights.  Facts: caffe2/serialize/inline_container.cc (records), miniz
 * (archive), torch/serialization.py (which records there are).
 */
#ifndef CVQ_CHECKPOINT_CHECKPOINT_H
#define CVQ_CHECKPOINT_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/source.h"
#include "pickle/pickle.h"

#define CVQ_MAX_RECORDS 1000000u

/* One entry of the archive, in the order of its central directory. */
struct cvq_record {
	char *name;        /* with the folder: "archive/data/0" */
	uint64_t offset;   /* of the payload in the source */
	uint64_t size;     /* of the payload */
	uint32_t crc;      /* as the central directory has it */
	int32_t storage;   /* index of the storage it holds, or -1 */
	uint8_t *inflated; /* 'size' bytes if the entry was compressed, else NULL */
};

struct cvq_checkpoint {
	struct cvq_record *records;
	size_t record_count;
	size_t folder_length; /* of "archive/" */
	size_t pickle_record; /* index of data.pkl */
	uint8_t *pickle_data;
	struct cvq_pickle *pickle;
	uint32_t *storage_records; /* index of the record of each storage */
	bool big_endian;
	uint32_t alignment; /* the source's .storage_alignment, else 64 */
	/* torch may compute where payloads lie instead of looking
	 * (.format_version >= 1, storages contiguous and in pickle order). */
	bool computable_offsets;
};

/*
 * Reads the checkpoint of 'size' bytes.  Returns 0; CVQ_ERR_CONTENT with the
 * reason if it is not a checkpoint or not fully understood; another negative
 * errno if that could not be found out.
 */
cvq_err cvq_checkpoint_open(const struct cvq_source *source, uint64_t size,
			    struct cvq_checkpoint **checkpoint, struct cvq_reason *reason);
void cvq_checkpoint_free(struct cvq_checkpoint *checkpoint);

/* The record's name without the folder. */
const char *cvq_record_base(const struct cvq_checkpoint *checkpoint, size_t record);

#endif
