/* SPDX-License-Identifier: MIT */
#include "cli/element.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "numeric/widen.h"

/* How an element's bytes are read. */
enum form { BITS, SIGNED, UNSIGNED, HALF, BFLOAT, SINGLE, DOUBLE };

static const struct type {
	const char *name;
	const char *storage;
	const char *safetensors;
	enum form form;
	size_t size; /* bytes */
} types[] = {
	{"float32", "FloatStorage", "F32", SINGLE, 4},
	{"float16", "HalfStorage", "F16", HALF, 2},
	{"bfloat16", "BFloat16Storage", "BF16", BFLOAT, 2},
	{"float64", "DoubleStorage", "F64", DOUBLE, 8},
	{"int64", "LongStorage", "I64", SIGNED, 8},
	{"int32", "IntStorage", "I32", SIGNED, 4},
	{"int16", "ShortStorage", "I16", SIGNED, 2},
	{"int8", "CharStorage", "I8", SIGNED, 1},
	{"uint8", "ByteStorage", "U8", UNSIGNED, 1},
	{"uint16", NULL, "U16", UNSIGNED, 2},
	{"uint32", NULL, "U32", UNSIGNED, 4},
	{"uint64", NULL, "U64", UNSIGNED, 8},
	{"bool", "BoolStorage", "BOOL", UNSIGNED, 1},
	{"complex64", "ComplexFloatStorage", "C64", BITS, 8},
	{"complex128", "ComplexDoubleStorage", NULL, BITS, 16},
	{"qint8", "QInt8Storage", NULL, SIGNED, 1},
	{"quint8", "QUInt8Storage", NULL, UNSIGNED, 1},
	{"qint32", "QInt32Storage", NULL, SIGNED, 4},
	{"quint4x2", "QUInt4x2Storage", NULL, BITS, 1},
	{"quint2x4", "QUInt2x4Storage", NULL, BITS, 1},
	{"float8_e4m3fn", NULL, "F8_E4M3", BITS, 1},
	{"float8_e5m2", NULL, "F8_E5M2", BITS, 1},
};

static const struct type *find_type(const char *type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if ((types[i].storage && strcmp(types[i].storage, type) == 0) ||
		    (types[i].safetensors && strcmp(types[i].safetensors, type) == 0))
			return &types[i];
	return NULL;
}

const char *cvq_element_type_name(const char *type)
{
	const struct type *found = find_type(type);
	return found ? found->name : type;
}

/* The element as a number, in as many digits as tell it from its neighbours; "" if it is
 * none. */
static void print_number(enum form form, const void *element, size_t size, uint64_t bits,
			 char *text, size_t room)
{
	unsigned unused = 64 - 8 * (unsigned)size;
	float single;
	double number;
	text[0] = '\0';
	switch (form) {
	case SIGNED:
		snprintf(text, room, "%" PRId64, (int64_t)(bits << unused) >> unused);
		break;
	case UNSIGNED:
		snprintf(text, room, "%" PRIu64, bits);
		break;
	case HALF:
		snprintf(text, room, "%.5g", (double)cvq_widen_fp16((uint16_t)bits));
		break;
	case BFLOAT:
		snprintf(text, room, "%.4g", (double)cvq_widen_bf16((uint16_t)bits));
		break;
	case SINGLE:
		memcpy(&single, element, sizeof(single));
		snprintf(text, room, "%.9g", (double)single);
		break;
	case DOUBLE:
		memcpy(&number, element, sizeof(number));
		snprintf(text, room, "%.17g", number);
		break;
	case BITS:
		break;
	}
}

const char *cvq_element_print(const char *type, const void *element, size_t size,
			      char text[CVQ_ELEMENT_TEXT])
{
	const struct type *known = find_type(type);
	const uint8_t *bytes = element;
	uint64_t bits = 0;
	char number[32] = "", hexadecimal[2 * CVQ_ELEMENT_BYTES + 1] = "";

	for (size_t i = 0; i < size; i++) {
		uint8_t byte = bytes[CVQ_MACHINE_IS_BIG_ENDIAN ? i : size - 1 - i];
		snprintf(hexadecimal + 2 * i, 3, "%02x", byte);
		bits = bits << 8 | byte;
	}
	if (known && size == known->size)
		print_number(known->form, element, size, bits, number, sizeof(number));
	snprintf(text, CVQ_ELEMENT_TEXT, *number ? "%s (0x%s)" : "%s0x%s", number,
		 hexadecimal);
	return text;
}

char *cvq_shape_print(const uint64_t *numbers, size_t count)
{
	struct cvq_buffer text = {0};
	cvq_buffer_append(&text, "[", 1);
	for (size_t i = 0; i < count; i++) {
		char number[24];
		int length = snprintf(number, sizeof(number), "%s%" PRIu64, i ? ", " : "",
				      numbers[i]);
		cvq_buffer_append(&text, number, (size_t)length);
	}
	cvq_buffer_append(&text, "]", sizeof("]"));
	if (text.error)
		cvq_buffer_release(&text);
	return (char *)text.data;
}
