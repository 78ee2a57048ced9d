/* SPDX-License-Identifier: MIT */
/*
 * What a file is: its format, its records and its storages
 *
 * Reads what describes the weights (an archive's directory, local headers, the
 * pickle), never the weights.  Facts: caffe2/serialize/inline_container.cc and miniz
 * (zip), torch/serialization.py (records; the legacy stream).
 */
#ifndef CVQ_CHECKPOINT_CHECKPOINT_H
#define CVQ_CHECKPOINT_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/source.h"
#include "checkpoint/spill.h"
#include "pickle/pickle.h"

#define CVQ_MAX_RECORDS 1000000u

enum cvq_format {
	CVQ_FORMAT_ZIP,    /* torch.save() since 1.6 */
	CVQ_FORMAT_LEGACY, /* before: pickles, then each storage behind its length */
	CVQ_FORMAT_SAFETENSORS,
};

/* A run of bytes: an entry of an archive, or the elements of a storage. */
struct cvq_record {
	char *name;      /* of the entry, with its folder: "archive/data/0"; else NULL */
	uint64_t offset; /* of the payload, for cvq_spill_read() */
	uint64_t size;   /* of the payload */
	uint32_t crc;    /* of the entry, as the central directory has it */
	int32_t storage; /* index of the storage it holds, or -1 */
};

struct cvq_safetensors;

struct cvq_checkpoint {
	enum cvq_format format;
	struct cvq_record *records; /* in the order of the directory, or of the file */
	size_t record_count;
	const struct cvq_storage *storages;
	size_t storage_count;
	const struct cvq_tensor *tensors;
	size_t tensor_count;
	uint32_t *storage_records; /* index of the record of each storage */

	struct cvq_safetensors *safetensors; /* its header; NULL for the others */

	/* Zip and legacy. */
	uint8_t *pickle_data;
	struct cvq_pickle *pickle;
	uint64_t pickle_offset; /* legacy: where in the source it begins */

	/* Zip. */
	size_t folder_length;    /* of "archive/" */
	size_t pickle_record;    /* index of data.pkl */
	struct cvq_spill *spill; /* NULL if no entry is compressed */
	bool big_endian;
	uint32_t alignment;   /* the source's .storage_alignment, else 64 */
	bool tells_alignment; /* it has that record */
	/* torch may compute where payloads lie instead of looking
	 * (.format_version >= 1, storages contiguous and in pickle order). */
	bool computable_offsets;
};

/* Whether what begins so is no file, but what Git LFS has in its place. */
bool cvq_lfs_pointer_begins(const void *head, size_t length);
#define CVQ_LFS_POINTER_MAX_BYTES 1024u

/*
 * Reads the checkpoint of 'size' bytes.  Returns 0; CVQ_ERR_CONTENT with the
 * reason if it is not a checkpoint or not fully understood; CVQ_ERR_NOTHING with the reason
 * if it is a program of torch's; a negative errno if that could not be found out.
 */
cvq_err cvq_checkpoint_open(const struct cvq_source *source, uint64_t size,
			    struct cvq_checkpoint **checkpoint, struct cvq_reason *reason);
void cvq_checkpoint_free(struct cvq_checkpoint *checkpoint);

/* The record's name without the folder. */
const char *cvq_record_base(const struct cvq_checkpoint *checkpoint, size_t record);

#endif
