/* SPDX-License-Identifier: MIT */
/*
 * The machine: a stack, a memo, and one short function per family of opcodes
 *
 * It builds a graph of what the stream would build, without names for what does
 * not matter, and notes where the stream says what a rewrite may change: the
 * class FloatStorage, the length of a storage, and frames.
 *
 * What a rewrite changes belongs to one storage: a number or class FloatStorage that
 * was pushed lies in one place only.  The memo gives VALUE_OTHER for a number and
 * pushes a class anew, DUP refuses both, and every other opcode takes off the stack
 * what it puts elsewhere.  A persistent id may be read twice, and names one storage.
 */
#include <string.h>

#include "base/bytes.h"
#include "pickle/state.h"

/* ========================================================================== */
/*                                   Names                                    */
/* ========================================================================== */

static cvq_err push_global(struct cvq_machine *machine, struct cvq_slice module,
			   struct cvq_slice name, bool stack_global)
{
	struct cvq_pickle *pickle = machine->pickle;
	if (cvq_slice_is(module, "torch") && cvq_slice_is(name, "FloatStorage"))
		return cvq_machine_push_class(machine, stack_global);
	if (pickle->global_count >= CVQ_PICKLE_MAX_OBJECTS)
		return cvq_machine_refuse(machine, "names too many classes");
	if (cvq_grow((void **)&pickle->globals, &pickle->global_capacity,
		     pickle->global_count, sizeof(*pickle->globals)))
		return -ENOMEM;
	pickle->globals[pickle->global_count] = (struct cvq_global){module, name};
	return cvq_machine_push(machine,
				cvq_value_make(VALUE_GLOBAL, pickle->global_count++));
}

static cvq_err do_global(struct cvq_machine *machine)
{
	const char *text = (const char *)machine->instruction.argument;
	size_t length = machine->instruction.argument_length;
	const char *line_end = memchr(text, '\n', length);
	struct cvq_slice module = {text, (size_t)(line_end - text)};
	struct cvq_slice name = {line_end + 1, length - module.length - 2};
	return push_global(machine, module, name, false);
}

static cvq_err do_stack_global(struct cvq_machine *machine)
{
	cvq_err err = cvq_machine_need(machine, 2);
	if (err)
		return err;
	cvq_value name = cvq_machine_pop(machine);
	cvq_value module = cvq_machine_pop(machine);
	if (cvq_value_kind(name) != VALUE_STRING || cvq_value_kind(module) != VALUE_STRING)
		return cvq_machine_refuse(machine,
					  "names a class by something that is no string");
	return push_global(machine, cvq_pickle_string(machine->pickle, module),
			   cvq_pickle_string(machine->pickle, name), true);
}

/* ========================================================================== */
/*                                  The loop                                  */
/* ========================================================================== */

static cvq_err do_protocol(struct cvq_machine *machine)
{
	uint8_t protocol = machine->instruction.argument[0];
	if (machine->offset != 0 || protocol < 2 || protocol > 5)
		return cvq_machine_refuse(machine, "has an unknown protocol");
	return 0;
}

static cvq_err do_frame(struct cvq_machine *machine)
{
	struct cvq_pickle *pickle = machine->pickle;
	if (cvq_grow((void **)&pickle->frames, &pickle->frame_capacity, pickle->frame_count,
		     sizeof(*pickle->frames)))
		return -ENOMEM;
	pickle->frames[pickle->frame_count++] = (uint32_t)machine->offset;
	return 0;
}

static cvq_err do_pop(struct cvq_machine *machine)
{
	/* POP also removes a mark that lies on top. */
	if (machine->mark_count &&
	    machine->marks[machine->mark_count - 1] == machine->depth) {
		machine->mark_count--;
		return 0;
	}
	cvq_err err = cvq_machine_need(machine, 1);
	if (!err)
		machine->depth--;
	return err;
}

static cvq_err do_pop_mark(struct cvq_machine *machine)
{
	size_t first = 0, count = 0;
	cvq_err err = cvq_machine_pop_mark(machine, &first, &count);
	if (!err)
		machine->depth = first;
	return err;
}

static cvq_err do_duplicate(struct cvq_machine *machine)
{
	cvq_err err = cvq_machine_need(machine, 1);
	if (err)
		return err;
	cvq_value value = machine->stack[machine->depth - 1];
	enum cvq_value_kind kind = cvq_value_kind(value);
	if (kind == VALUE_INT || kind == VALUE_FLOAT32)
		return cvq_machine_refuse(machine, "duplicates a number or class");
	return cvq_machine_push(machine, value);
}

static cvq_err do_stop(struct cvq_machine *machine)
{
	if (machine->depth != 1 || machine->mark_count != 0)
		return cvq_machine_refuse(machine, "ends in the middle");
	machine->pickle->root = cvq_machine_pop(machine);
	machine->stopped = true;
	return 0;
}

