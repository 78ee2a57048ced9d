/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

size_t cvq_json_cost(const char *text, size_t length)
{
	size_t cost = 0;
	bool in_string = false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '"')
			in_string = !in_string;
		else if (in_string)
			i += text[i] == '\\'; /* what is escaped ends no string */
		else if (text[i] == '{' || text[i] == '[')
			cost += CVQ_JSON_CONTAINER_COST;
		else if (text[i] == ',')
			cost++;
	}
	return cost;
}

json_t *cvq_json_text(const char *text)
{
	json_t *exact = json_string(text);
	if (exact)
		return exact;
	cleanup_free char *readable = strdup(text);
	if (!readable)
		return NULL;
	cvq_make_readable(readable);
	return json_string(readable);
}
