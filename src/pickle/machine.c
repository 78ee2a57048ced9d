/* SPDX-License-Identifier: MIT */
/*
 * The machine: a stack, a memo, and one short function per family of opcodes
 *
 * It builds a graph of what the stream would build, without names for what does
 * not matter, and notes where the stream says what a rewrite may change: the
 * class FloatStorage, the length of a storage, and frames.
 *
 * Numbers and classes are pushed once and used once in every pickle that torch
 * writes.  A stream that takes a number from the memo gets VALUE_OTHER for it,
 * so nothing that a rewrite changes can be shared with something it must not.
 */
#include "pickle/machine.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "pickle/opcodes.h"
#include "pickle/storages.h"

struct machine {
	struct cvq_pickle *pickle;
	struct cvq_reason *reason;
	size_t available;
	size_t offset; /* of the current instruction */
	struct cvq_instruction instruction;

	cvq_value *stack;
	size_t depth, stack_capacity;
	size_t *marks; /* stack depths */
	size_t mark_count, mark_capacity;
	cvq_value *memo;
	uint8_t *memo_set;
	size_t memo_size; /* slots allocated */
	size_t memo_used; /* number of MEMOIZE, which number slots by counting */
	struct cvq_storage_index index;
	bool stopped;
};

/* ========================================================================== */
/*                              Stack and marks                               */
/* ========================================================================== */

static cvq_err not_understood(struct machine *machine, const char *what)
{
	return cvq_explain(machine->reason, CVQ_ERR_CONTENT, "its pickle %s at byte %zu",
			   what, machine->offset);
}

static cvq_err push(struct machine *machine, cvq_value value)
{
	if (machine->depth == CVQ_PICKLE_MAX_VALUES)
		return not_understood(machine, "needs too deep a stack");
	if (cvq_grow((void **)&machine->stack, &machine->stack_capacity, machine->depth,
		     sizeof(*machine->stack)))
		return -ENOMEM;
	machine->stack[machine->depth++] = value;
	return 0;
}

/* Values below the last mark are out of an opcode's reach. */
static size_t reachable(const struct machine *machine)
{
	size_t floor = machine->mark_count ? machine->marks[machine->mark_count - 1] : 0;
	return machine->depth - floor;
}

static cvq_err need(struct machine *machine, size_t count)
{
	return reachable(machine) >= count ? 0
					   : not_understood(machine, "lacks an operand");
}

static cvq_value pop(struct machine *machine)
{
	return machine->stack[--machine->depth];
}

static cvq_err push_mark(struct machine *machine)
{
	if (machine->mark_count == CVQ_PICKLE_MAX_VALUES)
		return not_understood(machine, "needs too deep a stack");
	if (cvq_grow((void **)&machine->marks, &machine->mark_capacity, machine->mark_count,
		     sizeof(*machine->marks)))
		return -ENOMEM;
	machine->marks[machine->mark_count++] = machine->depth;
	return 0;
}

/* Removes the last mark; the values above it are '*count' from '*first' on. */
static cvq_err pop_mark(struct machine *machine, size_t *first, size_t *count)
{
	if (machine->mark_count == 0)
		return not_understood(machine, "lacks a mark");
	*first = machine->marks[--machine->mark_count];
	*count = machine->depth - *first;
	return 0;
}

/* ========================================================================== */
/*                                    Memo                                    */
/* ========================================================================== */

static cvq_err memo_put(struct machine *machine, size_t slot)
{
	cvq_err err = need(machine, 1);
	if (err)
		return err;
	/* Picklers number their slots one by one. */
	if (slot >= CVQ_PICKLE_MAX_VALUES)
		return not_understood(machine, "uses an impossible memo slot");
	if (slot >= machine->memo_size) {
		size_t size = machine->memo_size ? machine->memo_size : 1024;
		while (size <= slot)
			size *= 2;
		cvq_value *memo = reallocarray(machine->memo, size, sizeof(*memo));
		if (!memo)
			return -ENOMEM;
		machine->memo = memo;
		uint8_t *set = realloc(machine->memo_set, size);
		if (!set)
			return -ENOMEM;
		machine->memo_set = set;
		memset(set + machine->memo_size, 0, size - machine->memo_size);
		machine->memo_size = size;
	}
	cvq_value value = machine->stack[machine->depth - 1];
	if (cvq_value_kind(value) == VALUE_INT)
		value = cvq_value_make(VALUE_OTHER, 0);
	machine->memo[slot] = value;
	machine->memo_set[slot] = 1;
	return 0;
}

