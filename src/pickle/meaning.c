/* SPDX-License-Identifier: MIT */
/*
 * What the graph means: tensors with their names, and which storages are plain
 *
 * A storage may change its element type only if nothing but plain tensors and
 * parameters can see it.  So the walk visits every way from the root: what lies
 * in lists, dicts, object attributes and the rebuild functions listed below is
 * understood; what is an argument of any other function is kept as it is, since
 * that function may rely on its type; a wrapper subclass, which repeats the
 * type in places of its own, makes the file one that cvq does not understand.
 *
 * Facts: torch/_utils.py, torch/_tensor.py (rebuild functions), torch/jit/_pickle.py
 * (what C++ names).
 */
#include <stdio.h>
#include <string.h>

#include "pickle/machine.h"

struct walk {
	struct cvq_pickle *pickle;
	struct cvq_reason *reason;
	struct cvq_buffer name; /* of the value being looked at */
	bool fixed_length;      /* of the storages that are met */
	unsigned nesting;
	size_t steps;
	size_t name_bytes; /* written so far, of all names */
};

/* What a value is used for. */
enum use {
	USE_DATA,     /* plain data: a tensor in it may change its type */
	USE_ARGUMENT, /* an unknown function sees it */
};

static cvq_err walk_value(struct walk *walk, cvq_value value, enum use use);
static cvq_err walk_entry(struct walk *walk, cvq_value key, cvq_value value, enum use use);
static cvq_err walk_child(struct walk *walk, const struct cvq_child *child, enum use use);

static cvq_err not_understood(struct walk *walk, const char *what)
{
	return cvq_explain(walk->reason, CVQ_ERR_CONTENT, "its pickle %s", what);
}

/* Whatever the walk does once more, it counts: a small pickle may have many ways. */
static cvq_err count_steps(struct walk *walk, size_t steps)
{
	walk->steps += steps;
	if (walk->steps > CVQ_PICKLE_MAX_STEPS || walk->name_bytes > CVQ_PICKLE_MAX_NAMES)
		return not_understood(walk, "has too many ways to its objects");
	return 0;
}

/* For whatever calls itself; on success 'nesting' is to be lowered again. */
static cvq_err descend(struct walk *walk)
{
	if (walk->nesting == CVQ_PICKLE_MAX_NESTING)
		return not_understood(walk, "is nested too deeply");
	walk->nesting++;
	return 0;
}

/* ========================================================================== */
/*                                   Names                                    */
/* ========================================================================== */

static void append_part(struct walk *walk, const char *text, size_t length)
{
	if (walk->name.length > 0)
		cvq_buffer_append(&walk->name, ".", 1);
	size_t first = walk->name.length;
	cvq_buffer_append(&walk->name, text, length);
	for (size_t i = first; i < walk->name.length; i++)
		if (walk->name.data[i] == '\0')
			walk->name.data[i] = '?';
	walk->name_bytes += length;
}

static void append_number(struct walk *walk, int64_t number)
{
	char text[24];
	int length = snprintf(text, sizeof(text), "%lld", (long long)number);
	append_part(walk, text, (size_t)length);
}

static void append_key(struct walk *walk, cvq_value key)
{
	int64_t number;
	if (cvq_value_kind(key) == VALUE_STRING) {
		struct cvq_slice text = cvq_pickle_string(walk->pickle, key);
		append_part(walk, text.data, text.length);
	} else if (cvq_pickle_int(walk->pickle, key, &number)) {
		append_number(walk, number);
	} else {
		append_part(walk, "?", 1);
	}
}

/* ========================================================================== */
/*                                  Tensors                                   */
/* ========================================================================== */

/* Reads a tuple of numbers such as a shape.  'numbers' has room for 'count'. */
static bool read_numbers(const struct cvq_pickle *pickle,
			 const struct cvq_pickle_node *tuple, uint64_t *numbers)
{
	for (uint32_t i = 0; i < tuple->count; i++) {
		int64_t number;
		if (!cvq_pickle_int(pickle, pickle->items[tuple->first + i], &number) ||
		    number < 0)
			return false;
		numbers[i] = (uint64_t)number;
	}
	return true;
}

/* Whether all elements of the tensor, if it has any, lie inside its storage. */
static bool fits_storage(const struct cvq_tensor *tensor, uint64_t numel)
{
	uint64_t last = tensor->offset;
	bool overflow = false;
	for (uint32_t i = 0; i < tensor->dimensions; i++) {
		if (tensor->shape[i] == 0)
			return true;
		uint64_t reach;
		overflow |= __builtin_mul_overflow(tensor->shape[i] - 1, tensor->stride[i],
						   &reach);
		overflow |= __builtin_add_overflow(last, reach, &last);
	}
	return !overflow && last < numel;
}

