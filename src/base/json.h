/* SPDX-License-Identifier: MIT */
/*
 * JSON: what a text will cost before it is parsed, and text that may be no UTF-8
 *
 * The parser makes some 200 to 300 bytes of "{}", so a text of a few megabytes can take
 * gigabytes.
 */
#ifndef CVQ_BASE_JSON_H
#define CVQ_BASE_JSON_H

#include <jansson.h>
#include <stddef.h>

/* What an object or array costs: so many times as much as a number, with its comma. */
#define CVQ_JSON_CONTAINER_COST 4u

/*
 * Counts commas, and what opens an object or array CVQ_JSON_CONTAINER_COST times; not
 * those in strings.  A unit stands for some 40 to 180 bytes of memory.
 */
size_t cvq_json_cost(const char *text, size_t length);

/* A path or name as JSON, which insists on UTF-8: what is none is shown as '?'.  A new
 * reference; NULL if memory ran out. */
json_t *cvq_json_text(const char *text);

#endif
