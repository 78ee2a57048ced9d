/* SPDX-License-Identifier: MIT */
#include "cli/json.h"

#include <stdio.h>

#include "base/cleanup.h"

json_t *cvq_json_count(uint64_t count)
{
	return json_integer(count < INT64_MAX ? (json_int_t)count : INT64_MAX);
}

int cvq_json_print(json_t *value, int code)
{
	cleanup_free char *text = value ? json_dumps(value, JSON_INDENT(2)) : NULL;
	json_decref(value);
	if (!text)
		return cvq_fail_memory(CVQ_EXIT_OUTPUT);
	puts(text);
	return code;
}