/* Adds the tensor that torch would build from these fields under the current
 * name; 'offset' counts from the first element that 'use' stands for. */
static cvq_err add_tensor(struct walk *walk, const struct cvq_storage_use *use,
			  uint64_t offset, const struct cvq_pickle_node *shape,
			  const struct cvq_pickle_node *stride)
{
	struct cvq_pickle *pickle = walk->pickle;
	walk->name_bytes += walk->name.length + 1;
	if (pickle->tensor_count >= CVQ_PICKLE_MAX_TENSORS ||
	    walk->name_bytes > CVQ_PICKLE_MAX_NAMES)
		return not_understood(walk, "holds too many tensors");
	if (shape->count > CVQ_PICKLE_MAX_DIMENSIONS)
		return not_understood(walk, "has a tensor of too many dimensions");
	cvq_err err = count_steps(walk, 2 * (size_t)shape->count);
	if (err)
		return err;
	if (cvq_grow((void **)&pickle->tensors, &pickle->tensor_capacity,
		     pickle->tensor_count, sizeof(*pickle->tensors)))
		return -ENOMEM;

	/* One allocation: shape, stride, name. */
	size_t numbers = 2 * (size_t)shape->count * sizeof(uint64_t);
	uint64_t *block = malloc(numbers + walk->name.length + 1);
	if (!block)
		return -ENOMEM;
	char *name = (char *)block + numbers;
	if (walk->name.length)
		memcpy(name, walk->name.data, walk->name.length);
	name[walk->name.length] = '\0';
	struct cvq_tensor *tensor = &pickle->tensors[pickle->tensor_count++];
	*tensor = (struct cvq_tensor){
		.name = name,
		.storage = use->storage,
		.dimensions = shape->count,
		.offset = use->first + offset,
		.shape = block,
		.stride = block + shape->count,
	};
	if (!read_numbers(pickle, shape, block) ||
	    !read_numbers(pickle, stride, block + shape->count))
		return not_understood(walk, "has a tensor of an unknown form");
	if (!fits_storage(tensor, use->first + use->count))
		return cvq_explain(walk->reason, CVQ_ERR_CONTENT,
				   "its tensor '%.100s' reaches beyond its storage", name);
	return 0;
}

/* _rebuild_tensor(storage, offset, size, stride), and v2, which has more behind. */
static cvq_err read_tensor(struct walk *walk, const struct cvq_pickle_node *arguments,
			   enum use use)
{
	struct cvq_pickle *pickle = walk->pickle;
	if (arguments->count < 4)
		return not_understood(walk, "has a tensor of an unknown form");
	const cvq_value *fields = &pickle->items[arguments->first];
	int64_t offset;
	if (cvq_value_kind(fields[0]) != VALUE_STORAGE ||
	    !cvq_pickle_int(pickle, fields[1], &offset) || offset < 0)
		return not_understood(walk, "has a tensor of an unknown form");
	const struct cvq_pickle_node *shape = cvq_pickle_tuple(pickle, fields[2]);
	const struct cvq_pickle_node *stride = cvq_pickle_tuple(pickle, fields[3]);
	if (!shape || !stride || shape->count != stride->count)
		return not_understood(walk, "has a tensor of an unknown form");

	const struct cvq_storage_use *elements =
		&pickle->storage_uses[cvq_value_payload(fields[0])];
	if (use == USE_ARGUMENT)
		pickle->storages[elements->storage].plain = false;
	if (walk->fixed_length)
		pickle->storages[elements->storage].fixed_length = true;
	cvq_err err = add_tensor(walk, elements, (uint64_t)offset, shape, stride);
	/* requires_grad, hooks, metadata */
	for (uint32_t i = 4; i < arguments->count && !err; i++)
		err = walk_value(walk, fields[i], USE_ARGUMENT);
	return err;
}

/* ========================================================================== */
/*                                  Functions                                 */
/* ========================================================================== */

typedef cvq_err read_function(struct walk *walk, const struct cvq_pickle_node *arguments,
			      enum use use);

static cvq_err call(struct walk *walk, cvq_value callable, cvq_value arguments,
		    enum use use);

/* Every argument is data: containers, and tensors made of other tensors. */
static cvq_err read_all(struct walk *walk, const struct cvq_pickle_node *arguments,
			enum use use)
{
	cvq_err err = 0;
	for (uint32_t i = 0; i < arguments->count && !err; i++)
		err = walk_value(walk, walk->pickle->items[arguments->first + i], use);
	return err;
}

