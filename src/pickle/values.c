/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/bytes.h"
#include "pickle/machine.h"
#include "pickle/opcodes.h"

bool cvq_slice_is(struct cvq_slice slice, const char *text)
{
	return slice.length == strlen(text) && memcmp(slice.data, text, slice.length) == 0;
}

static struct cvq_instruction instruction_of(const struct cvq_pickle *pickle,
					     cvq_value value)
{
	struct cvq_instruction instruction = {0};
	size_t offset = cvq_value_payload(value);
	/* It was decoded before, so it decodes again. */
	cvq_decode(pickle->data + offset, CVQ_PICKLE_MAX_BYTES - offset, &instruction);
	return instruction;
}

struct cvq_slice cvq_pickle_string(const struct cvq_pickle *pickle, cvq_value value)
{
	struct cvq_instruction instruction = instruction_of(pickle, value);
	return (struct cvq_slice){(const char *)instruction.argument,
				  instruction.argument_length};
}

static bool decode_long(const uint8_t *bytes, size_t length, int64_t *number)
{
	if (length > 8)
		return false;
	/* Two's complement, little-endian, as short as it can be. */
	uint64_t bits = length && bytes[length - 1] & 0x80 ? UINT64_MAX : 0;
	for (size_t i = 0; i < length; i++)
		bits = (bits & ~((uint64_t)0xFF << 8 * i)) | (uint64_t)bytes[i] << 8 * i;
	*number = (int64_t)bits;
	return true;
}

bool cvq_pickle_int(const struct cvq_pickle *pickle, cvq_value value, int64_t *number)
{
	if (cvq_value_kind(value) != VALUE_INT)
		return false;
	struct cvq_instruction instruction = instruction_of(pickle, value);
	switch (instruction.opcode) {
	case OP_BININT1:
		*number = instruction.argument[0];
		return true;
	case OP_BININT2:
		*number = cvq_get_u16(instruction.argument);
		return true;
	case OP_BININT:
		*number = (int32_t)cvq_get_u32(instruction.argument);
		return true;
	default:
		return decode_long(instruction.argument, instruction.argument_length,
				   number);
	}
}

const struct cvq_pickle_node *cvq_pickle_tuple(const struct cvq_pickle *pickle,
					       cvq_value value)
{
	if (cvq_value_kind(value) != VALUE_NODE)
		return NULL;
	const struct cvq_pickle_node *node = &pickle->nodes[cvq_value_payload(value)];
	return node->type == NODE_TUPLE ? node : NULL;
}

const struct cvq_pickle_node *cvq_pickle_pairs(const struct cvq_pickle *pickle,
					       const struct cvq_pickle_node *arguments)
{
	if (arguments->count != 1)
		return NULL;
	cvq_value list = pickle->items[arguments->first];
	if (cvq_value_kind(list) != VALUE_NODE)
		return NULL;
	const struct cvq_pickle_node *node = &pickle->nodes[cvq_value_payload(list)];
	return node->type == NODE_LIST ? node : NULL;
}

bool cvq_pickle_pair(const struct cvq_pickle *pickle, cvq_value pair, cvq_value *key,
		     cvq_value *value)
{
	if (cvq_value_kind(pair) != VALUE_NODE)
		return false;
	const struct cvq_pickle_node *node = &pickle->nodes[cvq_value_payload(pair)];
	if (node->count != 2)
		return false;
	if (node->type == NODE_TUPLE) {
		*key = pickle->items[node->first];
		*value = pickle->items[node->first + 1];
		return true;
	}
	if (node->type != NODE_LIST || node->first == NO_INDEX)
		return false;
	const struct cvq_child *first = &pickle->children[node->first];
	const struct cvq_child *second =
		first->next == NO_INDEX ? NULL : &pickle->children[first->next];
	*key = first->value;
	*value = second ? second->value : cvq_value_make(VALUE_OTHER, 0);
	return first->position == 0 && (!second || second->position == 1);
}
