/* SPDX-License-Identifier: MIT */
/*
 * What the decoder of a flow estimates with: a U-Net or a diffusion transformer
 *
 * Private to the room.
 */
#ifndef CVQ_COSYVOICE_ESTIMATOR_H
#define CVQ_COSYVOICE_ESTIMATOR_H

#include "cosyvoice/modules.h"

void cvq_add_estimator(struct cvq_network *network, const struct cvq_object *estimator);

#endif
