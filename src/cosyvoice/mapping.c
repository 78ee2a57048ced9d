/* SPDX-License-Identifier: MIT */
/*
 * Mappings: their own keys, and those that they merge with "<<: *one" or "<<: [*one, *two]"
 */
#include <string.h>

#include "cosyvoice/document.h"

static bool has_text(const yaml_node_t *node, const char *text, size_t length)
{
	return node->type == YAML_SCALAR_NODE && node->data.scalar.length == length &&
	       memcmp(node->data.scalar.value, text, length) == 0;
}

/* The first of the mapping's own keys that is this one, or NULL. */
static const yaml_node_pair_t *find_own(const struct cvq_yaml *yaml,
					const yaml_node_t *mapping, const char *key,
					size_t length)
{
	const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
	for (; pair < mapping->data.mapping.pairs.top; pair++)
		if (has_text(cvq_node_of(yaml, pair->key), key, length))
			return pair;
	return NULL;
}

/* What follows "<<", which means nothing else unless it is in quotes. */
static cvq_yaml_node find_merged(const struct cvq_yaml *yaml, const yaml_node_t *mapping)
{
	const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
	for (; pair < mapping->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = cvq_node_of(yaml, pair->key);
		if (has_text(key, "<<", 2) &&
		    key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
			return pair->value;
	}
	return CVQ_YAML_NONE;
}

/* One of the mappings that are merged, of which the first goes before the others; NONE
 * behind the last. */
static cvq_yaml_node merged_at(const struct cvq_yaml *yaml, cvq_yaml_node merged,
			       size_t index)
{
	if (merged == CVQ_YAML_NONE)
		return CVQ_YAML_NONE;
	const yaml_node_t *node = cvq_node_of(yaml, merged);
	if (node->type != YAML_SEQUENCE_NODE)
		return index == 0 ? merged : CVQ_YAML_NONE;
	const yaml_node_item_t *items = node->data.sequence.items.start;
	size_t count = (size_t)(node->data.sequence.items.top - items);
	return index < count ? items[index] : CVQ_YAML_NONE;
}

cvq_yaml_node cvq_mapping_find(const struct cvq_yaml *yaml, cvq_yaml_node mapping,
			       const char *key, size_t length)
{
	const yaml_node_t *node = cvq_node_of(yaml, mapping);
	if (node->type != YAML_MAPPING_NODE)
		return CVQ_YAML_NONE;
	const yaml_node_pair_t *own = find_own(yaml, node, key, length);
	if (own)
		return own->value;
	cvq_yaml_node part, found = CVQ_YAML_NONE, merged = find_merged(yaml, node);
	for (size_t i = 0; !found && (part = merged_at(yaml, merged, i)); i++)
		found = cvq_mapping_find(yaml, part, key, length);
	return found;
}

/* ========================================================================== */
/*                                  Checking                                  */
/* ========================================================================== */

static cvq_err check_own(const struct cvq_yaml *yaml, const yaml_node_t *mapping,
			 struct cvq_reason *reason)
{
	const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
	for (; pair < mapping->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = cvq_node_of(yaml, pair->key);
		if (key->type == YAML_SCALAR_NODE &&
		    find_own(yaml, mapping, cvq_scalar_of(key), key->data.scalar.length) !=
			    pair)
			return cvq_explain(reason, CVQ_ERR_CONTENT,
					   "line %lu: the key '%.60s' is there twice",
					   cvq_line_of(key), cvq_scalar_of(key));
	}
	return 0;
}

/* Counts the keys that a search goes through: a mapping can be merged by many ways, and
 * into itself. */
static cvq_err check_merged(const struct cvq_yaml *yaml, const yaml_node_t *mapping,
			    size_t *keys, struct cvq_reason *reason)
{
	if (mapping->type != YAML_MAPPING_NODE)
		return cvq_explain(reason, CVQ_ERR_CONTENT,
				   "line %lu: '<<' merges what is no mapping",
				   cvq_line_of(mapping));
	*keys += 1 + (size_t)(mapping->data.mapping.pairs.top -
			      mapping->data.mapping.pairs.start);
	if (*keys > CVQ_YAML_MAX_NODES)
		return cvq_explain(reason, CVQ_ERR_CONTENT,
				   "line %lu: '<<' merges more than %u keys, which no "
				   "package's does",
				   cvq_line_of(mapping), CVQ_YAML_MAX_NODES);
	cvq_err err = 0;
	cvq_yaml_node part, merged = find_merged(yaml, mapping);
	for (size_t i = 0; !err && (part = merged_at(yaml, merged, i)); i++)
		err = check_merged(yaml, cvq_node_of(yaml, part), keys, reason);
	return err;
}

cvq_err cvq_mapping_check(const struct cvq_yaml *yaml, const yaml_node_t *mapping,
			  struct cvq_reason *reason)
{
	size_t keys = 0;
	cvq_err err = check_own(yaml, mapping, reason);
	return err ? err : check_merged(yaml, mapping, &keys, reason);
}