/* dict(), or dict([[key, value], ...]), which names them by their keys. */
static cvq_err read_dict(struct walk *walk, const struct cvq_pickle_node *arguments,
			 enum use use)
{
	const struct cvq_pickle *pickle = walk->pickle;
	const struct cvq_pickle_node *pairs = cvq_pickle_pairs(pickle, arguments);
	if (!pairs)
		return read_all(walk, arguments, use);
	cvq_err err = 0;
	for (uint32_t i = pairs->first; i != NO_INDEX && !err;
	     i = pickle->children[i].next) {
		const struct cvq_child *child = &pickle->children[i];
		cvq_value key, value;
		err = cvq_pickle_pair(pickle, child->value, &key, &value)
			      ? walk_entry(walk, key, value, use)
			      : walk_child(walk, child, use);
	}
	return err;
}

/* _rebuild_sparse_tensor(layout, (indices, values, ...)): all go by the tensor's name. */
static cvq_err read_sparse(struct walk *walk, const struct cvq_pickle_node *arguments,
			   enum use use)
{
	cvq_err err = 0;
	for (uint32_t i = 0; i < arguments->count && !err; i++) {
		cvq_value argument = walk->pickle->items[arguments->first + i];
		const struct cvq_pickle_node *parts =
			cvq_pickle_tuple(walk->pickle, argument);
		err = parts ? read_all(walk, parts, use) : walk_value(walk, argument, use);
	}
	return err;
}

/* _rebuild_nested_tensor(buffer, sizes, strides, offsets): torch wants the buffer's
 * storage to have not one element more than it needs. */
static cvq_err read_nested(struct walk *walk, const struct cvq_pickle_node *arguments,
			   enum use use)
{
	bool outer = walk->fixed_length;
	walk->fixed_length = true;
	cvq_err err = read_all(walk, arguments, use);
	walk->fixed_length = outer;
	return err;
}

/* _rebuild_parameter(data, requires_grad, hooks[, state]) */
static cvq_err read_parameter(struct walk *walk, const struct cvq_pickle_node *arguments,
			      enum use use)
{
	if (arguments->count < 3)
		return not_understood(walk, "has a parameter of an unknown form");
	const cvq_value *fields = &walk->pickle->items[arguments->first];
	cvq_err err = walk_value(walk, fields[0], use);
	if (!err)
		err = walk_value(walk, fields[2], USE_ARGUMENT);
	if (!err && arguments->count > 3)
		err = walk_value(walk, fields[3], use);
	return err;
}

/* _rebuild_from_type_v2(function, type, arguments, state) */
static cvq_err read_typed(struct walk *walk, const struct cvq_pickle_node *arguments,
			  enum use use)
{
	if (arguments->count != 4)
		return not_understood(walk, "has a tensor subclass of an unknown form");
	const cvq_value *fields = &walk->pickle->items[arguments->first];
	cvq_err err = descend(walk);
	if (!err) {
		err = call(walk, fields[0], fields[2], use);
		walk->nesting--;
	}
	return err ? err : walk_value(walk, fields[3], use);
}

static cvq_err refuse_wrapper(struct walk *walk, const struct cvq_pickle_node *arguments,
			      enum use use)
{
	(void)arguments;
	(void)use;
	return not_understood(walk,
			      "has a wrapper subclass of tensor, whose parts cvq cannot "
			      "tell apart");
}

static const struct function {
	const char *module;
	const char *name;
	read_function *read;
} functions[] = {
	{"torch._utils", "_rebuild_tensor_v2", read_tensor},
	{"torch._utils", "_rebuild_tensor", read_tensor},
	{"torch._utils", "_rebuild_parameter", read_parameter},
	{"torch._utils", "_rebuild_parameter_with_state", read_parameter},
	{"torch._tensor", "_rebuild_from_type", read_typed},
	{"torch._tensor", "_rebuild_from_type_v2", read_typed},
	{"torch._utils", "_rebuild_sparse_tensor", read_sparse},
	{"torch._utils", "_rebuild_sparse_csr_tensor", read_sparse},
	{"torch._utils", "_rebuild_nested_tensor", read_nested},
	{"torch._utils", "_rebuild_wrapper_subclass", refuse_wrapper},
	{"collections", "OrderedDict", read_dict},
	{"collections", "defaultdict", read_all},
	{"collections", "Counter", read_all},
	{"copyreg", "_reconstructor", read_all},
	{"copy_reg", "_reconstructor", read_all},
	{"builtins", "dict", read_dict},
	{"builtins", "list", read_all},
	{"builtins", "set", read_all},
	{"builtins", "frozenset", read_all},
	{"__builtin__", "dict", read_dict},
	{"__builtin__", "list", read_all},
	{"__builtin__", "set", read_all},
	{"__builtin__", "frozenset", read_all},
	{"torch", "Size", read_all},
	{"torch.jit._pickle", "build_tensorlist", read_all},
	{"torch.jit._pickle", "restore_type_tag", read_all},
};

