/* SPDX-License-Identifier: MIT */
/*
 * The elements of tensors: what their types are called, and one of them as text
 */
#ifndef CVQ_CLI_ELEMENT_H
#define CVQ_CLI_ELEMENT_H

#include <stddef.h>
#include <stdint.h>

/* Of the largest element. */
#define CVQ_ELEMENT_BYTES 16

#define CVQ_ELEMENT_TEXT 80

/*
 * torch's name of a type ("float32") that a storage's class ("FloatStorage") or the
 * header of a safetensors file ("F32") names; 'type' itself if it is unknown.
 */
const char *cvq_element_type_name(const char *type);

/*
 * Writes the element as a number and as bits: "0.5 (0x3800)".  'element' has 'size'
 * bytes, in the machine's byte order.  Returns 'text'.
 */
const char *cvq_element_print(const char *type, const void *element, size_t size,
			      char text[CVQ_ELEMENT_TEXT]);

/* A shape or an index, such as "[3, 17]", to be freed; NULL if memory ran out. */
char *cvq_shape_print(const uint64_t *numbers, size_t count);

#endif
