/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "pickle/state.h"

/* ========================================================================== */
/*                                 Containers                                 */
/* ========================================================================== */

static cvq_err push_node(struct cvq_machine *machine, struct cvq_pickle_node node)
{
	struct cvq_pickle *pickle = machine->pickle;
	if (pickle->node_count >= CVQ_PICKLE_MAX_OBJECTS)
		return cvq_machine_refuse(machine, "holds too many objects");
	if (cvq_grow((void **)&pickle->nodes, &pickle->node_capacity, pickle->node_count,
		     sizeof(*pickle->nodes)))
		return -ENOMEM;
	pickle->nodes[pickle->node_count] = node;
	return cvq_machine_push(machine, cvq_value_make(VALUE_NODE, pickle->node_count++));
}

cvq_err cvq_build_empty(struct cvq_machine *machine, enum cvq_pickle_node_type type)
{
	return push_node(machine, (struct cvq_pickle_node){.type = (uint8_t)type,
							   .first = NO_INDEX});
}

/* Turns the top 'count' values into a tuple. */
static cvq_err make_tuple(struct cvq_machine *machine, size_t count)
{
	struct cvq_pickle *pickle = machine->pickle;
	size_t first = pickle->item_count;
	if (first + count > CVQ_PICKLE_MAX_ITEMS)
		return cvq_machine_refuse(machine, "holds too many tuples");
	for (size_t i = 0; i < count; i++) {
		if (cvq_grow((void **)&pickle->items, &pickle->item_capacity,
			     pickle->item_count, sizeof(*pickle->items)))
			return -ENOMEM;
		pickle->items[pickle->item_count++] =
			machine->stack[machine->depth - count + i];
	}
	machine->depth -= count;
	return push_node(machine, (struct cvq_pickle_node){.type = NODE_TUPLE,
							   .first = (uint32_t)first,
							   .count = (uint32_t)count});
}

cvq_err cvq_build_tuple_of(struct cvq_machine *machine, size_t count)
{
	cvq_err err = cvq_machine_need(machine, count);
	return err ? err : make_tuple(machine, count);
}

cvq_err cvq_build_tuple_marked(struct cvq_machine *machine)
{
	size_t first = 0, count = 0;
	cvq_err err = cvq_machine_pop_mark(machine, &first, &count);
	return err ? err : make_tuple(machine, count);
}

/* The container or object on top of the stack; NULL if something else is there. */
static struct cvq_pickle_node *top_node(struct cvq_machine *machine)
{
	if (cvq_machine_need(machine, 1))
		return NULL;
	cvq_value top = machine->stack[machine->depth - 1];
	if (cvq_value_kind(top) != VALUE_NODE)
		return NULL;
	struct cvq_pickle_node *node = &machine->pickle->nodes[cvq_value_payload(top)];
	return node->type == NODE_TUPLE ? NULL : node;
}

/* What lies at the bottom of the stack is the root, and its keys are those of the file. */
static bool is_root(const struct cvq_machine *machine, const struct cvq_pickle_node *node)
{
	return cvq_value_kind(machine->stack[0]) == VALUE_NODE &&
	       node == &machine->pickle->nodes[cvq_value_payload(machine->stack[0])];
}

static bool can_hold_tensor(cvq_value value)
{
	enum cvq_value_kind kind = cvq_value_kind(value);
	return kind == VALUE_NODE || kind == VALUE_STORAGE;
}

static bool is_remembered(const struct cvq_machine *machine,
			  const struct cvq_pickle_node *node, const struct cvq_child *child)
{
	if (can_hold_tensor(child->value) || can_hold_tensor(child->key))
		return true;
	if (node->type == NODE_LIST && child->position == 0)
		return true;
	return cvq_value_kind(child->key) == VALUE_STRING && is_root(machine, node);
}

