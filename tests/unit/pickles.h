/* SPDX-License-Identifier: MIT */
/*
 * Pickles read and rewritten by the machine, and what it found in them
 */
#ifndef CVQ_TESTS_PICKLES_H
#define CVQ_TESTS_PICKLES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "pickle/pickle.h"
#include "pickler.h"

/* ========================================================================== */

static inline struct cvq_pickle *parse(const struct cvq_buffer *stream)
{
	struct cvq_pickle *pickle = NULL;
	struct cvq_reason reason = {""};
	cvq_err err = cvq_pickle_parse(stream->data, stream->length, &pickle, &reason);
	if (err)
		fail_msg("not understood: %s", reason.text);
	return pickle;
}

static inline const struct cvq_tensor *find_tensor(const struct cvq_pickle *pickle,
						   const char *name)
{
	for (size_t i = 0; i < cvq_pickle_tensor_count(pickle); i++)
		if (strcmp(cvq_pickle_tensor(pickle, i)->name, name) == 0)
			return cvq_pickle_tensor(pickle, i);
	fail_msg("there is no tensor '%s'", name);
	return NULL;
}

static inline bool is_plain(const struct cvq_pickle *pickle, const char *name)
{
	return cvq_pickle_storage(pickle, find_tensor(pickle, name)->storage)->plain;
}

/* Rewrites with every plain FP32 storage converted and longer by 'more'. */
static inline struct cvq_buffer rewrite(const struct cvq_pickle *pickle, uint64_t more)
{
	struct cvq_storage_edit edits[16] = {0};
	struct cvq_buffer out = {0};
	struct cvq_reason reason;
	assert_true(cvq_pickle_storage_count(pickle) <= 16);
	for (size_t i = 0; i < cvq_pickle_storage_count(pickle); i++) {
		const struct cvq_storage *storage = cvq_pickle_storage(pickle, i);
		edits[i].convert = storage->plain && storage->is_float32;
		edits[i].more_numel = edits[i].convert ? more : 0;
	}
	assert_int_equal(cvq_pickle_rewrite(pickle, edits, "HalfStorage", &out, &reason),
			 0);
	return out;
}

/* ('storage', torch.FloatStorage, '94810', 'cpu', 6, view) and BINPERSID, as legacy streams
 * have it; the view is given as opcodes. */
static inline void emit_legacy_storage(struct cvq_buffer *out, const char *view,
				       size_t length)
{
	emit_storage_fields(out, "FloatStorage", "94810", 6);
	cvq_buffer_append(out, view, length);
	emit(out, "tQ");
}
#define EMIT_LEGACY_STORAGE(out, view) emit_legacy_storage(out, view, sizeof(view) - 1)

#endif
