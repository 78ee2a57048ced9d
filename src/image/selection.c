/* SPDX-License-Identifier: MIT */
#include "image/selection.h"

/* What the checkpoint itself says of the storages. */
static void judge_storages(const struct cvq_checkpoint *checkpoint,
			   struct cvq_selection *selection)
{
	for (size_t i = 0; i < checkpoint->storage_count; i++)
		selection->storages[i].fate = checkpoint->storages[i].is_float32
						      ? CVQ_FATE_NOT_PLAIN
						      : CVQ_FATE_NOT_FLOAT32;
	for (size_t i = 0; i < checkpoint->tensor_count; i++) {
		uint32_t storage = checkpoint->tensors[i].storage;
		if (checkpoint->storages[storage].is_float32 &&
		    checkpoint->storages[storage].plain)
			selection->storages[storage].fate = CVQ_FATE_CONVERTED;
	}
}

/* A kept tensor keeps what shares its storage. */
static void keep_tensors(const struct cvq_checkpoint *checkpoint,
			 const struct cvq_policy *policy, struct cvq_selection *selection)
{
	for (size_t i = 0; i < checkpoint->tensor_count; i++) {
		const struct cvq_tensor *tensor = &checkpoint->tensors[i];
		struct cvq_choice *choice = &selection->storages[tensor->storage];
		selection->patterns[i] = cvq_policy_tensor_pattern(policy, tensor->name);
		if (selection->patterns[i] && choice->fate == CVQ_FATE_CONVERTED)
			*choice = (struct cvq_choice){CVQ_FATE_KEPT, (uint32_t)i};
	}
}

cvq_err cvq_selection_make(const struct cvq_checkpoint *checkpoint,
			   const struct cvq_policy *policy, struct cvq_selection *selection)
{
	size_t storages = checkpoint->storage_count;
	*selection = (struct cvq_selection){
		.storages = calloc(storages + 1, sizeof(*selection->storages)),
		.patterns =
			calloc(checkpoint->tensor_count + 1, sizeof(*selection->patterns)),
	};
	if (!selection->storages || !selection->patterns)
		return -ENOMEM;
	judge_storages(checkpoint, selection);
	keep_tensors(checkpoint, policy, selection);
	for (size_t i = 0; i < storages; i++)
		selection->converted += selection->storages[i].fate == CVQ_FATE_CONVERTED;
	return 0;
}

void cvq_selection_release(struct cvq_selection *selection)
{
	free(selection->storages);
	free(selection->patterns);
	*selection = (struct cvq_selection){0};
}

bool cvq_selection_converts(const struct cvq_selection *selection,
			    const struct cvq_checkpoint *checkpoint, size_t tensor,
			    struct cvq_reason *reason)
{
	const struct cvq_choice *choice =
		&selection->storages[checkpoint->tensors[tensor].storage];
	switch (choice->fate) {
	case CVQ_FATE_CONVERTED:
		return true;
	case CVQ_FATE_NOT_FLOAT32:
		cvq_explain(reason, 0, "not FP32");
		break;
	case CVQ_FATE_NOT_PLAIN:
		cvq_explain(reason, 0, "used by something other than plain tensors");
		break;
	case CVQ_FATE_KEPT:
		if (selection->patterns[tensor])
			cvq_explain(reason, 0, "the pattern '%.100s' keeps it",
				    selection->patterns[tensor]);
		else
			cvq_explain(reason, 0,
				    "shares a storage with '%.100s', which is kept",
				    checkpoint->tensors[choice->kept_tensor].name);
		break;
	}
	return false;
}
