/* SPDX-License-Identifier: MIT */
#include "pickle/pickle.h"

#include "pickle/machine.h"

cvq_err cvq_pickle_parse(const uint8_t *data, size_t length, struct cvq_pickle **pickle,
			 struct cvq_reason *reason)
{
	struct cvq_pickle *parsed = calloc(1, sizeof(*parsed));
	if (!parsed)
		return -ENOMEM;
	parsed->data = data;
	cvq_err err = cvq_machine_run(parsed, length, reason);
	if (!err)
		err = cvq_meaning_find(parsed, reason);
	if (err)
		cvq_pickle_free(parsed);
	else
		*pickle = parsed;
	return err;
}

void cvq_pickle_free(struct cvq_pickle *pickle)
{
	if (!pickle)
		return;
	/* Each tensor's shape heads the allocation of its shape, stride and name. */
	for (size_t i = 0; i < pickle->tensor_count; i++)
		free((void *)(uintptr_t)pickle->tensors[i].shape);
	free(pickle->globals);
	free(pickle->nodes);
	free(pickle->items);
	free(pickle->children);
	free(pickle->storages);
	free(pickle->tensors);
	free(pickle->class_pushes);
	free(pickle->storage_uses);
	free(pickle->frames);
	free(pickle);
}

size_t cvq_pickle_length(const struct cvq_pickle *pickle)
{
	return pickle->length;
}

size_t cvq_pickle_storage_count(const struct cvq_pickle *pickle)
{
	return pickle->storage_count;
}

const struct cvq_storage *cvq_pickle_storage(const struct cvq_pickle *pickle, size_t index)
{
	return &pickle->storages[index];
}

size_t cvq_pickle_tensor_count(const struct cvq_pickle *pickle)
{
	return pickle->tensor_count;
}

const struct cvq_tensor *cvq_pickle_tensor(const struct cvq_pickle *pickle, size_t index)
{
	return &pickle->tensors[index];
}
