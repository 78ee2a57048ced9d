/* SPDX-License-Identifier: MIT */
/*
 * What the machine leaves behind: values, nodes, and the places in the stream
 * that a rewrite may have to edit
 *
 * Private to the room.
 */
#ifndef CVQ_PICKLE_MACHINE_H
#define CVQ_PICKLE_MACHINE_H

#include "pickle/pickle.h"

/*
 * A value is 32 bits: its kind, and where it comes from.  Numbers and strings
 * are not copied: they are the offset of the opcode that pushed them, and are
 * decoded again when somebody asks.
 */
typedef uint32_t cvq_value;

enum cvq_value_kind {
	VALUE_OTHER,   /* something that cannot hold a tensor and does not matter */
	VALUE_NONE,    /* Python's None */
	VALUE_INT,     /* offset of its opcode */
	VALUE_STRING,  /* offset of its opcode */
	VALUE_GLOBAL,  /* index into globals */
	VALUE_FLOAT32, /* the class FloatStorage: index into class_pushes */
	VALUE_STORAGE, /* index into storage_uses */
	VALUE_NODE,    /* index into nodes */
};

#define VALUE_PAYLOAD_BITS 28
#define VALUE_PAYLOAD_MASK ((1u << VALUE_PAYLOAD_BITS) - 1)

static inline cvq_value cvq_value_make(enum cvq_value_kind kind, size_t payload)
{
	return (cvq_value)kind << VALUE_PAYLOAD_BITS | (cvq_value)payload;
}

static inline enum cvq_value_kind cvq_value_kind(cvq_value value)
{
	return (enum cvq_value_kind)(value >> VALUE_PAYLOAD_BITS);
}

static inline size_t cvq_value_payload(cvq_value value)
{
	return value & VALUE_PAYLOAD_MASK;
}

#define NO_INDEX UINT32_MAX

/* An importable name. */
struct cvq_global {
	struct cvq_slice module;
	struct cvq_slice name;
};

enum cvq_pickle_node_type {
	NODE_TUPLE,  /* 'count' items from 'first' on */
	NODE_LIST,   /* children by position; sets too */
	NODE_DICT,   /* children by key */
	NODE_CALL,   /* REDUCE: callable(*arguments), then state and children */
	NODE_OBJECT, /* NEWOBJ: class.__new__(class, *arguments), then state and
			children */
};

/*
 * A container or object.  Lists and dicts remember only those children that can
 * hold a tensor: a list of a million numbers costs nothing.  The root remembers all
 * that it has under a name, and a list its first: it may be the key of a pair.
 */
struct cvq_pickle_node {
	uint8_t type;
	uint8_t on_path; /* the walk is inside it: a cycle */
	uint32_t count;  /* elements so far, remembered or not */
	uint32_t first;  /* item of a tuple, child of the others, or NO_INDEX */
	uint32_t last;   /* child */
	cvq_value callable;
	cvq_value arguments;
	cvq_value state;
};

struct cvq_child {
	cvq_value key; /* in a dict */
	cvq_value value;
	uint32_t position; /* in a list; NO_INDEX in a dict */
	uint32_t next;
};

/* A place where the stream pushes the class FloatStorage. */
struct cvq_class_push {
	uint32_t offset;
	uint32_t length;
	uint32_t storage;  /* the one it was pushed for, or NO_INDEX */
	bool stack_global; /* the opcode takes its names from the stack */
};

/* A persistent id of a storage, and which of its elements it stands for. */
struct cvq_storage_use {
	uint32_t numel_offset; /* of the opcode that says how long the storage is */
	uint32_t storage;
	uint64_t first; /* 0, except for a view in a legacy stream */
	uint64_t count;
};

struct cvq_pickle {
	const uint8_t *data;
	size_t length; /* up to and including STOP */
	cvq_value root;

	struct cvq_global *globals;
	size_t global_count, global_capacity;
	struct cvq_pickle_node *nodes;
	size_t node_count, node_capacity;
	cvq_value *items;
	size_t item_count, item_capacity;
	struct cvq_child *children;
	size_t child_count, child_capacity;

	struct cvq_storage *storages;
	size_t storage_count, storage_capacity;
	struct cvq_tensor *tensors;
	size_t tensor_count, tensor_capacity;

	struct cvq_class_push *class_pushes;
	size_t class_push_count, class_push_capacity;
	struct cvq_storage_use *storage_uses;
	size_t storage_use_count, storage_use_capacity;
	uint32_t *frames; /* offsets of FRAME opcodes */
	size_t frame_count, frame_capacity;
};

/* Runs the stream: fills all except the tensors.  Returns as cvq_pickle_parse(). */
cvq_err cvq_machine_run(struct cvq_pickle *pickle, size_t available,
			struct cvq_reason *reason);

/* Walks from the root: finds the tensors and which storages are plain. */
cvq_err cvq_meaning_find(struct cvq_pickle *pickle, struct cvq_reason *reason);

/* Decodes the opcode behind a VALUE_INT; false if it does not fit. */
bool cvq_pickle_int(const struct cvq_pickle *pickle, cvq_value value, int64_t *number);

/* The text behind a VALUE_STRING. */
struct cvq_slice cvq_pickle_string(const struct cvq_pickle *pickle, cvq_value value);

bool cvq_slice_is(struct cvq_slice slice, const char *text);

/* The fields of a value that is a tuple, else NULL. */
const struct cvq_pickle_node *cvq_pickle_tuple(const struct cvq_pickle *pickle,
					       cvq_value value);

/* The list [[key, value], ...] if it is all that a dict is made of, else NULL.  So
 * Python 2 pickles an OrderedDict: as a call with its pairs, and not with SETITEMS. */
const struct cvq_pickle_node *cvq_pickle_pairs(const struct cvq_pickle *pickle,
					       const struct cvq_pickle_node *arguments);

/* Takes one of them apart; false if it is no list or tuple of two.  A value that can
 * hold no tensor may come as VALUE_OTHER. */
bool cvq_pickle_pair(const struct cvq_pickle *pickle, cvq_value pair, cvq_value *key,
		     cvq_value *value);

#endif
