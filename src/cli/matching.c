/* SPDX-License-Identifier: MIT */
#include "cli/matching.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare_names(const void *left, const void *right, void *context)
{
	const struct cvq_tensor *tensors = context;
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	int order = strcmp(tensors[a].name, tensors[b].name);
	return order ? order : (a > b) - (a < b);
}

/* The checkpoint's tensors in the order of their names; NULL if memory ran out. */
static uint32_t *sort_names(const struct cvq_checkpoint *checkpoint)
{
	size_t count = checkpoint->tensor_count;
	uint32_t *order = calloc(count + 1, sizeof(*order));
	for (uint32_t i = 0; order && i < count; i++)
		order[i] = i;
	if (order && count > 0)
		qsort_r(order, count, sizeof(*order), compare_names,
			(void *)(uintptr_t)checkpoint->tensors);
	return order;
}

static void expect_conversion(const struct cvq_comparison *comparison,
			      struct cvq_compared *tensor)
{
	const bool is_fp16 = comparison->rules->policy->dtype == CVQ_FP16;
	tensor->converted = true;
	tensor->expected_type = is_fp16 ? "HalfStorage" : "BFloat16Storage";
	tensor->expected_size = 2;
}

static void describe_source(struct cvq_comparison *comparison)
{
	const struct cvq_checkpoint *source = comparison->source->checkpoint;
	for (size_t i = 0; i < source->tensor_count; i++) {
		struct cvq_compared *tensor = &comparison->tensors[i];
		tensor->source = &source->tensors[i];
		const struct cvq_storage *storage =
			&source->storages[tensor->source->storage];
		tensor->expected_type = storage->type;
		tensor->expected_size = storage->item_size;
		if (cvq_selection_converts(&comparison->selection, source, i, NULL))
			expect_conversion(comparison, tensor);
	}
	comparison->count = source->tensor_count;
}

/* The pattern that keeps the source's tensor, if the view need not have it; else NULL. */
static const char *waived_pattern(const struct cvq_comparison *comparison,
				  const struct cvq_tensor *tensor)
{
	const struct cvq_selection *selection = &comparison->selection;
	const struct cvq_globs *waived = comparison->rules->waived;
	const struct cvq_choice *choice = &selection->storages[tensor->storage];
	if (!waived || choice->fate != CVQ_FATE_KEPT)
		return NULL;
	const char *pattern = selection->patterns[choice->kept_tensor];
	for (size_t i = 0; i < waived->count; i++)
		if (strcmp(waived->patterns[i], pattern) == 0)
			return pattern;
	return NULL;
}

/* Where another program has converted what it did not know to be kept, that is expected
 * then, to the bit. */
static void waive_patterns(struct cvq_comparison *comparison)
{
	const struct cvq_storage *storages = comparison->view->checkpoint->storages;
	for (size_t i = 0; i < comparison->count; i++) {
		struct cvq_compared *tensor = &comparison->tensors[i];
		if (!tensor->source || !tensor->view)
			continue;
		const char *pattern = waived_pattern(comparison, tensor->source);
		struct cvq_compared converted = *tensor;
		expect_conversion(comparison, &converted);
		converted.waived = pattern;
		if (pattern &&
		    strcmp(cvq_element_type_name(storages[tensor->view->storage].type),
			   cvq_element_type_name(converted.expected_type)) == 0)
			*tensor = converted;
	}
}

cvq_err cvq_match_tensors(struct cvq_comparison *comparison)
{
	const struct cvq_checkpoint *source = comparison->source->checkpoint;
	const struct cvq_checkpoint *view = comparison->view->checkpoint;
	cleanup_free uint32_t *sources = sort_names(source);
	cleanup_free uint32_t *views = sort_names(view);
	comparison->tensors = calloc(source->tensor_count + view->tensor_count + 1,
				     sizeof(*comparison->tensors));
	if (!sources || !views || !comparison->tensors)
		return -ENOMEM;
	describe_source(comparison);
	size_t i = 0, j = 0;
	while (i < source->tensor_count || j < view->tensor_count) {
		int order = i == source->tensor_count ? 1
			    : j == view->tensor_count
				    ? -1
				    : strcmp(source->tensors[sources[i]].name,
					     view->tensors[views[j]].name);
		struct cvq_compared *tensor =
			order > 0 ? &comparison->tensors[comparison->count++]
				  : &comparison->tensors[sources[i]];
		if (order >= 0)
			tensor->view = &view->tensors[views[j++]];
		if (order <= 0)
			i++;
	}
	waive_patterns(comparison);
	return 0;
}
