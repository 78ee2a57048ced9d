/* SPDX-License-Identifier: MIT */
#include "cosyvoice/weights.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* ========================================================================== */
/*                                   Reading                                  */
/* ========================================================================== */

static int compare_tensors(const void *left, const void *right)
{
	const struct cvq_tensor *const *a = left;
	const struct cvq_tensor *const *b = right;
	return strcmp((*a)->name, (*b)->name);
}

static int compare_to_name(const void *name, const void *element)
{
	const struct cvq_tensor *const *tensor = element;
	return strcmp(name, (*tensor)->name);
}

/* The tensors by name, to be freed; NULL if memory ran out. */
static const struct cvq_tensor **sort_tensors(const struct cvq_checkpoint *checkpoint)
{
	size_t count = checkpoint->tensor_count;
	const struct cvq_tensor **sorted = calloc(count + 1, sizeof(const void *));
	for (size_t i = 0; sorted && i < count; i++)
		sorted[i] = &checkpoint->tensors[i];
	if (sorted)
		qsort(sorted, count, sizeof(const void *), compare_tensors);
	return sorted;
}

/* The key as the names of tensors have it: what would end the string is replaced. */
static char *copy_key(struct cvq_slice key)
{
	char *copy = malloc(key.length + 1);
	if (!copy)
		return NULL;
	for (size_t i = 0; i < key.length; i++)
		copy[i] = (char)(key.data[i] ? key.data[i] : '?');
	copy[key.length] = '\0';
	return copy;
}

static cvq_err read_keys(struct cvq_weights *weights, struct cvq_reason *reason)
{
	const struct cvq_checkpoint *checkpoint = weights->checkpoint;
	cleanup_free struct cvq_slice *keys = NULL;
	size_t count = 0;
	cvq_err err = cvq_pickle_keys(checkpoint->pickle, &keys, &count, reason);
	if (err)
		return err;
	cleanup_free const struct cvq_tensor **sorted = sort_tensors(checkpoint);
	weights->list = calloc(count + 1, sizeof(*weights->list));
	if (!sorted || !weights->list)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct cvq_weight *weight = &weights->list[weights->count];
		weight->name = copy_key(keys[i]);
		if (!weight->name)
			return -ENOMEM;
		const struct cvq_tensor **found =
			bsearch(weight->name, sorted, checkpoint->tensor_count,
				sizeof(const void *), compare_to_name);
		weight->tensor = found ? *found : NULL;
		weights->count++;
	}
	return 0;
}

/* safetensors hold nothing but tensors. */
static cvq_err copy_names(struct cvq_weights *weights)
{
	const struct cvq_checkpoint *checkpoint = weights->checkpoint;
	weights->list = calloc(checkpoint->tensor_count + 1, sizeof(*weights->list));
	if (!weights->list)
		return -ENOMEM;
	for (size_t i = 0; i < checkpoint->tensor_count; i++) {
		const struct cvq_tensor *tensor = &checkpoint->tensors[i];
		weights->list[i] = (struct cvq_weight){strdup(tensor->name), tensor};
		weights->count++;
		if (!weights->list[i].name)
			return -ENOMEM;
	}
	return 0;
}

cvq_err cvq_weights_open(int fd, uint64_t size, struct cvq_weights **weights,
			 struct cvq_reason *reason)
{
	struct cvq_weights *opened = calloc(1, sizeof(*opened));
	if (!opened) {
		close(fd);
		return -ENOMEM;
	}
	opened->source.fd = fd;
	cvq_err err =
		cvq_checkpoint_open(&opened->source, size, &opened->checkpoint, reason);
	if (err)
		cvq_weights_close(opened);
	else
		*weights = opened;
	return err;
}

cvq_err cvq_weights_read_names(struct cvq_weights *weights, struct cvq_reason *reason)
{
	return weights->checkpoint->pickle ? read_keys(weights, reason)
					   : copy_names(weights);
}

void cvq_weights_close(struct cvq_weights *weights)
{
	if (!weights)
		return;
	for (size_t i = 0; i < weights->count; i++)
		free(weights->list[i].name);
	free(weights->list);
	cvq_checkpoint_free(weights->checkpoint);
	close(weights->source.fd);
	free(weights);
}

/* ========================================================================== */
/*                                    Names                                   */
/* ========================================================================== */

static void remove_all(char *name, const char *part)
{
	size_t length = strlen(part);
	char *end = name;
	while (*name)
		if (strncmp(name, part, length) == 0)
			name += length;
		else
			*end++ = *name++;
	*end = '\0';
}

cvq_err cvq_weights_rename_hift(struct cvq_weights *weights)
{
	static const char *const suffixes[][2] = {
		{".weight_g", ".parametrizations.weight.original0"},
		{".weight_v", ".parametrizations.weight.original1"},
	};
	for (size_t i = 0; i < weights->count; i++) {
		char **name = &weights->list[i].name;
		remove_all(*name, "generator.");
		size_t suffix = strlen(suffixes[0][0]);
		size_t length = strlen(*name);
		for (size_t j = 0; j < 2 && length >= suffix; j++) {
			if (strcmp(*name + length - suffix, suffixes[j][0]) != 0)
				continue;
			char *renamed;
			if (asprintf(&renamed, "%.*s%s", (int)(length - suffix), *name,
				     suffixes[j][1]) < 0)
				return -ENOMEM;
			free(*name);
			*name = renamed;
			break;
		}
	}
	return 0;
}

bool cvq_weights_has_prefix(const struct cvq_weights *weights, const char *prefix)
{
	for (size_t i = 0; i < weights->count; i++)
		if (strncmp(weights->list[i].name, prefix, strlen(prefix)) == 0)
			return true;
	return false;
}

const struct cvq_weight *cvq_weights_find(const struct cvq_weights *weights,
					  const char *name)
{
	for (size_t i = 0; i < weights->count; i++)
		if (strcmp(weights->list[i].name, name) == 0)
			return &weights->list[i];
	return NULL;
}
