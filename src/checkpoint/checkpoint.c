/* SPDX-License-Identifier: MIT */
#include "checkpoint/checkpoint.h"

#include <string.h>

#include "checkpoint/formats.h"

/* Enough to tell the formats apart: a tar header has its magic at byte 257. */
#define HEAD_BYTES 264

void cvq_checkpoint_use_pickle(struct cvq_checkpoint *checkpoint)
{
	const struct cvq_pickle *pickle = checkpoint->pickle;
	checkpoint->storage_count = cvq_pickle_storage_count(pickle);
	if (checkpoint->storage_count > 0)
		checkpoint->storages = cvq_pickle_storage(pickle, 0);
	checkpoint->tensor_count = cvq_pickle_tensor_count(pickle);
	if (checkpoint->tensor_count > 0)
		checkpoint->tensors = cvq_pickle_tensor(pickle, 0);
}

cvq_err cvq_refuse_storage(const struct cvq_storage *storage, const char *what,
			   struct cvq_reason *reason)
{
	return cvq_explain(reason, CVQ_ERR_CONTENT, "its storage '%.*s' %s",
			   (int)(storage->key_length < 100 ? storage->key_length : 100),
			   storage->key, what);
}

/* Fact: git-lfs/docs/spec.md, "The Pointer". */
bool cvq_lfs_pointer_begins(const void *head, size_t length)
{
	static const char begin[] = "version https://git-lfs.github.com/";
	return length >= sizeof(begin) - 1 && memcmp(head, begin, sizeof(begin) - 1) == 0;
}

/* Reads the file in the format that its first bytes tell, as torch.load() does. */
static cvq_err read_format(const struct cvq_file_bytes *file,
			   struct cvq_checkpoint *checkpoint, struct cvq_reason *reason)
{
	uint8_t head[HEAD_BYTES] = {0};
	size_t length = file->size < sizeof(head) ? (size_t)file->size : sizeof(head);
	if (length == 0)
		return cvq_explain(reason, CVQ_ERR_CONTENT, "it is empty");
	cvq_err err = cvq_source_read(file->source, head, length, 0);
	if (err)
		return err;
	if (memcmp(head, "PK\3\4", 4) == 0)
		return cvq_zip_read(file, checkpoint, reason);
	if (cvq_legacy_begins(head, length))
		return cvq_legacy_read(file, checkpoint, reason);
	if (cvq_safetensors_begins(head, length))
		return cvq_safetensors_read(file, checkpoint, reason);
	if (memcmp(head + 257, "ustar", 5) == 0)
		return cvq_explain(reason, CVQ_ERR_CONTENT, "it is a tar archive");
	if (file->size < CVQ_LFS_POINTER_MAX_BYTES && cvq_lfs_pointer_begins(head, length))
		return cvq_explain(reason, CVQ_ERR_CONTENT,
				   "it is what Git LFS has in its place (fetch it with git "
				   "lfs pull)");
	return cvq_explain(reason, CVQ_ERR_CONTENT,
			   "it is no checkpoint: neither a zip archive nor a stream that "
			   "torch.save wrote, nor safetensors");
}

cvq_err cvq_checkpoint_open(const struct cvq_source *source, uint64_t size,
			    struct cvq_checkpoint **checkpoint, struct cvq_reason *reason)
{
	struct cvq_checkpoint *opened = calloc(1, sizeof(*opened));
	if (!opened)
		return -ENOMEM;
	struct cvq_file_bytes file = {source, size};
	cvq_err err = read_format(&file, opened, reason);
	if (err)
		cvq_checkpoint_free(opened);
	else
		*checkpoint = opened;
	return err;
}

void cvq_checkpoint_free(struct cvq_checkpoint *checkpoint)
{
	if (!checkpoint)
		return;
	cvq_pickle_free(checkpoint->pickle);
	cvq_spill_free(checkpoint->spill);
	cvq_safetensors_free(checkpoint->safetensors);
	free(checkpoint->pickle_data);
	for (size_t i = 0; i < checkpoint->record_count; i++)
		free(checkpoint->records[i].name);
	free(checkpoint->records);
	free(checkpoint->storage_records);
	free(checkpoint);
}
