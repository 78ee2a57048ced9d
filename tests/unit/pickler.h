/* SPDX-License-Identifier: MIT */
/*
 * Writes pickles opcode by opcode, the way torch.save does
 */
#ifndef CVQ_TESTS_PICKLER_H
#define CVQ_TESTS_PICKLER_H

#include <string.h>

#include "base/buffer.h"

/* Appends opcodes given as a string literal; they may contain NUL. */
#define emit(out, literal) cvq_buffer_append(out, literal, sizeof(literal) - 1)

static inline void emit_string(struct cvq_buffer *out, const char *text)
{
	emit(out, "X");
	cvq_buffer_append_u32(out, (uint32_t)strlen(text));
	cvq_buffer_append(out, text, strlen(text));
}

static inline void emit_int(struct cvq_buffer *out, uint32_t number)
{
	emit(out, "J");
	cvq_buffer_append_u32(out, number);
}

/* A persistent id as far as it is the same in archives and streams: 'storage', torch.TYPE,
 * key, 'cpu', numel, behind a mark. */
static inline void emit_storage_fields(struct cvq_buffer *out, const char *type,
				       const char *key, uint32_t numel)
{
	emit(out, "(");
	emit_string(out, "storage");
	emit(out, "ctorch\n");
	cvq_buffer_append(out, type, strlen(type));
	emit(out, "\n");
	emit_string(out, key);
	emit_string(out, "cpu");
	emit_int(out, numel);
}

/* ('storage', torch.TYPE, key, 'cpu', numel) and BINPERSID */
static inline void emit_storage(struct cvq_buffer *out, const char *type, const char *key,
				uint32_t numel)
{
	emit_storage_fields(out, type, key, numel);
	emit(out, "tQ");
}

/* The rest of _rebuild_tensor_v2's arguments for a tensor of one dimension, and REDUCE. */
static inline void emit_view(struct cvq_buffer *out, uint32_t offset, uint32_t length)
{
	emit_int(out, offset);
	emit_int(out, length);
	emit(out, "\x85K\x01\x85\x89" /* (length,), (1,), False */
		  "ccollections\nOrderedDict\n)R"
		  "tR");
}

/* A tensor that covers its whole storage. */
static inline void emit_tensor(struct cvq_buffer *out, const char *type, const char *key,
			       uint32_t numel)
{
	emit(out, "ctorch._utils\n_rebuild_tensor_v2\n(");
	emit_storage(out, type, key, numel);
	emit_view(out, 0, numel);
}

#endif
