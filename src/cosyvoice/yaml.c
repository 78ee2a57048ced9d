/* SPDX-License-Identifier: MIT */
#include "cosyvoice/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cosyvoice/document.h"

#define NEW_TAG     "!new:"
#define DEFAULT_TAG "tag:yaml.org,2002:"

/* ========================================================================== */
/*                                  Checking                                  */
/* ========================================================================== */

static cvq_yaml_node number_of(const struct cvq_yaml *yaml, const yaml_node_t *node)
{
	return (cvq_yaml_node)(node - yaml->document.nodes.start) + 1;
}

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_known_tag(const char *tag)
{
	static const char *const prefixes[] = {
		NEW_TAG,      "!name:",    "!apply:",   "!module:",
		"!applyref:", "!include:", DEFAULT_TAG, "!python/"};
	static const char *const whole[] = {"!ref", "!copy", "!tuple", "!"};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (has_prefix(tag, prefixes[i]))
			return true;
	for (size_t i = 0; i < sizeof(whole) / sizeof(*whole); i++)
		if (strcmp(tag, whole[i]) == 0)
			return true;
	return false;
}

static cvq_err check_reference(const struct cvq_yaml *yaml, const yaml_node_t *node,
			       struct cvq_reason *reason)
{
	if (!cvq_is_reference(node))
		return 0;
	struct cvq_reason why = {""};
	struct cvq_resolver resolver = {
		.yaml = yaml, .reason = &why, .origin = number_of(yaml, node)};
	cvq_err err = cvq_reference_check(&resolver, cvq_scalar_of(node));
	return err ? cvq_explain(reason, err, "line %lu: '%.60s' %s", cvq_line_of(node),
				 cvq_scalar_of(node), why.text)
		   : 0;
}

static cvq_err check_tag(const yaml_node_t *node, struct cvq_reason *reason)
{
	const char *tag = (const char *)node->tag;
	if (strcmp(tag, "!PLACEHOLDER") == 0)
		return cvq_explain(reason, CVQ_ERR_CONTENT,
				   "line %lu: a !PLACEHOLDER still has to be replaced",
				   cvq_line_of(node));
	if (!is_known_tag(tag))
		return cvq_explain(reason, CVQ_ERR_CONTENT,
				   "line %lu: HyperPyYAML knows no tag '%.60s'",
				   cvq_line_of(node), tag);
	return 0;
}

static cvq_err refuse_size(struct cvq_reason *reason)
{
	return cvq_explain(reason, CVQ_ERR_CONTENT,
			   "it has more than %u nodes, which no package's has",
			   CVQ_YAML_MAX_NODES);
}

static cvq_err check_document(const struct cvq_yaml *yaml, struct cvq_reason *reason)
{
	const yaml_document_t *document = &yaml->document;
	size_t count = (size_t)(document->nodes.top - document->nodes.start);
	if (count == 0)
		return cvq_explain(reason, CVQ_ERR_CONTENT, "it is empty");
	if (count > CVQ_YAML_MAX_NODES)
		return refuse_size(reason);
	if (document->nodes.start->type != YAML_MAPPING_NODE)
		return cvq_explain(reason, CVQ_ERR_CONTENT,
				   "it is not a mapping of names to values");
	cvq_err err = 0;
	for (const yaml_node_t *node = document->nodes.start;
	     node < document->nodes.top && !err; node++) {
		err = check_tag(node, reason);
		if (!err && node->type == YAML_MAPPING_NODE)
			err = cvq_mapping_check(yaml, node, reason);
	}
	for (const yaml_node_t *node = document->nodes.start;
	     node < document->nodes.top && !err; node++)
		err = check_reference(yaml, node, reason);
	return err;
}

/* ========================================================================== */
/*                                   Reading                                  */
/* ========================================================================== */