static cvq_err add_child(struct cvq_machine *machine, struct cvq_pickle_node *node,
			 const struct cvq_child *child)
{
	struct cvq_pickle *pickle = machine->pickle;
	node->count++;
	if (!is_remembered(machine, node, child))
		return 0;
	if (pickle->child_count >= CVQ_PICKLE_MAX_VALUES)
		return cvq_machine_refuse(machine, "holds too many objects");
	if (cvq_grow((void **)&pickle->children, &pickle->child_capacity,
		     pickle->child_count, sizeof(*pickle->children)))
		return -ENOMEM;
	uint32_t index = (uint32_t)pickle->child_count++;
	pickle->children[index] = *child;
	if (node->first == NO_INDEX)
		node->first = index;
	else
		pickle->children[node->last].next = index;
	node->last = index;
	return 0;
}

/* Adds the 'count' values on top of the stack to the node below them. */
static cvq_err add_items(struct cvq_machine *machine, size_t count, bool pairs)
{
	if (pairs && count % 2)
		return cvq_machine_refuse(machine, "has a key without a value");
	size_t first = machine->depth - count;
	machine->depth = first;
	struct cvq_pickle_node *node = top_node(machine);
	if (!node)
		return cvq_machine_refuse(machine,
					  "adds to something that is no container");

	const cvq_value *items = machine->stack + first;
	cvq_err err = 0;
	for (size_t i = 0; i < count && !err; i++) {
		struct cvq_child child = {.position = node->count, .next = NO_INDEX};
		if (pairs) {
			child.key = items[i++];
			child.position = NO_INDEX;
		}
		child.value = items[i];
		err = add_child(machine, node, &child);
	}
	return err;
}

cvq_err cvq_build_add(struct cvq_machine *machine, size_t count, bool pairs)
{
	cvq_err err = cvq_machine_need(machine, count + 1);
	return err ? err : add_items(machine, count, pairs);
}

cvq_err cvq_build_add_marked(struct cvq_machine *machine, bool pairs)
{
	size_t first = 0, count = 0;
	cvq_err err = cvq_machine_pop_mark(machine, &first, &count);
	return err ? err : add_items(machine, count, pairs);
}

cvq_err cvq_build_marked(struct cvq_machine *machine, enum cvq_pickle_node_type type)
{
	size_t first = 0, count = 0;
	cvq_err err = cvq_machine_pop_mark(machine, &first, &count);
	if (err)
		return err;
	err = cvq_build_empty(machine, type);
	if (err)
		return err;
	/* The container goes below its items. */
	cvq_value container = cvq_machine_pop(machine);
	memmove(machine->stack + first + 1, machine->stack + first,
		count * sizeof(*machine->stack));
	machine->stack[first] = container;
	machine->depth++;
	return add_items(machine, count, type == NODE_DICT);
}

/* ========================================================================== */
/*                                   Objects                                  */
/* ========================================================================== */

cvq_err cvq_build_call(struct cvq_machine *machine, enum cvq_pickle_node_type type)
{
	cvq_err err = cvq_machine_need(machine, 2);
	if (err)
		return err;
	cvq_value arguments = cvq_machine_pop(machine);
	cvq_value callable = cvq_machine_pop(machine);
	return push_node(machine, (struct cvq_pickle_node){.type = (uint8_t)type,
							   .first = NO_INDEX,
							   .callable = callable,
							   .arguments = arguments});
}

/* cls.__new__(cls, *args, **kwargs): both hold only what the object is made of. */
cvq_err cvq_build_newobj_ex(struct cvq_machine *machine)
{
	cvq_err err = cvq_machine_need(machine, 3);
	if (!err)
		err = make_tuple(machine, 2);
	return err ? err : cvq_build_call(machine, NODE_OBJECT);
}

cvq_err cvq_build_state(struct cvq_machine *machine)
{
	cvq_err err = cvq_machine_need(machine, 2);
	if (err)
		return err;
	cvq_value state = cvq_machine_pop(machine);
	struct cvq_pickle_node *node = top_node(machine);
	if (!node || (node->type != NODE_CALL && node->type != NODE_OBJECT) ||
	    cvq_value_kind(node->state) != VALUE_OTHER)
		return cvq_machine_refuse(machine,
					  "sets an object's state in an unknown way");
	node->state = state;
	return 0;
}
