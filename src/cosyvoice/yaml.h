/* SPDX-License-Identifier: MIT */
/*
 * A HyperPyYAML document, read without executing anything
 *
 * libyaml reads the text; this follows the references in it and does their sums.
 * What a !new:, !name: or !apply: would make is not made: of an object its class and
 * its arguments are known, of a call nothing.
 *
 * Facts: speechbrain/HyperPyYAML, hyperpyyaml/core.py.
 *
 * Private to the room.
 */
#ifndef CVQ_COSYVOICE_YAML_H
#define CVQ_COSYVOICE_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Limits: 20 times what the packages have. */
#define CVQ_YAML_MAX_BYTES (128u << 10)
#define CVQ_YAML_MAX_NODES 5000u

struct cvq_yaml;

/* A node of a document; CVQ_YAML_NONE stands for one that is not there. */
typedef int cvq_yaml_node;
#define CVQ_YAML_NONE 0

/*
 * Reads the document, whose root has to be a mapping.  Refuses what HyperPyYAML would:
 * keys that appear twice, merges of what is no mapping, unknown tags, references that
 * lead nowhere or round in a circle.  Returns 0; CVQ_ERR_CONTENT with the reason; -ENOMEM.
 */
cvq_err cvq_yaml_parse(const char *text, size_t length, struct cvq_yaml **yaml,
		       struct cvq_reason *reason);
void cvq_yaml_free(struct cvq_yaml *yaml);

cvq_yaml_node cvq_yaml_root(const struct cvq_yaml *yaml);

/*
 * The value of a key of a mapping, its own or one that it merges with '<<', or the
 * element of a sequence.  A reference is followed to what it refers to.  NONE if there is
 * none, or if 'node' is something else.
 */
cvq_yaml_node cvq_yaml_get(const struct cvq_yaml *yaml, cvq_yaml_node node,
			   const char *key);
cvq_yaml_node cvq_yaml_at(const struct cvq_yaml *yaml, cvq_yaml_node node, size_t index);

/* How many elements a sequence has; false if 'node' is none. */
bool cvq_yaml_count(const struct cvq_yaml *yaml, cvq_yaml_node node, size_t *count);

/* The class of an object without its module: "Qwen2LM" of !new:cosyvoice.llm.llm.Qwen2LM.
 * NULL if the node is no object. */
const char *cvq_yaml_class(const struct cvq_yaml *yaml, cvq_yaml_node node);

/* Whether the node is null, which Python calls None. */
bool cvq_yaml_is_null(const struct cvq_yaml *yaml, cvq_yaml_node node);

/* Whether the node is a tuple, which HyperPyYAML makes of a text in parentheses: "(1, 2)".
 */
bool cvq_yaml_is_tuple(const struct cvq_yaml *yaml, cvq_yaml_node node);

/* The text of a scalar that is no reference, else NULL. */
const char *cvq_yaml_text(const struct cvq_yaml *yaml, cvq_yaml_node node);

/*
 * The whole number that the node is, or that its arithmetic comes to.  Returns 0, or
 * CVQ_ERR_CONTENT with a reason that completes a sentence about it: "is 'many', which
 * is no whole number".
 */
cvq_err cvq_yaml_integer(const struct cvq_yaml *yaml, cvq_yaml_node node, int64_t *number,
			 struct cvq_reason *reason);

/* The whole numbers of a tuple, for which there is room for '*count', and how many they
 * are; false if the tuple holds anything else, or more. */
bool cvq_yaml_tuple(const struct cvq_yaml *yaml, cvq_yaml_node node, int64_t *numbers,
		    size_t *count);

/* The truth value that the node is; as cvq_yaml_integer(). */
cvq_err cvq_yaml_boolean(const struct cvq_yaml *yaml, cvq_yaml_node node, bool *truth,
			 struct cvq_reason *reason);

#endif