/* A new place that pushes the class FloatStorage. */
static cvq_err push_class(struct machine *machine, bool stack_global)
{
	struct cvq_pickle *pickle = machine->pickle;
	if (pickle->class_push_count >= CVQ_PICKLE_MAX_VALUES)
		return not_understood(machine, "names too many classes");
	if (cvq_grow((void **)&pickle->class_pushes, &pickle->class_push_capacity,
		     pickle->class_push_count, sizeof(*pickle->class_pushes)))
		return -ENOMEM;
	pickle->class_pushes[pickle->class_push_count] = (struct cvq_class_push){
		.offset = (uint32_t)machine->offset,
		.length = (uint32_t)machine->instruction.length,
		.storage = NO_INDEX,
		.stack_global = stack_global,
	};
	return push(machine, cvq_value_make(VALUE_FLOAT32, pickle->class_push_count++));
}

static cvq_err memo_get(struct machine *machine, size_t slot)
{
	if (slot >= machine->memo_size || !machine->memo_set[slot])
		return not_understood(machine, "reads an empty memo slot");
	cvq_value value = machine->memo[slot];
	return cvq_value_kind(value) == VALUE_FLOAT32 ? push_class(machine, false)
						      : push(machine, value);
}

/* ========================================================================== */
/*                                   Names                                    */
/* ========================================================================== */

bool cvq_slice_is(struct cvq_slice slice, const char *text)
{
	return slice.length == strlen(text) && memcmp(slice.data, text, slice.length) == 0;
}

static cvq_err push_global(struct machine *machine, struct cvq_slice module,
			   struct cvq_slice name, bool stack_global)
{
	struct cvq_pickle *pickle = machine->pickle;
	if (cvq_slice_is(module, "torch") && cvq_slice_is(name, "FloatStorage"))
		return push_class(machine, stack_global);
	if (pickle->global_count >= CVQ_PICKLE_MAX_OBJECTS)
		return not_understood(machine, "names too many classes");
	if (cvq_grow((void **)&pickle->globals, &pickle->global_capacity,
		     pickle->global_count, sizeof(*pickle->globals)))
		return -ENOMEM;
	pickle->globals[pickle->global_count] = (struct cvq_global){module, name};
	return push(machine, cvq_value_make(VALUE_GLOBAL, pickle->global_count++));
}

static cvq_err do_global(struct machine *machine)
{
	const char *text = (const char *)machine->instruction.argument;
	size_t length = machine->instruction.argument_length;
	const char *line_end = memchr(text, '\n', length);
	struct cvq_slice module = {text, (size_t)(line_end - text)};
	struct cvq_slice name = {line_end + 1, length - module.length - 2};
	return push_global(machine, module, name, false);
}

static cvq_err do_stack_global(struct machine *machine)
{
	cvq_err err = need(machine, 2);
	if (err)
		return err;
	cvq_value name = pop(machine);
	cvq_value module = pop(machine);
	if (cvq_value_kind(name) != VALUE_STRING || cvq_value_kind(module) != VALUE_STRING)
		return not_understood(machine,
				      "names a class by something that is no string");
	return push_global(machine, cvq_pickle_string(machine->pickle, module),
			   cvq_pickle_string(machine->pickle, name), true);
}

/* ========================================================================== */
/*                                 Containers                                 */
/* ========================================================================== */

static cvq_err push_node(struct machine *machine, struct cvq_node node)
{
	struct cvq_pickle *pickle = machine->pickle;
	if (pickle->node_count >= CVQ_PICKLE_MAX_OBJECTS)
		return not_understood(machine, "holds too many objects");
	if (cvq_grow((void **)&pickle->nodes, &pickle->node_capacity, pickle->node_count,
		     sizeof(*pickle->nodes)))
		return -ENOMEM;
	pickle->nodes[pickle->node_count] = node;
	return push(machine, cvq_value_make(VALUE_NODE, pickle->node_count++));
}

