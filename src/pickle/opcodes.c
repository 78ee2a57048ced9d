/* SPDX-License-Identifier: MIT */
#include "pickle/opcodes.h"

#include <string.h>

#include "base/bytes.h"

enum argument_form {
	FORM_UNKNOWN = 0,
	FORM_NOTHING,
	FORM_1, /* so many bytes */
	FORM_2,
	FORM_4,
	FORM_8,
	FORM_COUNTED_1, /* a length of so many bytes, then that many bytes */
	FORM_COUNTED_4,
	FORM_COUNTED_8,
	FORM_TWO_LINES,
};

static const uint8_t argument_forms[256] = {
	[OP_MARK] = FORM_NOTHING,
	[OP_STOP] = FORM_NOTHING,
	[OP_POP] = FORM_NOTHING,
	[OP_POP_MARK] = FORM_NOTHING,
	[OP_DUP] = FORM_NOTHING,
	[OP_BINBYTES] = FORM_COUNTED_4,
	[OP_SHORT_BINBYTES] = FORM_COUNTED_1,
	[OP_BINFLOAT] = FORM_8,
	[OP_BININT] = FORM_4,
	[OP_BININT1] = FORM_1,
	[OP_BININT2] = FORM_2,
	[OP_NONE] = FORM_NOTHING,
	[OP_BINPERSID] = FORM_NOTHING,
	[OP_REDUCE] = FORM_NOTHING,
	[OP_BINSTRING] = FORM_COUNTED_4,
	[OP_SHORT_BINSTRING] = FORM_COUNTED_1,
	[OP_BINUNICODE] = FORM_COUNTED_4,
	[OP_EMPTY_LIST] = FORM_NOTHING,
	[OP_APPEND] = FORM_NOTHING,
	[OP_BUILD] = FORM_NOTHING,
	[OP_GLOBAL] = FORM_TWO_LINES,
	[OP_DICT] = FORM_NOTHING,
	[OP_APPENDS] = FORM_NOTHING,
	[OP_BINGET] = FORM_1,
	[OP_LONG_BINGET] = FORM_4,
	[OP_LIST] = FORM_NOTHING,
	[OP_BINPUT] = FORM_1,
	[OP_LONG_BINPUT] = FORM_4,
	[OP_SETITEM] = FORM_NOTHING,
	[OP_TUPLE] = FORM_NOTHING,
	[OP_SETITEMS] = FORM_NOTHING,
	[OP_EMPTY_TUPLE] = FORM_NOTHING,
	[OP_EMPTY_DICT] = FORM_NOTHING,
	[OP_PROTO] = FORM_1,
	[OP_NEWOBJ] = FORM_NOTHING,
	[OP_TUPLE1] = FORM_NOTHING,
	[OP_TUPLE2] = FORM_NOTHING,
	[OP_TUPLE3] = FORM_NOTHING,
	[OP_NEWTRUE] = FORM_NOTHING,
	[OP_NEWFALSE] = FORM_NOTHING,
	[OP_LONG1] = FORM_COUNTED_1,
	[OP_LONG4] = FORM_COUNTED_4,
	[OP_SHORT_BINUNICODE] = FORM_COUNTED_1,
	[OP_BINUNICODE8] = FORM_COUNTED_8,
	[OP_BINBYTES8] = FORM_COUNTED_8,
	[OP_EMPTY_SET] = FORM_NOTHING,
	[OP_ADDITEMS] = FORM_NOTHING,
	[OP_FROZENSET] = FORM_NOTHING,
	[OP_NEWOBJ_EX] = FORM_NOTHING,
	[OP_STACK_GLOBAL] = FORM_NOTHING,
	[OP_MEMOIZE] = FORM_NOTHING,
	[OP_FRAME] = FORM_8,
	[OP_BYTEARRAY8] = FORM_COUNTED_8,
};

/* The length of two lines, or 0 if they do not end. */
static size_t two_lines(const uint8_t *data, size_t available)
{
	const uint8_t *first = memchr(data, '\n', available);
	if (!first)
		return 0;
	size_t rest = available - (size_t)(first + 1 - data);
	const uint8_t *second = memchr(first + 1, '\n', rest);
	return second ? (size_t)(second + 1 - data) : 0;
}

/* How many bytes the length prefix takes, and what it says. */
static size_t length_prefix(uint8_t form, const uint8_t *data, size_t available,
			    uint64_t *length)
{
	switch (form) {
	case FORM_COUNTED_1:
		if (available >= 1)
			*length = data[0];
		return 1;
	case FORM_COUNTED_4:
		if (available >= 4)
			*length = cvq_get_u32(data);
		return 4;
	default:
		if (available >= 8)
			*length = cvq_get_u64(data);
		return 8;
	}
}

enum cvq_decode_result cvq_decode(const uint8_t *data, size_t available,
				  struct cvq_instruction *instruction)
{
	uint8_t form = argument_forms[data[0]];
	uint64_t length = 0;
	size_t prefix = 0;

	data++;
	available--;
	switch (form) {
	case FORM_UNKNOWN:
		return DECODE_UNKNOWN;
	case FORM_NOTHING:
		break;
	case FORM_1:
		length = 1;
		break;
	case FORM_2:
		length = 2;
		break;
	case FORM_4:
		length = 4;
		break;
	case FORM_8:
		length = 8;
		break;
	case FORM_TWO_LINES:
		length = two_lines(data, available);
		if (length == 0)
			return DECODE_TRUNCATED;
		break;
	default:
		prefix = length_prefix(form, data, available, &length);
		if (prefix > available)
			return DECODE_TRUNCATED;
		break;
	}
	if (length > available - prefix)
		return DECODE_TRUNCATED;
	*instruction = (struct cvq_instruction){
		.opcode = data[-1],
		.argument = data + prefix,
		.argument_length = (size_t)length,
		.length = 1 + prefix + (size_t)length,
	};
	return DECODE_OK;
}