static cvq_err explain_parser(const yaml_parser_t *parser, struct cvq_reason *reason)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	unsigned long line = (unsigned long)parser->problem_mark.line + 1;
	/* Composing, libyaml refuses anchors that are defined again, as YAML allows. */
	if (parser->error == YAML_COMPOSER_ERROR)
		return cvq_explain(reason, CVQ_ERR_CONTENT,
				   "line %lu: cvq cannot read it: %s", line,
				   parser->context ? parser->context : parser->problem);
	return cvq_explain(reason, CVQ_ERR_CONTENT, "line %lu: it is no YAML: %s", line,
			   parser->problem ? parser->problem : "it cannot be read");
}

static cvq_err start(yaml_parser_t *parser, const char *text, size_t length)
{
	if (!yaml_parser_initialize(parser))
		return -ENOMEM;
	yaml_parser_set_input_string(parser, (const unsigned char *)text, length);
	return 0;
}

/* What a %TAG stands for, libyaml would write into every node that has the tag. */
static cvq_err check_directives(const char *text, size_t length, struct cvq_reason *reason)
{
	yaml_parser_t parser;
	cvq_err err = start(&parser, text, length);
	if (err)
		return err;
	for (int i = 0; i < 2 && !err; i++) { /* the stream begins, then the document */
		yaml_event_t event;
		if (!yaml_parser_parse(&parser, &event)) {
			err = explain_parser(&parser, reason);
			break;
		}
		if (event.type == YAML_DOCUMENT_START_EVENT &&
		    event.data.document_start.tag_directives.start !=
			    event.data.document_start.tag_directives.end)
			err = cvq_explain(
				reason, CVQ_ERR_CONTENT,
				"it has %%TAG directives, which no package's has");
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return err;
}

/* Whether nothing follows the document. */
static cvq_err check_end(yaml_parser_t *parser, struct cvq_reason *reason)
{
	yaml_event_t event;
	if (!yaml_parser_parse(parser, &event))
		return explain_parser(parser, reason);
	bool another = event.type == YAML_DOCUMENT_START_EVENT;
	yaml_event_delete(&event);
	return another ? cvq_explain(reason, CVQ_ERR_CONTENT,
				     "it holds more than one document")
		       : 0;
}

static cvq_err load(const char *text, size_t length, struct cvq_yaml *yaml,
		    struct cvq_reason *reason)
{
	yaml_parser_t parser;
	cvq_err err = start(&parser, text, length);
	if (err)
		return err;
	if (!yaml_parser_load(&parser, &yaml->document))
		err = explain_parser(&parser, reason);
	if (!err)
		err = check_end(&parser, reason);
	yaml_parser_delete(&parser);
	return err ? err : check_document(yaml, reason);
}

/* libyaml compares each anchor and each directive with all others, and each token with
 * all open brackets. */
static bool is_dear(const char *text, size_t length)
{
	size_t count = 0;
	for (size_t i = 0; i < length; i++)
		count += text[i] != '\0' && strchr("[{&*%", text[i]);
	return count > CVQ_YAML_MAX_NODES;
}

cvq_err cvq_yaml_parse(const char *text, size_t length, struct cvq_yaml **yaml,
		       struct cvq_reason *reason)
{
	if (length > CVQ_YAML_MAX_BYTES)
		return cvq_explain(reason, CVQ_ERR_CONTENT,
				   "it is larger than %u KiB, which no package's is",
				   CVQ_YAML_MAX_BYTES >> 10);
	if (is_dear(text, length))
		return refuse_size(reason);
	cvq_err err = check_directives(text, length, reason);
	if (err)
		return err;
	struct cvq_yaml *read = calloc(1, sizeof(*read));
	if (!read)
		return -ENOMEM;
	err = load(text, length, read, reason);
	if (err)
		cvq_yaml_free(read);
	else
		*yaml = read;
	return err;
}

void cvq_yaml_free(struct cvq_yaml *yaml)
{
	if (!yaml)
		return;
	yaml_document_delete(&yaml->document);
	free(yaml);
}

/* ========================================================================== */
/*                                    Nodes                                   */
/* ========================================================================== */

cvq_yaml_node cvq_yaml_root(const struct cvq_yaml *yaml)
{
	(void)yaml;
	return 1;
}

/* The node, followed if it is a reference; NULL if there is none. */
static const yaml_node_t *followed(const struct cvq_yaml *yaml, cvq_yaml_node *node)
{
	struct cvq_resolver resolver = {.yaml = yaml};
	if (*node == CVQ_YAML_NONE || cvq_reference_follow(&resolver, node))
		return NULL;
	return cvq_node_of(yaml, *node);
}

cvq_yaml_node cvq_yaml_get(const struct cvq_yaml *yaml, cvq_yaml_node node, const char *key)
{
	if (!followed(yaml, &node))
		return CVQ_YAML_NONE;
	cvq_yaml_node value = cvq_mapping_find(yaml, node, key, strlen(key));
	return followed(yaml, &value) ? value : CVQ_YAML_NONE;
}

cvq_yaml_node cvq_yaml_at(const struct cvq_yaml *yaml, cvq_yaml_node node, size_t index)
{
	size_t count;
	if (!cvq_yaml_count(yaml, node, &count) || index >= count)
		return CVQ_YAML_NONE;
	const yaml_node_t *sequence = followed(yaml, &node);
	cvq_yaml_node item = sequence->data.sequence.items.start[index];
	return followed(yaml, &item) ? item : CVQ_YAML_NONE;
}

bool cvq_yaml_count(const struct cvq_yaml *yaml, cvq_yaml_node node, size_t *count)
{
	const yaml_node_t *sequence = followed(yaml, &node);
	if (!sequence || sequence->type != YAML_SEQUENCE_NODE ||
	    !has_prefix((const char *)sequence->tag, DEFAULT_TAG))
		return false;
	*count = (size_t)(sequence->data.sequence.items.top -
			  sequence->data.sequence.items.start);
	return true;
}

const char *cvq_yaml_class(const struct cvq_yaml *yaml, cvq_yaml_node node)
{
	const yaml_node_t *object = followed(yaml, &node);
	if (!object || !has_prefix((const char *)object->tag, NEW_TAG))
		return NULL;
	const char *path = (const char *)object->tag + strlen(NEW_TAG);
	const char *dot = strrchr(path, '.');
	return dot ? dot + 1 : path;
}

const char *cvq_yaml_text(const struct cvq_yaml *yaml, cvq_yaml_node node)
{
	const yaml_node_t *scalar = followed(yaml, &node);
	if (!scalar || scalar->type != YAML_SCALAR_NODE || cvq_is_reference(scalar))
		return NULL;
	return cvq_scalar_of(scalar);
}

/* The text of a scalar without quotes, which may be more than that; else NULL. */
static const char *plain_text(const struct cvq_yaml *yaml, cvq_yaml_node node)
{
	const yaml_node_t *scalar = followed(yaml, &node);
	return scalar && scalar->type == YAML_SCALAR_NODE &&
			       scalar->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
			       has_prefix((const char *)scalar->tag, DEFAULT_TAG)
		       ? cvq_scalar_of(scalar)
		       : NULL;
}

bool cvq_yaml_is_null(const struct cvq_yaml *yaml, cvq_yaml_node node)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};
	const char *text = plain_text(yaml, node);
	for (size_t i = 0; text && i < sizeof(words) / sizeof(*words); i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return false;
}

