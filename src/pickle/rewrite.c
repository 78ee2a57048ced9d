/* SPDX-License-Identifier: MIT */
/*
 * The same pickle with some storages in half precision
 *
 * Three kinds of edits, none of which changes what any other opcode does:
 *
 * - Every push of FloatStorage, be it a definition or a read of the memo, becomes an
 *   explicit GLOBAL of the class that its storage gets.  The definition's memo slot
 *   then holds one or the other, which nobody reads any more.  Where the class is
 *   named by strings on the stack (protocol 4), the old opcode stays, so that the
 *   memo keeps its numbering, and its result is dropped.
 * - The length in a storage's persistent id grows.
 * - FRAME opcodes go: they would state the wrong length, and are optional.
 */
#include <string.h>

#include "base/bytes.h"
#include "pickle/machine.h"
#include "pickle/opcodes.h"

enum edit_kind { EDIT_CLASS, EDIT_CLASS_ON_STACK, EDIT_NUMEL, EDIT_DROP };

struct edit {
	uint32_t offset;
	uint32_t length; /* of the bytes it replaces */
	enum edit_kind kind;
	uint32_t storage; /* or NO_INDEX */
};

struct edit_list {
	struct edit *edits;
	size_t count, capacity;
};

static cvq_err add_edit(struct edit_list *list, struct edit edit)
{
	if (cvq_grow((void **)&list->edits, &list->capacity, list->count, sizeof(edit)))
		return -ENOMEM;
	list->edits[list->count++] = edit;
	return 0;
}

static cvq_err collect_classes(const struct cvq_pickle *pickle, struct edit_list *list)
{
	cvq_err err = 0;
	for (size_t i = 0; i < pickle->class_push_count && !err; i++) {
		const struct cvq_class_push *push = &pickle->class_pushes[i];
		err = add_edit(list,
			       (struct edit){
				       .offset = push->offset,
				       .length = push->length,
				       .kind = push->stack_global ? EDIT_CLASS_ON_STACK
								  : EDIT_CLASS,
				       .storage = push->storage,
			       });
	}
	return err;
}

static cvq_err collect_numels(const struct cvq_pickle *pickle,
			      const struct cvq_storage_edit *wanted, struct edit_list *list)
{
	cvq_err err = 0;
	for (size_t i = 0; i < pickle->storage_use_count && !err; i++) {
		const struct cvq_storage_use *use = &pickle->storage_uses[i];
		if (wanted[use->storage].more_numel == 0)
			continue;
		struct cvq_instruction instruction = {0};
		cvq_decode(pickle->data + use->numel_offset,
			   pickle->length - use->numel_offset, &instruction);
		err = add_edit(list, (struct edit){
					     .offset = use->numel_offset,
					     .length = (uint32_t)instruction.length,
					     .kind = EDIT_NUMEL,
					     .storage = use->storage,
				     });
	}
	return err;
}

static cvq_err collect_frames(const struct cvq_pickle *pickle, struct edit_list *list)
{
	cvq_err err = 0;
	for (size_t i = 0; i < pickle->frame_count && !err; i++)
		err = add_edit(list, (struct edit){
					     .offset = pickle->frames[i],
					     .length = 1 + 8,
					     .kind = EDIT_DROP,
					     .storage = NO_INDEX,
				     });
	return err;
}

static int compare_edits(const void *left, const void *right)
{
	const struct edit *a = left;
	const struct edit *b = right;
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static void write_class(struct cvq_buffer *out, const char *type)
{
	cvq_buffer_append(out, "ctorch\n", strlen("ctorch\n"));
	cvq_buffer_append(out, type, strlen(type));
	cvq_buffer_append(out, "\n", 1);
}

/* Keeps the opcode where the number fits it: C++ readers know only 8-byte LONG1. */
static void write_number(struct cvq_buffer *out, const uint8_t *old, uint64_t number)
{
	uint8_t bytes[10] = {old[0], old[1]};
	if (old[0] == OP_BININT1 && number <= UINT8_MAX) {
		bytes[1] = (uint8_t)number;
		cvq_buffer_append(out, bytes, 2);
	} else if (old[0] != OP_BININT && old[0] != OP_LONG1 && number <= UINT16_MAX) {
		bytes[0] = OP_BININT2;
		cvq_put_u16(bytes + 1, (uint16_t)number);
		cvq_buffer_append(out, bytes, 3);
	} else if (old[0] != OP_LONG1 && number <= INT32_MAX) {
		bytes[0] = OP_BININT;
		cvq_put_u32(bytes + 1, (uint32_t)number);
		cvq_buffer_append(out, bytes, 5);
	} else {
		bytes[0] = OP_LONG1;
		bytes[1] = 8;
		cvq_put_u64(bytes + 2, number);
		cvq_buffer_append(out, bytes, 10);
	}
}

static void write_edit(const struct cvq_pickle *pickle, const struct edit *edit,
		       const struct cvq_storage_edit *wanted, const char *type,
		       struct cvq_buffer *out)
{
	const uint8_t *old = pickle->data + edit->offset;
	bool convert = edit->storage != NO_INDEX && wanted[edit->storage].convert;

	switch (edit->kind) {
	case EDIT_CLASS_ON_STACK:
		cvq_buffer_append(out, old, edit->length);
		cvq_buffer_append_fill(out, OP_POP, 1);
		write_class(out, convert ? type : "FloatStorage");
		break;
	case EDIT_CLASS:
		write_class(out, convert ? type : "FloatStorage");
		break;
	case EDIT_NUMEL:
		write_number(out, old,
			     pickle->storages[edit->storage].numel +
				     wanted[edit->storage].more_numel);
		break;
	case EDIT_DROP:
		break;
	}
}

cvq_err cvq_pickle_rewrite(const struct cvq_pickle *pickle,
			   const struct cvq_storage_edit *edits, const char *type,
			   struct cvq_buffer *out, struct cvq_reason *reason)
{
	struct edit_list list = {0};
	cvq_err err = collect_classes(pickle, &list);
	if (!err)
		err = collect_numels(pickle, edits, &list);
	if (!err)
		err = collect_frames(pickle, &list);
	if (list.count > 0)
		qsort(list.edits, list.count, sizeof(*list.edits), compare_edits);

	size_t start = out->length, copied = 0;
	for (size_t i = 0; i < list.count && !err; i++) {
		const struct edit *edit = &list.edits[i];
		/* One persistent id read twice says the same twice. */
		if (i > 0 && edit->offset == edit[-1].offset)
			continue;
		cvq_buffer_append(out, pickle->data + copied, edit->offset - copied);
		write_edit(pickle, edit, edits, type, out);
		copied = edit->offset + edit->length;
	}
	free(list.edits);
	if (!err && out->length - start + pickle->length - copied > CVQ_PICKLE_MAX_BYTES)
		err = cvq_explain(reason, CVQ_ERR_CONTENT,
				  "its pickle would become larger than %u MiB",
				  CVQ_PICKLE_MAX_BYTES >> 20);
	if (err)
		return err;
	cvq_buffer_append(out, pickle->data + copied, pickle->length - copied);
	return out->error;
}