static cvq_err push_empty(struct machine *machine, enum cvq_node_type type)
{
	return push_node(machine,
			 (struct cvq_node){.type = (uint8_t)type, .first = NO_INDEX});
}

/* Turns the top 'count' values into a tuple. */
static cvq_err make_tuple(struct machine *machine, size_t count)
{
	struct cvq_pickle *pickle = machine->pickle;
	size_t first = pickle->item_count;
	if (first + count > CVQ_PICKLE_MAX_VALUES)
		return not_understood(machine, "holds too many tuples");
	for (size_t i = 0; i < count; i++) {
		if (cvq_grow((void **)&pickle->items, &pickle->item_capacity,
			     pickle->item_count, sizeof(*pickle->items)))
			return -ENOMEM;
		pickle->items[pickle->item_count++] =
			machine->stack[machine->depth - count + i];
	}
	machine->depth -= count;
	return push_node(machine, (struct cvq_node){.type = NODE_TUPLE,
						    .first = (uint32_t)first,
						    .count = (uint32_t)count});
}

static cvq_err do_tuple_of(struct machine *machine, size_t count)
{
	cvq_err err = need(machine, count);
	return err ? err : make_tuple(machine, count);
}

static cvq_err do_tuple(struct machine *machine)
{
	size_t first = 0, count = 0;
	cvq_err err = pop_mark(machine, &first, &count);
	return err ? err : make_tuple(machine, count);
}

/* The node that items are added to: the value on top of the stack. */
static cvq_err top_node(struct machine *machine, struct cvq_node **node)
{
	cvq_err err = need(machine, 1);
	if (err)
		return err;
	cvq_value top = machine->stack[machine->depth - 1];
	*node = NULL;
	if (cvq_value_kind(top) == VALUE_NODE)
		*node = &machine->pickle->nodes[cvq_value_payload(top)];
	if (!*node || (*node)->type == NODE_TUPLE)
		return not_understood(machine, "adds to something that is no container");
	return 0;
}

static cvq_err add_child(struct machine *machine, struct cvq_node *node, cvq_value key,
			 cvq_value value)
{
	struct cvq_pickle *pickle = machine->pickle;
	uint32_t position = node->count++;
	enum cvq_value_kind kind = cvq_value_kind(value);
	if (kind != VALUE_NODE && kind != VALUE_STORAGE)
		return 0;
	if (pickle->child_count >= CVQ_PICKLE_MAX_VALUES)
		return not_understood(machine, "holds too many objects");
	if (cvq_grow((void **)&pickle->children, &pickle->child_capacity,
		     pickle->child_count, sizeof(*pickle->children)))
		return -ENOMEM;
	uint32_t index = (uint32_t)pickle->child_count++;
	pickle->children[index] = (struct cvq_child){key, value, position, NO_INDEX};
	if (node->first == NO_INDEX)
		node->first = index;
	else
		pickle->children[node->last].next = index;
	node->last = index;
	return 0;
}

/* Adds the 'count' values on top of the stack to the node below them. */
static cvq_err add_items(struct machine *machine, size_t count, bool pairs)
{
	if (pairs && count % 2)
		return not_understood(machine, "has a key without a value");
	size_t first = machine->depth - count;
	machine->depth = first;
	struct cvq_node *node;
	cvq_err err = top_node(machine, &node);
	cvq_value none = cvq_value_make(VALUE_NONE, 0);
	for (size_t i = 0; i < count && !err; i += pairs ? 2 : 1)
		err = pairs ? add_child(machine, node, machine->stack[first + i],
					machine->stack[first + i + 1])
			    : add_child(machine, node, none, machine->stack[first + i]);
	return err;
}

static cvq_err do_add(struct machine *machine, size_t count, bool pairs)
{
	cvq_err err = need(machine, count + 1);
	return err ? err : add_items(machine, count, pairs);
}

static cvq_err do_add_marked(struct machine *machine, bool pairs)
{
	size_t first = 0, count = 0;
	cvq_err err = pop_mark(machine, &first, &count);
	return err ? err : add_items(machine, count, pairs);
}

