/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: any bytes as data.pkl
 *
 * What parses must rewrite, and the rewritten pickle must parse to the same
 * storages and tensors.
 */
#include <assert.h>
#include <string.h>

#include "pickle/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_rewrite(const struct cvq_pickle *pickle)
{
	size_t count = cvq_pickle_storage_count(pickle);
	struct cvq_storage_edit *edits = calloc(count + 1, sizeof(*edits));
	for (size_t i = 0; i < count; i++) {
		const struct cvq_storage *storage = cvq_pickle_storage(pickle, i);
		edits[i].convert = storage->plain && storage->is_float32;
		edits[i].more_numel = edits[i].convert ? 2 : 0;
	}
	cleanup_buffer struct cvq_buffer out = {0};
	struct cvq_pickle *again = NULL;
	if (cvq_pickle_rewrite(pickle, edits, "HalfStorage", &out, NULL) == 0) {
		assert(cvq_pickle_parse(out.data, out.length, &again, NULL) == 0);
		assert(cvq_pickle_storage_count(again) == count);
		assert(cvq_pickle_tensor_count(again) == cvq_pickle_tensor_count(pickle));
		for (size_t i = 0; i < count; i++)
			assert(cvq_pickle_storage(again, i)->numel ==
			       cvq_pickle_storage(pickle, i)->numel + edits[i].more_numel);
		cvq_pickle_free(again);
	}
	free(edits);
}

static void check_keys(const struct cvq_pickle *pickle)
{
	cleanup_free struct cvq_slice *keys = NULL;
	struct cvq_slice module, name;
	size_t count = 0;
	if (cvq_pickle_keys(pickle, &keys, &count, NULL) == 0)
		for (size_t i = 0; i < count; i++)
			assert(keys[i].length <= cvq_pickle_length(pickle));
	cvq_pickle_foreign_name(pickle, &module, &name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cvq_pickle *pickle = NULL;
	if (cvq_pickle_parse(data, size, &pickle, NULL) == 0) {
		check_rewrite(pickle);
		check_keys(pickle);
	}
	cvq_pickle_free(pickle);
	return 0;
}
