/* SPDX-License-Identifier: MIT */
/*
 * A network as the yaml describes it: the names and shapes of its tensors
 *
 * Built as torch builds it, module by module, each of which adds its tensors under the
 * path that leads to it.  What the yaml lacks or gets wrong is remembered, the first
 * time it happens, and asked for at the end.
 *
 * Facts: FunAudioLLM/CosyVoice (the classes), shivammehta25/Matcha-TTS (the blocks of
 * the decoder), transformers (Qwen2).
 *
 * Private to the room.
 */
#ifndef CVQ_COSYVOICE_NETWORK_H
#define CVQ_COSYVOICE_NETWORK_H

#include <jansson.h>

#include "base/buffer.h"
#include "cosyvoice/yaml.h"

#define CVQ_NETWORK_MAX_TENSORS 100000u
#define CVQ_MAX_DIMENSIONS      3u /* of any tensor of these networks */

struct cvq_shape {
	unsigned dimensions;
	int64_t sizes[CVQ_MAX_DIMENSIONS];
};

struct cvq_expected {
	char *name;
	struct cvq_shape shape;
};

struct cvq_network {
	const struct cvq_yaml *yaml;
	struct cvq_expected *tensors;
	size_t count, capacity;
	struct cvq_buffer path; /* of the module that is being built, with a dot behind */
	cvq_err error;
	struct cvq_reason reason; /* what is wrong with the yaml */
};

void cvq_network_release(struct cvq_network *network);

/* Sorts the tensors by name. */
void cvq_network_sort(struct cvq_network *network);

/* The tensor of that name, once they are sorted; NULL if there is none. */
const struct cvq_expected *cvq_network_find(const struct cvq_network *network,
					    const char *name);

/* --- networks ------------------------------------------------------------------- */

/* Adds the tensors of what the yaml has under "llm", "flow" or "hift".  'qwen' is the
 * config.json of the pretrained language model, or NULL. */
void cvq_add_llm(struct cvq_network *network, const json_t *qwen);
void cvq_add_flow(struct cvq_network *network);
void cvq_add_hift(struct cvq_network *network);

/* Qwen2ForCausalLM, of which this is the config.json. */
void cvq_add_qwen(struct cvq_network *network, const json_t *config);

#endif