bool cvq_yaml_is_tuple(const struct cvq_yaml *yaml, cvq_yaml_node node)
{
	const char *text = plain_text(yaml, node);
	return text && text[0] == '(' && text[strlen(text) - 1] == ')';
}

/* ========================================================================== */
/*                                   Values                                   */
/* ========================================================================== */

/* A scalar in whose place a value of the type 'what' should be. */
static cvq_err find_scalar(const struct cvq_yaml *yaml, cvq_yaml_node node,
			   const char *what, const yaml_node_t **scalar,
			   struct cvq_reason *reason)
{
	if (node == CVQ_YAML_NONE)
		return cvq_explain(reason, CVQ_ERR_CONTENT, "is missing");
	struct cvq_resolver resolver = {.yaml = yaml, .reason = reason};
	cvq_err err = cvq_reference_follow(&resolver, &node);
	if (err)
		return err;
	*scalar = cvq_node_of(yaml, node);
	const char *tag = (const char *)(*scalar)->tag;
	bool known = has_prefix(tag, DEFAULT_TAG) || cvq_is_reference(*scalar);
	if ((*scalar)->type == YAML_SCALAR_NODE && known)
		return 0;
	if (known)
		return cvq_explain(reason, CVQ_ERR_CONTENT, "is a list or mapping, not %s",
				   what);
	return cvq_explain(reason, CVQ_ERR_CONTENT,
			   "comes from %.60s, which cvq does not execute", tag);
}