/* DICT, LIST and FROZENSET: a new container of all values down to the mark. */
static cvq_err do_build_marked(struct machine *machine, enum cvq_node_type type)
{
	size_t first = 0, count = 0;
	cvq_err err = pop_mark(machine, &first, &count);
	if (err)
		return err;
	err = push_empty(machine, type);
	if (err)
		return err;
	/* The container goes below its items. */
	cvq_value container = pop(machine);
	memmove(machine->stack + first + 1, machine->stack + first,
		count * sizeof(*machine->stack));
	machine->stack[first] = container;
	machine->depth++;
	return add_items(machine, count, type == NODE_DICT);
}

/* ========================================================================== */
/*                                   Objects                                  */
/* ========================================================================== */

static cvq_err do_call(struct machine *machine, enum cvq_node_type type)
{
	cvq_err err = need(machine, 2);
	if (err)
		return err;
	cvq_value arguments = pop(machine);
	cvq_value callable = pop(machine);
	return push_node(machine, (struct cvq_node){.type = (uint8_t)type,
						    .first = NO_INDEX,
						    .callable = callable,
						    .arguments = arguments});
}

/* cls.__new__(cls, *args, **kwargs): both hold only what the object is made of. */
static cvq_err do_newobj_ex(struct machine *machine)
{
	cvq_err err = need(machine, 3);
	if (!err)
		err = make_tuple(machine, 2);
	return err ? err : do_call(machine, NODE_OBJECT);
}

static cvq_err do_build(struct machine *machine)
{
	cvq_err err = need(machine, 2);
	if (err)
		return err;
	cvq_value state = pop(machine);
	struct cvq_node *node;
	err = top_node(machine, &node);
	if (err)
		return err;
	if ((node->type != NODE_CALL && node->type != NODE_OBJECT) ||
	    cvq_value_kind(node->state) != VALUE_OTHER)
		return not_understood(machine, "sets an object's state in an unknown way");
	node->state = state;
	return 0;
}

/* ========================================================================== */
/*                               Persistent ids                               */
/* ========================================================================== */

/* torch/serialization.py: ('storage', class, key, location, numel[, view metadata]) */
enum {
	PID_KIND,
	PID_CLASS,
	PID_KEY,
	PID_LOCATION,
	PID_NUMEL,
	PID_LENGTH,
};

/* Fills type and key of a storage from the persistent id's fields. */
static cvq_err read_storage_type(struct machine *machine, cvq_value class,
				 struct cvq_storage *storage)
{
	struct cvq_slice name = {"FloatStorage", strlen("FloatStorage")};
	struct cvq_slice module = {"torch", strlen("torch")};
	if (cvq_value_kind(class) == VALUE_GLOBAL) {
		const struct cvq_global *global =
			&machine->pickle->globals[cvq_value_payload(class)];
		name = global->name;
		module = global->module;
	} else if (cvq_value_kind(class) != VALUE_FLOAT32) {
		return not_understood(machine, "has a storage without a class");
	}
	const struct cvq_storage_type *type = cvq_storage_type_find(module, name);
	if (!type)
		return not_understood(machine, "has a storage of an unknown type");
	storage->type = type->name;
	storage->item_size = type->item_size;
	storage->is_float32 = cvq_value_kind(class) == VALUE_FLOAT32;
	return 0;
}

static cvq_err read_persistent_id(struct machine *machine, const cvq_value *fields,
				  struct cvq_storage *storage)
{
	struct cvq_pickle *pickle = machine->pickle;
	int64_t numel;
	if (cvq_value_kind(fields[PID_KIND]) != VALUE_STRING ||
	    !cvq_slice_is(cvq_pickle_string(pickle, fields[PID_KIND]), "storage") ||
	    cvq_value_kind(fields[PID_KEY]) != VALUE_STRING ||
	    !cvq_pickle_int(pickle, fields[PID_NUMEL], &numel) || numel < 0)
		return not_understood(machine, "has a persistent id of an unknown form");
	struct cvq_slice key = cvq_pickle_string(pickle, fields[PID_KEY]);
	*storage = (struct cvq_storage){.key = key.data,
					.key_length = key.length,
					.numel = (uint64_t)numel,
					.plain = true};
	return read_storage_type(machine, fields[PID_CLASS], storage);
}

