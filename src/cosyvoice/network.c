/* SPDX-License-Identifier: MIT */
#include "cosyvoice/network.h"

#include <stdlib.h>
#include <string.h>

void cvq_network_release(struct cvq_network *network)
{
	for (size_t i = 0; i < network->count; i++)
		free(network->tensors[i].name);
	free(network->tensors);
	cvq_buffer_release(&network->path);
	*network = (struct cvq_network){0};
}

static int compare_names(const void *left, const void *right)
{
	const struct cvq_expected *a = left;
	const struct cvq_expected *b = right;
	return strcmp(a->name, b->name);
}

void cvq_network_sort(struct cvq_network *network)
{
	if (network->count > 0)
		qsort(network->tensors, network->count, sizeof(*network->tensors),
		      compare_names);
}

static int compare_to_name(const void *name, const void *tensor)
{
	const struct cvq_expected *expected = tensor;
	return strcmp(name, expected->name);
}

const struct cvq_expected *cvq_network_find(const struct cvq_network *network,
					    const char *name)
{
	if (network->count == 0)
		return NULL;
	return bsearch(name, network->tensors, network->count, sizeof(*network->tensors),
		       compare_to_name);
}