static size_t memo_slot(const struct cvq_instruction *instruction)
{
	return instruction->argument_length == 1 ? instruction->argument[0]
						 : cvq_get_u32(instruction->argument);
}

static cvq_err execute(struct cvq_machine *machine)
{
	switch ((enum cvq_opcode)machine->instruction.opcode) {
	case OP_PROTO:
		return do_protocol(machine);
	case OP_FRAME:
		return do_frame(machine);
	case OP_STOP:
		return do_stop(machine);
	case OP_MARK:
		return cvq_machine_push_mark(machine);
	case OP_POP:
		return do_pop(machine);
	case OP_POP_MARK:
		return do_pop_mark(machine);
	case OP_DUP:
		return do_duplicate(machine);
	case OP_NONE:
		return cvq_machine_push(machine, cvq_value_make(VALUE_NONE, 0));
	case OP_NEWTRUE:
	case OP_NEWFALSE:
	case OP_BINFLOAT:
	case OP_BINBYTES:
	case OP_SHORT_BINBYTES:
	case OP_BINBYTES8:
	case OP_BYTEARRAY8:
		return cvq_machine_push(machine, cvq_value_make(VALUE_OTHER, 0));
	case OP_BININT:
	case OP_BININT1:
	case OP_BININT2:
	case OP_LONG1:
	case OP_LONG4:
		return cvq_machine_push(machine,
					cvq_value_make(VALUE_INT, machine->offset));
	case OP_BINSTRING:
	case OP_SHORT_BINSTRING:
	case OP_BINUNICODE:
	case OP_SHORT_BINUNICODE:
	case OP_BINUNICODE8:
		return cvq_machine_push(machine,
					cvq_value_make(VALUE_STRING, machine->offset));
	case OP_GLOBAL:
		return do_global(machine);
	case OP_STACK_GLOBAL:
		return do_stack_global(machine);
	case OP_EMPTY_LIST:
	case OP_EMPTY_SET:
		return cvq_build_empty(machine, NODE_LIST);
	case OP_EMPTY_DICT:
		return cvq_build_empty(machine, NODE_DICT);
	case OP_EMPTY_TUPLE:
		return cvq_build_tuple_of(machine, 0);
	case OP_TUPLE1:
		return cvq_build_tuple_of(machine, 1);
	case OP_TUPLE2:
		return cvq_build_tuple_of(machine, 2);
	case OP_TUPLE3:
		return cvq_build_tuple_of(machine, 3);
	case OP_TUPLE:
		return cvq_build_tuple_marked(machine);
	case OP_LIST:
	case OP_FROZENSET:
		return cvq_build_marked(machine, NODE_LIST);
	case OP_DICT:
		return cvq_build_marked(machine, NODE_DICT);
	case OP_APPEND:
		return cvq_build_add(machine, 1, false);
	case OP_APPENDS:
	case OP_ADDITEMS:
		return cvq_build_add_marked(machine, false);
	case OP_SETITEM:
		return cvq_build_add(machine, 2, true);
	case OP_SETITEMS:
		return cvq_build_add_marked(machine, true);
	case OP_REDUCE:
		return cvq_build_call(machine, NODE_CALL);
	case OP_NEWOBJ:
		return cvq_build_call(machine, NODE_OBJECT);
	case OP_NEWOBJ_EX:
		return cvq_build_newobj_ex(machine);
	case OP_BUILD:
		return cvq_build_state(machine);
	case OP_BINPERSID:
		return cvq_build_persistent(machine);
	case OP_BINPUT:
	case OP_LONG_BINPUT:
		return cvq_machine_memo_put(machine, memo_slot(&machine->instruction));
	case OP_MEMOIZE:
		return cvq_machine_memo_put(machine, machine->memo_used);
	case OP_BINGET:
	case OP_LONG_BINGET:
		return cvq_machine_memo_get(machine, memo_slot(&machine->instruction));
	}
	return cvq_machine_refuse(machine, "has an unknown opcode");
}

static cvq_err step(struct cvq_machine *machine)
{
	const uint8_t *data = machine->pickle->data + machine->offset;
	size_t left = machine->available - machine->offset;
	if (left == 0)
		return cvq_machine_refuse(machine, "is cut off");
	switch (cvq_decode(data, left, &machine->instruction)) {
	case DECODE_OK:
		break;
	case DECODE_UNKNOWN:
		return cvq_machine_refuse(machine, "has an unknown opcode");
	case DECODE_TRUNCATED:
		return cvq_machine_refuse(machine, "is cut off");
	}
	if (machine->offset == 0 && machine->instruction.opcode != OP_PROTO)
		return cvq_machine_refuse(machine, "has an unknown protocol");
	cvq_err err = execute(machine);
	machine->offset += machine->instruction.length;
	return err;
}

cvq_err cvq_machine_run(struct cvq_pickle *pickle, size_t available,
			struct cvq_reason *reason)
{
	struct cvq_machine machine = {
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
