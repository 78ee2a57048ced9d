/* SPDX-License-Identifier: MIT */
#include "pickle/pickle.h"

#include <string.h>

#include "pickle/machine.h"

cvq_err cvq_pickle_parse(const uint8_t *data, size_t length, struct cvq_pickle **pickle,
			 struct cvq_reason *reason)
{
	struct cvq_pickle *parsed = calloc(1, sizeof(*parsed));
	if (!parsed)
		return -ENOMEM;
	parsed->data = data;
	cvq_err err = cvq_machine_run(parsed, length, reason);
	if (!err)
		err = cvq_meaning_find(parsed, reason);
	if (err)
		cvq_pickle_free(parsed);
	else
		*pickle = parsed;
	return err;
}

void cvq_pickle_free(struct cvq_pickle *pickle)
{
	if (!pickle)
		return;
	/* Each tensor's shape heads the allocation of its shape, stride and name. */
	for (size_t i = 0; i < pickle->tensor_count; i++)
		free((void *)(uintptr_t)pickle->tensors[i].shape);
	free(pickle->globals);
	free(pickle->nodes);
	free(pickle->items);
	free(pickle->children);
	free(pickle->storages);
	free(pickle->tensors);
	free(pickle->class_pushes);
	free(pickle->storage_uses);
	free(pickle->frames);
	free(pickle);
}

size_t cvq_pickle_length(const struct cvq_pickle *pickle)
{
	return pickle->length;
}

size_t cvq_pickle_storage_count(const struct cvq_pickle *pickle)
{
	return pickle->storage_count;
}

const struct cvq_storage *cvq_pickle_storage(const struct cvq_pickle *pickle, size_t index)
{
	return &pickle->storages[index];
}

size_t cvq_pickle_tensor_count(const struct cvq_pickle *pickle)
{
	return pickle->tensor_count;
}

const struct cvq_tensor *cvq_pickle_tensor(const struct cvq_pickle *pickle, size_t index)
{
	return &pickle->tensors[index];
}

/* ========================================================================== */
/*                              What the file holds                           */
/* ========================================================================== */

/* The root if it is a dict, or an OrderedDict, else NULL. */
static const struct cvq_pickle_node *root_dict(const struct cvq_pickle *pickle)
{
	if (cvq_value_kind(pickle->root) != VALUE_NODE)
		return NULL;
	const struct cvq_pickle_node *node =
		&pickle->nodes[cvq_value_payload(pickle->root)];
	if (node->type == NODE_DICT)
		return node;
	if (node->type != NODE_CALL || cvq_value_kind(node->callable) != VALUE_GLOBAL)
		return NULL;
	const struct cvq_global *global =
		&pickle->globals[cvq_value_payload(node->callable)];
	return cvq_slice_is(global->name, "OrderedDict") ? node : NULL;
}

/* The key of what lies in a dict, or in a list of pairs. */
static cvq_value key_of(const struct cvq_pickle *pickle, const struct cvq_child *child)
{
	cvq_value key = child->key, value;
	if (child->position != NO_INDEX &&
	    !cvq_pickle_pair(pickle, child->value, &key, &value))
		key = cvq_value_make(VALUE_OTHER, 0);
	return key;
}

/* Adds the keys that are strings to 'keys'. */
static void add_keys(const struct cvq_pickle *pickle, const struct cvq_pickle_node *node,
		     struct cvq_slice *keys, size_t *count)
{
	for (uint32_t i = node->first; i != NO_INDEX; i = pickle->children[i].next) {
		cvq_value key = key_of(pickle, &pickle->children[i]);
		if (cvq_value_kind(key) == VALUE_STRING)
			keys[(*count)++] = cvq_pickle_string(pickle, key);
	}
}

cvq_err cvq_pickle_keys(const struct cvq_pickle *pickle, struct cvq_slice **keys,
			size_t *count, struct cvq_reason *reason)
{
	static const struct cvq_pickle_node none = {.first = NO_INDEX};
	const struct cvq_pickle_node *root = root_dict(pickle);
	if (!root)
		return cvq_explain(reason, CVQ_ERR_CONTENT,
				   "it holds no dict of names to tensors");
	const struct cvq_pickle_node *arguments = cvq_pickle_tuple(pickle, root->arguments);
	const struct cvq_pickle_node *pairs =
		arguments ? cvq_pickle_pairs(pickle, arguments) : NULL;
	if (!pairs)
		pairs = &none;

	size_t all = (size_t)pairs->count + root->count;
	cleanup_free struct cvq_slice *found = calloc(all + 1, sizeof(*found));
	if (!found)
		return -ENOMEM;
	*count = 0;
	add_keys(pickle, pairs, found, count);
	add_keys(pickle, root, found, count);
	if (*count < all)
		return cvq_explain(reason, CVQ_ERR_CONTENT,
				   "its dict has keys that are no strings");
	*keys = steal_pointer(found);
	return 0;
}

static bool is_accepted(const struct cvq_global *global)
{
	static const char *const others[][2] = {
		{"collections", "OrderedDict"}, {"collections", "Counter"},
		{"_codecs", "encode"},          {"builtins", "set"},
		{"__builtin__", "set"},         {"builtins", "bytearray"},
		{"__builtin__", "bytearray"},
	};
	struct cvq_slice module = global->module;
	if (cvq_slice_is(module, "torch") ||
	    (module.length > 6 && memcmp(module.data, "torch.", 6) == 0))
		return true;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (cvq_slice_is(module, others[i][0]) &&
		    cvq_slice_is(global->name, others[i][1]))
			return true;
	return false;
}

bool cvq_pickle_foreign_name(const struct cvq_pickle *pickle, struct cvq_slice *module,
			     struct cvq_slice *name)
{
	for (size_t i = 0; i < pickle->global_count; i++) {
		if (is_accepted(&pickle->globals[i]))
			continue;
		*module = pickle->globals[i].module;
		*name = pickle->globals[i].name;
		return true;
	}
	return false;
}
