/* SPDX-License-Identifier: MIT */
/*
 * Facts: onnx/onnx.proto (ModelProto); protobuf.dev, "Encoding"
 */
#include "cosyvoice/onnx.h"

#include <stdbool.h>

#define GRAPH_FIELD 7
#define LAST_FIELD  64   /* today's last is 26 */
#define MAX_FIELDS  4096 /* of the outermost message; a real one has a dozen */

/* How the value of a field is encoded. */
enum wire {
	WIRE_VARINT = 0,
	WIRE_64_BITS = 1,
	WIRE_LENGTH = 2, /* that many bytes follow */
	WIRE_32_BITS = 5,
};

struct reading {
	const struct cvq_source *source;
	uint64_t size;
	uint64_t offset;
	struct cvq_reason *reason;
};

static cvq_err refuse(const struct reading *reading, const char *what)
{
	return cvq_explain(reading->reason, CVQ_ERR_CONTENT, "%s", what);
}

static cvq_err read_varint(struct reading *reading, uint64_t *value)
{
	*value = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte;
		if (reading->offset == reading->size)
			return refuse(reading, "is cut off");
		cvq_err err = cvq_source_read(reading->source, &byte, 1, reading->offset++);
		if (err)
			return err;
		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return 0;
	}
	return refuse(reading, "is no ONNX model");
}

static cvq_err skip_value(struct reading *reading, unsigned wire)
{
	uint64_t length = 0;
	cvq_err err = 0;
	switch (wire) {
	case WIRE_VARINT:
		return read_varint(reading, &length);
	case WIRE_64_BITS:
		length = 8;
		break;
	case WIRE_32_BITS:
		length = 4;
		break;
	case WIRE_LENGTH:
		err = read_varint(reading, &length);
		break;
	default:
		return refuse(reading, "is no ONNX model");
	}
	if (err)
		return err;
	if (length > reading->size - reading->offset)
		return refuse(reading, "is cut off, or no ONNX model");
	reading->offset += length;
	return 0;
}

cvq_err cvq_onnx_check(const struct cvq_source *source, uint64_t size,
		       struct cvq_reason *reason)
{
	struct reading reading = {.source = source, .size = size, .reason = reason};
	bool has_graph = false;
	for (unsigned i = 0; i < MAX_FIELDS && reading.offset < size; i++) {
		uint64_t key;
		cvq_err err = read_varint(&reading, &key);
		if (err)
			return err;
		if (key >> 3 == 0 || key >> 3 > LAST_FIELD)
			return refuse(&reading, "is no ONNX model");
		err = skip_value(&reading, key & 7);
		if (err)
			return err;
		has_graph |= key >> 3 == GRAPH_FIELD && (key & 7) == WIRE_LENGTH;
	}
	if (!has_graph || reading.offset < size)
		return refuse(&reading, "is no ONNX model");
	return 0;
}
