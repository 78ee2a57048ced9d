/* SPDX-License-Identifier: MIT */
/*
 * Whether a file is an ONNX model: a protocol buffer with a graph in it
 *
 * Private to the room.
 */
#ifndef CVQ_COSYVOICE_ONNX_H
#define CVQ_COSYVOICE_ONNX_H

#include "base/source.h"

/*
 * Reads the outermost fields of the message that fills the file, and none of what is in
 * them.  Returns 0; CVQ_ERR_CONTENT with the reason; or what reading failed with.
 */
cvq_err cvq_onnx_check(const struct cvq_source *source, uint64_t size,
		       struct cvq_reason *reason);

#endif