/* Finds the storage of that key or adds it; one key has one type and one length. */
static cvq_err intern_storage(struct machine *machine, const struct cvq_storage *storage,
			      uint32_t *index)
{
	struct cvq_pickle *pickle = machine->pickle;
	if (pickle->storage_count >= CVQ_PICKLE_MAX_TENSORS)
		return not_understood(machine, "has too many storages");
	cvq_err err = cvq_grow((void **)&pickle->storages, &pickle->storage_capacity,
			       pickle->storage_count, sizeof(*pickle->storages));
	if (!err)
		err = cvq_storage_index_find(&machine->index, pickle->storages,
					     pickle->storage_count, storage, index);
	if (err)
		return err;
	if (*index == pickle->storage_count) {
		pickle->storages[pickle->storage_count++] = *storage;
		return 0;
	}
	const struct cvq_storage *known = &pickle->storages[*index];
	if (known->type != storage->type || known->numel != storage->numel)
		return cvq_explain(machine->reason, CVQ_ERR_CONTENT,
				   "its storage '%.*s' is used as %s of %" PRIu64
				   " and as %s of %" PRIu64 " elements",
				   (int)(known->key_length < 40 ? known->key_length : 40),
				   known->key, known->type, known->numel, storage->type,
				   storage->numel);
	return 0;
}

/* Remembers which bytes of the stream speak of this storage. */
static cvq_err note_pushes(struct machine *machine, const cvq_value *fields, uint32_t index)
{
	struct cvq_pickle *pickle = machine->pickle;
	if (cvq_value_kind(fields[PID_CLASS]) == VALUE_FLOAT32) {
		struct cvq_class_push *class_push =
			&pickle->class_pushes[cvq_value_payload(fields[PID_CLASS])];
		if (class_push->storage != NO_INDEX && class_push->storage != index)
			return not_understood(machine, "shares a class between storages");
		class_push->storage = index;
	}
	if (cvq_grow((void **)&pickle->numel_pushes, &pickle->numel_push_capacity,
		     pickle->numel_push_count, sizeof(*pickle->numel_pushes)))
		return -ENOMEM;
	pickle->numel_pushes[pickle->numel_push_count++] = (struct cvq_numel_push){
		(uint32_t)cvq_value_payload(fields[PID_NUMEL]), index};
	return 0;
}

static cvq_err do_persistent_id(struct machine *machine)
{
	struct cvq_pickle *pickle = machine->pickle;
	cvq_err err = need(machine, 1);
	if (err)
		return err;
	cvq_value id = pop(machine);
	const struct cvq_node *node = NULL;
	if (cvq_value_kind(id) == VALUE_NODE)
		node = &pickle->nodes[cvq_value_payload(id)];
	if (!node || node->type != NODE_TUPLE || node->count != PID_LENGTH)
		return not_understood(machine, "has a persistent id of an unknown form");
	const cvq_value *fields = &pickle->items[node->first];
	struct cvq_storage storage;
	uint32_t index;
	err = read_persistent_id(machine, fields, &storage);
	if (!err)
		err = intern_storage(machine, &storage, &index);
	if (!err)
		err = note_pushes(machine, fields, index);
	return err ? err : push(machine, cvq_value_make(VALUE_STORAGE, index));
}

/* ========================================================================== */
/*                              Numbers, strings                              */
/* ========================================================================== */

static struct cvq_instruction instruction_of(const struct cvq_pickle *pickle,
					     cvq_value value)
{
	struct cvq_instruction instruction = {0};
	size_t offset = cvq_value_payload(value);
	/* It was decoded before, so it decodes again. */
	cvq_decode(pickle->data + offset, CVQ_PICKLE_MAX_BYTES - offset, &instruction);
	return instruction;
}

struct cvq_slice cvq_pickle_string(const struct cvq_pickle *pickle, cvq_value value)
{
	struct cvq_instruction instruction = instruction_of(pickle, value);
	return (struct cvq_slice){(const char *)instruction.argument,
				  instruction.argument_length};
}

