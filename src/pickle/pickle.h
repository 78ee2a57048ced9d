/* SPDX-License-Identifier: MIT */
/*
 * A symbolic pickle machine
 *
 * Reads the pickle of a checkpoint without executing anything: it follows the
 * stack and the memo far enough to know every storage, every tensor with its
 * name, and which bytes of the stream say "FloatStorage" and how long a storage
 * is.  A second step writes the same pickle with some storages in half
 * precision.
 *
 * Facts: CPython's Lib/pickletools.py (opcodes), torch/serialization.py
 * (persistent ids), torch/_utils.py (rebuild functions).
 */
#ifndef CVQ_PICKLE_PICKLE_H
#define CVQ_PICKLE_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

/* Limits.  A pickle beyond them is not understood (CVQ_ERR_CONTENT). */
#define CVQ_PICKLE_MAX_BYTES      (256u << 20)
#define CVQ_PICKLE_MAX_TENSORS    1000000u   /* and storages */
#define CVQ_PICKLE_MAX_OBJECTS    (1u << 24) /* containers and objects: 11 a parameter */
#define CVQ_PICKLE_MAX_VALUES     (1u << 24) /* of the stack, the memo, lists and dicts */
#define CVQ_PICKLE_MAX_ITEMS      (1u << 25) /* of tuples */
#define CVQ_PICKLE_MAX_STEPS      (1u << 25) /* of the walk over all objects */
#define CVQ_PICKLE_MAX_USES       (2 * CVQ_PICKLE_MAX_TENSORS) /* of storages */
#define CVQ_PICKLE_MAX_NUMEL      (INT64_MAX >> 8) /* of a storage: room to add and multiply */
#define CVQ_PICKLE_MAX_NESTING    1000
#define CVQ_PICKLE_MAX_DIMENSIONS 1000
#define CVQ_PICKLE_MAX_KEY        256          /* bytes of a storage's key */
#define CVQ_PICKLE_MAX_NAMES      (256u << 20) /* bytes of the names of all values */

/* Bytes of a pickle. */
struct cvq_slice {
	const char *data;
	size_t length;
};

/* A storage: one key of the persistent ids. */
struct cvq_storage {
	const char *key; /* not NUL-terminated; points into the pickle */
	size_t key_length;
	const char *type;   /* "FloatStorage", "LongStorage", ...; a constant */
	unsigned item_size; /* bytes per element */
	unsigned word_size; /* bytes of it that a byte order turns round together */
	uint64_t numel;     /* elements, as the persistent id says */
	/* Only plain tensors and parameters use it, so another element type is safe. */
	bool plain;
	bool is_float32;   /* 'type' is FloatStorage */
	bool fixed_length; /* something looks at how many elements there are */
};

static inline uint64_t cvq_storage_bytes(const struct cvq_storage *storage)
{
	return storage->numel * storage->item_size; /* CVQ_PICKLE_MAX_NUMEL leaves room */
}

/* A tensor, with a name for every way that leads to it. */
struct cvq_tensor {
	const char *name; /* dict keys, list indices and attributes, joined by dots */
	uint32_t storage; /* index */
	uint32_t dimensions;
	uint64_t offset;       /* in elements */
	const uint64_t *shape; /* 'dimensions' entries, then as many strides */
	const uint64_t *stride;
};

struct cvq_pickle;

/*
 * Reads the pickle that starts at 'data'.  The bytes are borrowed and must stay
 * as they are until cvq_pickle_free().
 *
 * Returns 0; CVQ_ERR_CONTENT with the reason if anything in the stream is
 * beyond what cvq fully understands; -ENOMEM.
 */
cvq_err cvq_pickle_parse(const uint8_t *data, size_t length, struct cvq_pickle **pickle,
			 struct cvq_reason *reason);
void cvq_pickle_free(struct cvq_pickle *pickle);

/*
 * Finds where the pickle that starts at 'data' ends.  Returns 0 with its length up to
 * and including STOP, or with 0 if it does not end within 'available' bytes;
 * CVQ_ERR_CONTENT if no pickle is there.
 */
cvq_err cvq_pickle_find_end(const uint8_t *data, size_t available, size_t *length,
			    struct cvq_reason *reason);

/*
 * Reads a pickled list of strings.  '*strings' is the caller's to free; they point
 * into the pickle.  Returns as cvq_pickle_parse().
 */
cvq_err cvq_pickle_strings(const uint8_t *data, size_t length, struct cvq_slice **strings,
			   size_t *count, struct cvq_reason *reason);

/* The bytes up to and including STOP; what follows is not part of the pickle. */
size_t cvq_pickle_length(const struct cvq_pickle *pickle);

/* In the order of their first persistent id, which is the order torch loads
 * them in. */
size_t cvq_pickle_storage_count(const struct cvq_pickle *pickle);
const struct cvq_storage *cvq_pickle_storage(const struct cvq_pickle *pickle, size_t index);

size_t cvq_pickle_tensor_count(const struct cvq_pickle *pickle);
const struct cvq_tensor *cvq_pickle_tensor(const struct cvq_pickle *pickle, size_t index);

/*
 * The keys of the dict that the whole pickle is, also those that have no tensor behind
 * them.  '*keys' is the caller's to free; they point into the pickle.  Returns 0;
 * CVQ_ERR_CONTENT with the reason if the pickle is no dict, or has a key that is no
 * string; -ENOMEM.
 */
cvq_err cvq_pickle_keys(const struct cvq_pickle *pickle, struct cvq_slice **keys,
			size_t *count, struct cvq_reason *reason);

/*
 * Finds a class or function that is neither torch's nor one of the few others that
 * torch.load(weights_only=True) takes.  Returns whether there is one.
 */
bool cvq_pickle_foreign_name(const struct cvq_pickle *pickle, struct cvq_slice *module,
			     struct cvq_slice *name);

/* What becomes of one storage. */
struct cvq_storage_edit {
	bool convert;        /* name the new type instead of FloatStorage */
	uint64_t more_numel; /* elements that the record has beyond its tensors' */
};

/*
 * Appends the edited pickle to 'out'.  'edits' has one entry per storage;
 * 'type' is the class that converted storages get ("HalfStorage").
 *
 * Every push of the class FloatStorage becomes an explicit GLOBAL, so converted
 * and kept storages may share a memo slot; FRAME opcodes are dropped;
 * everything else is copied.  For protocol 2 no opcode is used that torch's
 * weights_only unpickler does not know.
 *
 * Returns 0; CVQ_ERR_CONTENT with the reason if it becomes longer than
 * CVQ_PICKLE_MAX_BYTES; -ENOMEM.
 */
cvq_err cvq_pickle_rewrite(const struct cvq_pickle *pickle,
			   const struct cvq_storage_edit *edits, const char *type,
			   struct cvq_buffer *out, struct cvq_reason *reason);

#endif