cvq_err cvq_yaml_integer(const struct cvq_yaml *yaml, cvq_yaml_node node, int64_t *number,
			 struct cvq_reason *reason)
{
	const yaml_node_t *scalar;
	cvq_err err = find_scalar(yaml, node, "a whole number", &scalar, reason);
	if (err)
		return err;
	const char *text = cvq_scalar_of(scalar);
	struct cvq_resolver resolver = {.yaml = yaml, .reason = reason};
	struct cvq_yaml_number value = {0};
	if (cvq_is_reference(scalar))
		err = cvq_arithmetic(&resolver, text, &value);
	else if (scalar->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		err = cvq_explain(reason, CVQ_ERR_CONTENT,
				  "is the text '%.60s' (write it without quotes)", text);
	else if (!cvq_plain_number(text, &value))
		err = cvq_explain(reason, CVQ_ERR_CONTENT, "is '%.60s', which is no number",
				  text);
	if (err)
		return err;
	if (!value.whole)
		return cvq_explain(reason, CVQ_ERR_CONTENT,
				   "is %g, which is no whole number", value.real);
	*number = value.integer;
	return 0;
}

/* Between the commas; the last number may have one behind it. */
static bool read_tuple(char *inside, int64_t *numbers, size_t *count)
{
	size_t room = *count;
	*count = 0;
	for (char *item; (item = strsep(&inside, ","));) {
		struct cvq_yaml_number number = {0};
		item += strspn(item, " ");
		for (size_t i = strlen(item); i > 0 && item[i - 1] == ' '; i--)
			item[i - 1] = '\0';
		if (*item == '\0' && !inside)
			break;
		if (*count == room || !cvq_plain_number(item, &number) || !number.whole)
			return false;
		numbers[(*count)++] = number.integer;
	}
	return true;
}

bool cvq_yaml_tuple(const struct cvq_yaml *yaml, cvq_yaml_node node, int64_t *numbers,
		    size_t *count)
{
	if (!cvq_yaml_is_tuple(yaml, node))
		return false;
	const char *text = plain_text(yaml, node);
	size_t length = strlen(text) - 2; /* without the parentheses */
	char inside[512];
	if (length >= sizeof(inside))
		return false;
	memcpy(inside, text + 1, length);
	inside[length] = '\0';
	return read_tuple(inside, numbers, count);
}

cvq_err cvq_yaml_boolean(const struct cvq_yaml *yaml, cvq_yaml_node node, bool *truth,
			 struct cvq_reason *reason)
{
	static const char *const words[2][3] = {{"false", "False", "FALSE"},
						{"true", "True", "TRUE"}};
	const yaml_node_t *scalar;
	cvq_err err = find_scalar(yaml, node, "True or False", &scalar, reason);
	if (err)
		return err;
	for (size_t i = 0; i < 6; i++) {
		if (strcmp(cvq_scalar_of(scalar), words[i / 3][i % 3]) == 0) {
			*truth = i / 3 == 1;
			return 0;
		}
	}
	return cvq_explain(reason, CVQ_ERR_CONTENT, "is '%.60s', neither True nor False",
			   cvq_scalar_of(scalar));
}