static const struct function *find_function(const struct walk *walk, cvq_value callable)
{
	if (cvq_value_kind(callable) != VALUE_GLOBAL)
		return NULL;
	const struct cvq_global *global =
		&walk->pickle->globals[cvq_value_payload(callable)];
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++)
		if (cvq_slice_is(global->module, functions[i].module) &&
		    cvq_slice_is(global->name, functions[i].name))
			return &functions[i];
	return NULL;
}

static cvq_err call(struct walk *walk, cvq_value callable, cvq_value arguments,
		    enum use use)
{
	const struct cvq_pickle_node *tuple = cvq_pickle_tuple(walk->pickle, arguments);
	const struct function *function = find_function(walk, callable);
	if (function && tuple)
		return function->read(walk, tuple, use);
	cvq_err err = walk_value(walk, callable, USE_ARGUMENT);
	return err ? err : walk_value(walk, arguments, USE_ARGUMENT);
}

/* ========================================================================== */
/*                                  The walk                                  */
/* ========================================================================== */

/* What lies in a dict; the key goes by its own name. */
static cvq_err walk_entry(struct walk *walk, cvq_value key, cvq_value value, enum use use)
{
	size_t length = walk->name.length;
	append_key(walk, key);
	cvq_err err = walk_value(walk, key, use);
	if (!err)
		err = walk_value(walk, value, use);
	walk->name.length = length;
	return err;
}

/* What lies in a list or tuple. */
static cvq_err walk_item(struct walk *walk, uint32_t position, cvq_value value,
			 enum use use)
{
	size_t length = walk->name.length;
	append_number(walk, position);
	cvq_err err = walk_value(walk, value, use);
	walk->name.length = length;
	return err;
}

static cvq_err walk_child(struct walk *walk, const struct cvq_child *child, enum use use)
{
	return child->position == NO_INDEX
		       ? walk_entry(walk, child->key, child->value, use)
		       : walk_item(walk, child->position, child->value, use);
}

static cvq_err walk_children(struct walk *walk, const struct cvq_pickle_node *node,
			     enum use use)
{
	const struct cvq_child *children = walk->pickle->children;
	cvq_err err = 0;
	for (uint32_t i = node->first; i != NO_INDEX && !err; i = children[i].next)
		err = walk_child(walk, &children[i], use);
	return err;
}

static cvq_err walk_tuple(struct walk *walk, const struct cvq_pickle_node *node,
			  enum use use)
{
	cvq_err err = 0;
	for (uint32_t i = 0; i < node->count && !err; i++)
		err = walk_item(walk, i, walk->pickle->items[node->first + i], use);
	return err;
}

static cvq_err walk_node(struct walk *walk, const struct cvq_pickle_node *node,
			 enum use use)
{
	cvq_err err = 0;
	if (node->type == NODE_TUPLE)
		return walk_tuple(walk, node, use);
	if (node->type == NODE_CALL)
		err = call(walk, node->callable, node->arguments, use);
	else if (node->type == NODE_OBJECT)
		err = walk_value(walk, node->arguments, use);
	if (!err)
		err = walk_value(walk, node->state, use);
	return err ? err : walk_children(walk, node, use);
}

static cvq_err walk_value(struct walk *walk, cvq_value value, enum use use)
{
	struct cvq_pickle *pickle = walk->pickle;
	cvq_err err = count_steps(walk, 1);
	if (err)
		return err;
	/* A storage that is met here is no tensor's: somebody saved it as it is. */
	if (cvq_value_kind(value) == VALUE_STORAGE)
		pickle->storages[pickle->storage_uses[cvq_value_payload(value)].storage]
			.plain = false;
	if (cvq_value_kind(value) != VALUE_NODE)
		return 0;

	struct cvq_pickle_node *node = &pickle->nodes[cvq_value_payload(value)];
	if (node->on_path)
		return 0;
	err = descend(walk);
	if (err)
		return err;
	node->on_path = true;
	err = walk_node(walk, node, use);
	node->on_path = false;
	walk->nesting--;
	return err ? err : walk->name.error;
}

cvq_err cvq_meaning_find(struct cvq_pickle *pickle, struct cvq_reason *reason)
{
	struct walk walk = {.pickle = pickle, .reason = reason};
	cvq_err err = walk_value(&walk, pickle->root, USE_DATA);
	cvq_buffer_release(&walk.name);
	return err;
}
