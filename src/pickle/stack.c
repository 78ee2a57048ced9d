/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "pickle/state.h"

cvq_err cvq_machine_refuse(struct cvq_machine *machine, const char *what)
{
	return cvq_explain(machine->reason, CVQ_ERR_CONTENT, "its pickle %s at byte %zu",
			   what, machine->offset);
}

cvq_err cvq_machine_push(struct cvq_machine *machine, cvq_value value)
{
	if (machine->depth == CVQ_PICKLE_MAX_VALUES)
		return cvq_machine_refuse(machine, "needs too deep a stack");
	if (cvq_grow((void **)&machine->stack, &machine->stack_capacity, machine->depth,
		     sizeof(*machine->stack)))
		return -ENOMEM;
	machine->stack[machine->depth++] = value;
	return 0;
}

static size_t reachable(const struct cvq_machine *machine)
{
	size_t floor = machine->mark_count ? machine->marks[machine->mark_count - 1] : 0;
	return machine->depth - floor;
}

cvq_err cvq_machine_need(struct cvq_machine *machine, size_t count)
{
	return reachable(machine) >= count
		       ? 0
		       : cvq_machine_refuse(machine, "lacks an operand");
}

cvq_value cvq_machine_pop(struct cvq_machine *machine)
{
	return machine->stack[--machine->depth];
}

cvq_err cvq_machine_push_mark(struct cvq_machine *machine)
{
	if (machine->mark_count == CVQ_PICKLE_MAX_VALUES)
		return cvq_machine_refuse(machine, "needs too deep a stack");
	if (cvq_grow((void **)&machine->marks, &machine->mark_capacity, machine->mark_count,
		     sizeof(*machine->marks)))
		return -ENOMEM;
	machine->marks[machine->mark_count++] = machine->depth;
	return 0;
}

cvq_err cvq_machine_pop_mark(struct cvq_machine *machine, size_t *first, size_t *count)
{
	if (machine->mark_count == 0)
		return cvq_machine_refuse(machine, "lacks a mark");
	*first = machine->marks[--machine->mark_count];
	*count = machine->depth - *first;
	return 0;
}

/* ========================================================================== */
/*                                    Memo                                    */
/* ========================================================================== */

cvq_err cvq_machine_memo_put(struct cvq_machine *machine, size_t slot)
{
	cvq_err err = cvq_machine_need(machine, 1);
	if (err)
		return err;
	/* Picklers number their slots one by one. */
	if (slot >= CVQ_PICKLE_MAX_VALUES)
		return cvq_machine_refuse(machine, "uses an impossible memo slot");
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
	machine->memo_used += !machine->memo_set[slot];
	machine->memo_set[slot] = 1;
	return 0;
}

cvq_err cvq_machine_push_class(struct cvq_machine *machine, bool stack_global)
{
	struct cvq_pickle *pickle = machine->pickle;
	if (pickle->class_push_count >= CVQ_PICKLE_MAX_USES)
		return cvq_machine_refuse(machine, "names too many classes");
	if (cvq_grow((void **)&pickle->class_pushes, &pickle->class_push_capacity,
		     pickle->class_push_count, sizeof(*pickle->class_pushes)))
		return -ENOMEM;
	pickle->class_pushes[pickle->class_push_count] = (struct cvq_class_push){
		.offset = (uint32_t)machine->offset,
		.length = (uint32_t)machine->instruction.length,
		.storage = NO_INDEX,
		.stack_global = stack_global,
	};
	return cvq_machine_push(machine,
				cvq_value_make(VALUE_FLOAT32, pickle->class_push_count++));
}

cvq_err cvq_machine_memo_get(struct cvq_machine *machine, size_t slot)
{
	if (slot >= machine->memo_size || !machine->memo_set[slot])
		return cvq_machine_refuse(machine, "reads an empty memo slot");
	cvq_value value = machine->memo[slot];
	return cvq_value_kind(value) == VALUE_FLOAT32
		       ? cvq_machine_push_class(machine, false)
		       : cvq_machine_push(machine, value);
}