static bool decode_long(const uint8_t *bytes, size_t length, int64_t *number)
{
	if (length > 8)
		return false;
	/* Two's complement, little-endian, as short as it can be. */
	uint64_t bits = length && bytes[length - 1] & 0x80 ? UINT64_MAX : 0;
	for (size_t i = 0; i < length; i++)
		bits = (bits & ~((uint64_t)0xFF << 8 * i)) | (uint64_t)bytes[i] << 8 * i;
	*number = (int64_t)bits;
	return true;
}

bool cvq_pickle_int(const struct cvq_pickle *pickle, cvq_value value, int64_t *number)
{
	if (cvq_value_kind(value) != VALUE_INT)
		return false;
	struct cvq_instruction instruction = instruction_of(pickle, value);
	switch (instruction.opcode) {
	case OP_BININT1:
		*number = instruction.argument[0];
		return true;
	case OP_BININT2:
		*number = cvq_get_u16(instruction.argument);
		return true;
	case OP_BININT:
		*number = (int32_t)cvq_get_u32(instruction.argument);
		return true;
	default:
		return decode_long(instruction.argument, instruction.argument_length,
				   number);
	}
}

/* ========================================================================== */
/*                                  The loop                                  */
/* ========================================================================== */

static cvq_err do_protocol(struct machine *machine)
{
	uint8_t protocol = machine->instruction.argument[0];
	if (machine->offset != 0 || protocol < 2 || protocol > 5)
		return not_understood(machine, "has an unknown protocol");
	return 0;
}

static cvq_err do_frame(struct machine *machine)
{
	struct cvq_pickle *pickle = machine->pickle;
	if (cvq_grow((void **)&pickle->frames, &pickle->frame_capacity, pickle->frame_count,
		     sizeof(*pickle->frames)))
		return -ENOMEM;
	pickle->frames[pickle->frame_count++] = (uint32_t)machine->offset;
	return 0;
}

static cvq_err do_pop(struct machine *machine)
{
	/* POP also removes a mark that lies on top. */
	if (machine->mark_count &&
	    machine->marks[machine->mark_count - 1] == machine->depth) {
		machine->mark_count--;
		return 0;
	}
	cvq_err err = need(machine, 1);
	if (!err)
		machine->depth--;
	return err;
}

static cvq_err do_pop_mark(struct machine *machine)
{
	size_t first = 0, count = 0;
	cvq_err err = pop_mark(machine, &first, &count);
	if (!err)
		machine->depth = first;
	return err;
}

static cvq_err do_duplicate(struct machine *machine)
{
	cvq_err err = need(machine, 1);
	if (err)
		return err;
	cvq_value value = machine->stack[machine->depth - 1];
	enum cvq_value_kind kind = cvq_value_kind(value);
	if (kind == VALUE_INT || kind == VALUE_FLOAT32)
		return not_understood(machine, "duplicates a number or class");
	return push(machine, value);
}

static cvq_err do_stop(struct machine *machine)
{
	if (machine->depth != 1 || machine->mark_count != 0)
		return not_understood(machine, "ends in the middle");
	machine->pickle->root = pop(machine);
	machine->stopped = true;
	return 0;
}

static size_t memo_slot(const struct cvq_instruction *instruction)
{
	return instruction->argument_length == 1 ? instruction->argument[0]
						 : cvq_get_u32(instruction->argument);
}

