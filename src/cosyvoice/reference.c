/* SPDX-License-Identifier: MIT */
/*
 * References: "<key>", "<key[key]>" and "<key.attribute>"
 */
#include <string.h>

#include "cosyvoice/document.h"

#define MAX_STEPS 100

cvq_err cvq_resolver_step(struct cvq_resolver *resolver)
{
	if (++resolver->steps <= MAX_STEPS)
		return 0;
	return cvq_explain(resolver->reason, CVQ_ERR_CONTENT,
			   "leads through too many references");
}

bool cvq_is_reference(const yaml_node_t *node)
{
	const char *tag = (const char *)node->tag;
	return node->type == YAML_SCALAR_NODE &&
	       (strcmp(tag, "!ref") == 0 || strcmp(tag, "!copy") == 0);
}

size_t cvq_reference_length(const char *text)
{
	const char *end = text[0] == '<' ? strchr(text, '>') : NULL;
	return end ? (size_t)(end - text) + 1 : 0;
}

/* Whether the text is a reference and nothing else. */
static bool is_bare(const char *text)
{
	size_t length = cvq_reference_length(text);
	return length > 0 && text[length] == '\0';
}

static cvq_err refuse(const struct cvq_resolver *resolver, const char *name, size_t length,
		      const char *what)
{
	return cvq_explain(resolver->reason, CVQ_ERR_CONTENT, "refers to '%.*s', %s",
			   (int)(length < 60 ? length : 60), name, what);
}

/* HyperPyYAML replaces references from above, and follows none that it has not replaced
 * yet; but where one is replaced within a text, it goes on with the text of the other. */
static bool is_ahead(const struct cvq_resolver *resolver, cvq_yaml_node node, bool last)
{
	const yaml_node_t *target = cvq_node_of(resolver->yaml, node);
	if (resolver->origin == CVQ_YAML_NONE || node < resolver->origin ||
	    !cvq_is_reference(target))
		return false;
	return !(resolver->within && last && is_bare(cvq_scalar_of(target)));
}

/* Behind a dot is the attribute of an object: the argument of that name. */
cvq_err cvq_reference_find(struct cvq_resolver *resolver, const char *text,
			   cvq_yaml_node *node)
{
	const char *end = text + cvq_reference_length(text) - 1;
	const char *name = text + 1;
	cvq_err err = cvq_resolver_step(resolver);
	*node = cvq_yaml_root(resolver->yaml);
	while (!err && name <= end) {
		size_t length = strcspn(name, "[].>");
		*node = cvq_mapping_find(resolver->yaml, *node, name, length);
		if (*node == CVQ_YAML_NONE)
			return refuse(resolver, name, length, "which is not there");
		size_t behind = length + strspn(name + length, "]");
		if (is_ahead(resolver, *node, name + behind == end))
			return refuse(resolver, name, length,
				      "a reference that is not above it");
		err = cvq_reference_follow(resolver, node);
		name += behind + 1;
	}
	return err;
}

cvq_err cvq_reference_follow(struct cvq_resolver *resolver, cvq_yaml_node *node)
{
	const yaml_node_t *target = cvq_node_of(resolver->yaml, *node);
	if (!cvq_is_reference(target))
		return 0;
	const char *text = cvq_scalar_of(target);
	return is_bare(text) ? cvq_reference_find(resolver, text, node) : 0;
}

cvq_err cvq_reference_check(struct cvq_resolver *resolver, const char *text)
{
	cvq_err err = 0;
	resolver->within = !is_bare(text);
	for (text = strchr(text, '<'); text && !err; text = strchr(text + 1, '<')) {
		cvq_yaml_node node;
		if (cvq_reference_length(text) == 0)
			return 0;
		err = cvq_reference_find(resolver, text, &node);
	}
	return err;
}
