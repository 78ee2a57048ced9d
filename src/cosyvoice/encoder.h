/* SPDX-License-Identifier: MIT */
/*
 * The transformer encoders that llm and flow have in common
 *
 * Private to the room.
 */
#ifndef CVQ_COSYVOICE_ENCODER_H
#define CVQ_COSYVOICE_ENCODER_H

#include "cosyvoice/modules.h"

/* Adds the encoder that 'object' is under its name, and returns the size of its output. */
int64_t cvq_add_encoder(struct cvq_network *network, const char *name,
			const struct cvq_object *object);

/* A PreLookaheadLayer. */
void cvq_add_pre_lookahead(struct cvq_network *network, int64_t in, int64_t channels,
			   int64_t length);

#endif
