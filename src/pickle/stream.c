/* SPDX-License-Identifier: MIT */
/*
 * Pickles one behind the other: where each ends, and the simplest of them
 *
 * A legacy stream is a sequence of pickles without lengths, and after them numbers;
 * only the opcodes tell where one ends.
 */
#include "pickle/opcodes.h"
#include "pickle/pickle.h"

static cvq_err not_a_pickle(struct cvq_reason *reason, size_t offset)
{
	return cvq_explain(reason, CVQ_ERR_CONTENT,
			   "its pickle has an unknown opcode at byte %zu", offset);
}

cvq_err cvq_pickle_find_end(const uint8_t *data, size_t available, size_t *length,
			    struct cvq_reason *reason)
{
	struct cvq_instruction instruction = {0};
	*length = 0;
	for (size_t offset = 0; offset < available; offset += instruction.length) {
		switch (cvq_decode(data + offset, available - offset, &instruction)) {
		case DECODE_OK:
			break;
		case DECODE_UNKNOWN:
			return not_a_pickle(reason, offset);
		case DECODE_TRUNCATED:
			return 0;
		}
		if (instruction.opcode == OP_STOP) {
			*length = offset + instruction.length;
			return 0;
		}
	}
	return 0;
}

static bool is_string(uint8_t opcode)
{
	return opcode == OP_BINUNICODE || opcode == OP_SHORT_BINUNICODE ||
	       opcode == OP_BINUNICODE8 || opcode == OP_BINSTRING ||
	       opcode == OP_SHORT_BINSTRING;
}

/* Whether the opcode only strings a list together. */
static bool is_of_list(uint8_t opcode)
{
	return opcode == OP_PROTO || opcode == OP_FRAME || opcode == OP_EMPTY_LIST ||
	       opcode == OP_MARK || opcode == OP_APPEND || opcode == OP_APPENDS ||
	       opcode == OP_BINPUT || opcode == OP_LONG_BINPUT || opcode == OP_MEMOIZE ||
	       opcode == OP_STOP;
}

cvq_err cvq_pickle_strings(const uint8_t *data, size_t length, struct cvq_slice **strings,
			   size_t *count, struct cvq_reason *reason)
{
	cleanup_free struct cvq_slice *found = NULL;
	size_t capacity = 0;
	struct cvq_instruction instruction = {0};
	*count = 0;
	for (size_t offset = 0; offset < length; offset += instruction.length) {
		if (cvq_decode(data + offset, length - offset, &instruction) != DECODE_OK)
			return not_a_pickle(reason, offset);
		if (is_string(instruction.opcode)) {
			if (*count >= CVQ_PICKLE_MAX_TENSORS)
				return cvq_explain(reason, CVQ_ERR_CONTENT,
						   "its list of keys is too long");
			if (cvq_grow((void **)&found, &capacity, *count, sizeof(*found)))
				return -ENOMEM;
			found[(*count)++] =
				(struct cvq_slice){(const char *)instruction.argument,
						   instruction.argument_length};
		} else if (!is_of_list(instruction.opcode)) {
			return cvq_explain(reason, CVQ_ERR_CONTENT,
					   "its list of keys has an unknown form");
		}
	}
	*strings = steal_pointer(found);
	return 0;
}