static cvq_err execute(struct machine *machine)
{
	switch ((enum cvq_opcode)machine->instruction.opcode) {
	case OP_PROTO:
		return do_protocol(machine);
	case OP_FRAME:
		return do_frame(machine);
	case OP_STOP:
		return do_stop(machine);
	case OP_MARK:
		return push_mark(machine);
	case OP_POP:
		return do_pop(machine);
	case OP_POP_MARK:
		return do_pop_mark(machine);
	case OP_DUP:
		return do_duplicate(machine);
	case OP_NONE:
		return push(machine, cvq_value_make(VALUE_NONE, 0));
	case OP_NEWTRUE:
	case OP_NEWFALSE:
	case OP_BINFLOAT:
	case OP_BINBYTES:
	case OP_SHORT_BINBYTES:
	case OP_BINBYTES8:
	case OP_BYTEARRAY8:
		return push(machine, cvq_value_make(VALUE_OTHER, 0));
	case OP_BININT:
	case OP_BININT1:
	case OP_BININT2:
	case OP_LONG1:
	case OP_LONG4:
		return push(machine, cvq_value_make(VALUE_INT, machine->offset));
	case OP_BINSTRING:
	case OP_SHORT_BINSTRING:
	case OP_BINUNICODE:
	case OP_SHORT_BINUNICODE:
	case OP_BINUNICODE8:
		return push(machine, cvq_value_make(VALUE_STRING, machine->offset));
	case OP_GLOBAL:
		return do_global(machine);
	case OP_STACK_GLOBAL:
		return do_stack_global(machine);
	case OP_EMPTY_LIST:
	case OP_EMPTY_SET:
		return push_empty(machine, NODE_LIST);
	case OP_EMPTY_DICT:
		return push_empty(machine, NODE_DICT);
	case OP_EMPTY_TUPLE:
		return make_tuple(machine, 0);
	case OP_TUPLE1:
		return do_tuple_of(machine, 1);
	case OP_TUPLE2:
		return do_tuple_of(machine, 2);
	case OP_TUPLE3:
		return do_tuple_of(machine, 3);
	case OP_TUPLE:
		return do_tuple(machine);
	case OP_LIST:
	case OP_FROZENSET:
		return do_build_marked(machine, NODE_LIST);
	case OP_DICT:
		return do_build_marked(machine, NODE_DICT);
	case OP_APPEND:
		return do_add(machine, 1, false);
	case OP_APPENDS:
	case OP_ADDITEMS:
		return do_add_marked(machine, false);
	case OP_SETITEM:
		return do_add(machine, 2, true);
	case OP_SETITEMS:
		return do_add_marked(machine, true);
	case OP_REDUCE:
		return do_call(machine, NODE_CALL);
	case OP_NEWOBJ:
		return do_call(machine, NODE_OBJECT);
	case OP_NEWOBJ_EX:
		return do_newobj_ex(machine);
	case OP_BUILD:
		return do_build(machine);
	case OP_BINPERSID:
		return do_persistent_id(machine);
	case OP_BINPUT:
	case OP_LONG_BINPUT:
		return memo_put(machine, memo_slot(&machine->instruction));
	case OP_MEMOIZE:
		return memo_put(machine, machine->memo_used++);
	case OP_BINGET:
	case OP_LONG_BINGET:
		return memo_get(machine, memo_slot(&machine->instruction));
	}
	return not_understood(machine, "has an unknown opcode");
}

static cvq_err step(struct machine *machine)
{
	const uint8_t *data = machine->pickle->data + machine->offset;
	size_t left = machine->available - machine->offset;
	if (left == 0)
		return not_understood(machine, "is cut off");
	switch (cvq_decode(data, left, &machine->instruction)) {
	case DECODE_OK:
		break;
	case DECODE_UNKNOWN:
		return not_understood(machine, "has an unknown opcode");
	case DECODE_TRUNCATED:
		return not_understood(machine, "is cut off");
	}
	if (machine->offset == 0 && machine->instruction.opcode != OP_PROTO)
		return not_understood(machine, "has an unknown protocol");
	cvq_err err = execute(machine);
	machine->offset += machine->instruction.length;
	return err;
}

cvq_err cvq_machine_run(struct cvq_pickle *pickle, size_t available,
			struct cvq_reason *reason)
{
	struct machine machine = {
		.pickle = pickle, .reason = reason, .available = available};
	cvq_err err = 0;

	if (available > CVQ_PICKLE_MAX_BYTES)
		err = cvq_explain(reason, CVQ_ERR_CONTENT,
				  "its pickle is larger than %u MiB",
				  CVQ_PICKLE_MAX_BYTES >> 20);
	while (!err && !machine.stopped)
		err = step(&machine);
	pickle->length = machine.offset;

	free(machine.stack);
	free(machine.marks);
	free(machine.memo);
	free(machine.memo_set);
	cvq_storage_index_release(&machine.index);
	return err;
}
