/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: any bytes as a package's yaml
 *
 * What parses describes networks, or is said not to; within the limits in any case.
 */
#include <assert.h>
#include <stdlib.h>

#include "cosyvoice/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void build(const struct cvq_yaml *yaml, void (*add)(struct cvq_network *network))
{
	struct cvq_network network = {.yaml = yaml};
	add(&network);
	assert(network.error == 0 || network.error == CVQ_ERR_CONTENT);
	assert(network.count <= CVQ_NETWORK_MAX_TENSORS);
	cvq_network_sort(&network);
	cvq_network_release(&network);
}

static void add_llm(struct cvq_network *network)
{
	json_t *qwen =
		json_pack("{s:i, s:i, s:i, s:i, s:i, s:i}", "vocab_size", 9, "hidden_size",
			  8, "num_hidden_layers", 1, "num_attention_heads", 2,
			  "num_key_value_heads", 1, "intermediate_size", 4);
	cvq_add_llm(network, qwen);
	json_decref(qwen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cvq_yaml *yaml = NULL;
	if (cvq_yaml_parse((const char *)data, size, &yaml, NULL))
		return 0;
	build(yaml, add_llm);
	build(yaml, cvq_add_flow);
	build(yaml, cvq_add_hift);
	cvq_yaml_free(yaml);
	return 0;
}
