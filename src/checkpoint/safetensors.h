/* SPDX-License-Identifier: MIT */
/*
 * safetensors: the length of a header in 8 bytes, the header in JSON, then the tensors
 *
 * The header names each tensor's dtype, its shape, and where it begins and ends behind
 * the header; the tensors lie there without gaps.  Facts: the README of safetensors
 * ("Format").
 */
#ifndef CVQ_CHECKPOINT_SAFETENSORS_H
#define CVQ_CHECKPOINT_SAFETENSORS_H

#include "base/buffer.h"
#include "checkpoint/checkpoint.h"

/* What a tensor is to become. */
struct cvq_safetensor {
	const char *dtype; /* NULL: the source's */
	uint64_t begin;    /* behind the header */
	uint64_t end;
};

/*
 * Appends the checkpoint's header with other dtypes and places, one for each storage.
 * Returns 0 or -ENOMEM.
 */
cvq_err cvq_safetensors_write(const struct cvq_checkpoint *checkpoint,
			      const struct cvq_safetensor *tensors, struct cvq_buffer *out);

#endif
