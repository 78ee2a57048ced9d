/* SPDX-License-Identifier: MIT */
/*
 * The document under the yaml reader: its nodes, its references and its sums
 *
 * Private to yaml.c, mapping.c, reference.c and arithmetic.c.
 */
#ifndef CVQ_COSYVOICE_DOCUMENT_H
#define CVQ_COSYVOICE_DOCUMENT_H

#include <yaml.h>

#include "cosyvoice/yaml.h"

struct cvq_yaml {
	yaml_document_t document;
};

/* What is behind a node that is not NONE. */
static inline const yaml_node_t *cvq_node_of(const struct cvq_yaml *yaml,
					     cvq_yaml_node node)
{
	return yaml->document.nodes.start + node - 1;
}

static inline const char *cvq_scalar_of(const yaml_node_t *node)
{
	return (const char *)node->data.scalar.value;
}

static inline unsigned long cvq_line_of(const yaml_node_t *node)
{
	return (unsigned long)node->start_mark.line + 1;
}

/* --- mapping.c ------------------------------------------------------------------ */

/* The value of a key of a mapping, its own or one that it merges, as it is written; NONE
 * if there is none. */
cvq_yaml_node cvq_mapping_find(const struct cvq_yaml *yaml, cvq_yaml_node mapping,
			       const char *key, size_t length);

/* Whether the mapping has each key once, and merges mappings, and not too many of them:
 * all mappings have to be checked before anything is found. */
cvq_err cvq_mapping_check(const struct cvq_yaml *yaml, const yaml_node_t *mapping,
			  struct cvq_reason *reason);

/*
 * Finding one value.  A few lines of references to references can stand for billions
 * of them, so all that is done for one value takes from one budget of steps, which
 * bounds the time and the depth of the stack.
 */
struct cvq_resolver {
	const struct cvq_yaml *yaml;
	struct cvq_reason *reason; /* completes a sentence: "refers to ..." */
	cvq_yaml_node origin; /* the reference that is checked; NONE: all were checked */
	bool within;          /* whether there is more to its text, as in a sum */
	unsigned steps;
};

/* --- reference.c ---------------------------------------------------------------- */

/* Takes a step.  Returns 0, or CVQ_ERR_CONTENT if too many were taken. */
cvq_err cvq_resolver_step(struct cvq_resolver *resolver);

/* Whether the node is a !ref or !copy. */
bool cvq_is_reference(const yaml_node_t *node);

/* The length of the reference "<...>" that the text begins with; 0 if with none. */
size_t cvq_reference_length(const char *text);

/* Finds what the reference at 'text' stands for, to the end of all references. */
cvq_err cvq_reference_find(struct cvq_resolver *resolver, const char *text,
			   cvq_yaml_node *node);

/* Follows the node as long as it is nothing but a reference; a sum is where it ends. */
cvq_err cvq_reference_follow(struct cvq_resolver *resolver, cvq_yaml_node *node);

/* Whether all references in the text lead somewhere. */
cvq_err cvq_reference_check(struct cvq_resolver *resolver, const char *text);

/* --- arithmetic.c --------------------------------------------------------------- */

/* A number of Python's. */
struct cvq_yaml_number {
	bool whole;
	int64_t integer; /* if whole */
	double real;     /* if not */
};

/* The number that the whole text is; false if it is none. */
bool cvq_plain_number(const char *text, struct cvq_yaml_number *number);

/* What the text comes to, which has references in it.  Returns 0, or CVQ_ERR_CONTENT
 * with the reason. */
cvq_err cvq_arithmetic(struct cvq_resolver *resolver, const char *text,
		       struct cvq_yaml_number *number);

#endif
