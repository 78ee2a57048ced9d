/* SPDX-License-Identifier: MIT */
/*
 * Pickle opcodes of protocols 2 to 5 (CPython: Lib/pickletools.py)
 *
 * Left out are the text forms of protocols 0 and 1, which torch.save cannot
 * write, extension codes and out-of-band buffers.
 *
 * Private to the room.
 */
#ifndef CVQ_PICKLE_OPCODES_H
#define CVQ_PICKLE_OPCODES_H

#include <stddef.h>
#include <stdint.h>

enum cvq_opcode {
	OP_MARK = '(',
	OP_STOP = '.',
	OP_POP = '0',
	OP_POP_MARK = '1',
	OP_DUP = '2',
	OP_BINBYTES = 'B',
	OP_SHORT_BINBYTES = 'C',
	OP_BINFLOAT = 'G',
	OP_BININT = 'J',
	OP_BININT1 = 'K',
	OP_BININT2 = 'M',
	OP_NONE = 'N',
	OP_BINPERSID = 'Q',
	OP_REDUCE = 'R',
	OP_BINSTRING = 'T',
	OP_SHORT_BINSTRING = 'U',
	OP_BINUNICODE = 'X',
	OP_EMPTY_LIST = ']',
	OP_APPEND = 'a',
	OP_BUILD = 'b',
	OP_GLOBAL = 'c',
	OP_DICT = 'd',
	OP_APPENDS = 'e',
	OP_BINGET = 'h',
	OP_LONG_BINGET = 'j',
	OP_LIST = 'l',
	OP_BINPUT = 'q',
	OP_LONG_BINPUT = 'r',
	OP_SETITEM = 's',
	OP_TUPLE = 't',
	OP_SETITEMS = 'u',
	OP_EMPTY_TUPLE = ')',
	OP_EMPTY_DICT = '}',
	OP_PROTO = 0x80,
	OP_NEWOBJ = 0x81,
	OP_TUPLE1 = 0x85,
	OP_TUPLE2 = 0x86,
	OP_TUPLE3 = 0x87,
	OP_NEWTRUE = 0x88,
	OP_NEWFALSE = 0x89,
	OP_LONG1 = 0x8a,
	OP_LONG4 = 0x8b,
	OP_SHORT_BINUNICODE = 0x8c,
	OP_BINUNICODE8 = 0x8d,
	OP_BINBYTES8 = 0x8e,
	OP_EMPTY_SET = 0x8f,
	OP_ADDITEMS = 0x90,
	OP_FROZENSET = 0x91,
	OP_NEWOBJ_EX = 0x92,
	OP_STACK_GLOBAL = 0x93,
	OP_MEMOIZE = 0x94,
	OP_FRAME = 0x95,
	OP_BYTEARRAY8 = 0x96,
};

/* One opcode with its argument. */
struct cvq_instruction {
	uint8_t opcode;
	const uint8_t *argument; /* behind a length prefix, if the opcode has one */
	size_t argument_length;
	size_t length; /* of the whole instruction */
};

enum cvq_decode_result {
	DECODE_OK,
	DECODE_UNKNOWN,   /* no opcode of the list above */
	DECODE_TRUNCATED, /* the argument reaches past the end */
};

/* Decodes the instruction at 'data', of which 'available' > 0 bytes exist. */
enum cvq_decode_result cvq_decode(const uint8_t *data, size_t available,
				  struct cvq_instruction *instruction);

#endif
