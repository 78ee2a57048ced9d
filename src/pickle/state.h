/* SPDX-License-Identifier: MIT */
/*
 * The machine while it runs: its stack, its marks and its memo
 *
 * Private to the room.  Functions that can fail return 0, CVQ_ERR_CONTENT with
 * the reason, or -ENOMEM.
 */
#ifndef CVQ_PICKLE_STATE_H
#define CVQ_PICKLE_STATE_H

#include "pickle/machine.h"
#include "pickle/opcodes.h"
#include "pickle/storages.h"

struct cvq_machine {
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
	size_t memo_used; /* slots: MEMOIZE takes the one of that number */
	struct cvq_storage_index index;
	bool stopped;
};

/* --- stack.c --- */

/* Says what the pickle does that is not understood, and where. */
cvq_err cvq_machine_refuse(struct cvq_machine *machine, const char *what);

cvq_err cvq_machine_push(struct cvq_machine *machine, cvq_value value);

/* Whether there are 'count' values that an opcode may take: none below the last mark. */
cvq_err cvq_machine_need(struct cvq_machine *machine, size_t count);

/* After cvq_machine_need(). */
cvq_value cvq_machine_pop(struct cvq_machine *machine);

cvq_err cvq_machine_push_mark(struct cvq_machine *machine);

/* Removes the last mark; the values above it are '*count' from '*first' on. */
cvq_err cvq_machine_pop_mark(struct cvq_machine *machine, size_t *first, size_t *count);

cvq_err cvq_machine_memo_put(struct cvq_machine *machine, size_t slot);
cvq_err cvq_machine_memo_get(struct cvq_machine *machine, size_t slot);

/* Pushes the class FloatStorage and notes that the current instruction does so. */
cvq_err cvq_machine_push_class(struct cvq_machine *machine, bool stack_global);

/* --- build.c: containers and objects --- */

cvq_err cvq_build_empty(struct cvq_machine *machine, enum cvq_pickle_node_type type);

/* DICT, LIST and FROZENSET: a new container of all values down to the mark. */
cvq_err cvq_build_marked(struct cvq_machine *machine, enum cvq_pickle_node_type type);

/* A tuple of the top 'count' values, or of all down to the mark. */
cvq_err cvq_build_tuple_of(struct cvq_machine *machine, size_t count);
cvq_err cvq_build_tuple_marked(struct cvq_machine *machine);

/* Adds the top 'count' values, or all down to the mark, to the container below
 * them. */
cvq_err cvq_build_add(struct cvq_machine *machine, size_t count, bool pairs);
cvq_err cvq_build_add_marked(struct cvq_machine *machine, bool pairs);

/* REDUCE and NEWOBJ, NEWOBJ_EX, BUILD. */
cvq_err cvq_build_call(struct cvq_machine *machine, enum cvq_pickle_node_type type);
cvq_err cvq_build_newobj_ex(struct cvq_machine *machine);
cvq_err cvq_build_state(struct cvq_machine *machine);

/* --- persistent_id.c: BINPERSID --- */

cvq_err cvq_build_persistent(struct cvq_machine *machine);

#endif
