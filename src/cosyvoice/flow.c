/* SPDX-License-Identifier: MIT */
/*
 * cosyvoice/flow/flow.py: MaskedDiffWithXvec, CausalMaskedDiffWithXvec and
 * CausalMaskedDiffWithDiT
 */
#include "cosyvoice/encoder.h"
#include "cosyvoice/estimator.h"

/* InterpolateRegulator: a convolution, a norm and an activation for each ratio, then a
 * convolution. */
static void add_length_regulator(struct cvq_network *network, const struct cvq_object *flow)
{
	struct cvq_object regulator = cvq_object_get(network, flow, "length_regulator");
	struct cvq_sizes ratios =
		cvq_get_sizes(network, &regulator, "sampling_ratios", NULL);
	char name[16];
	int64_t channels = cvq_get_size(network, &regulator, "channels", CVQ_REQUIRED);
	int64_t out = cvq_get_optional_size(network, &regulator, "out_channels", channels);
	unsigned at = 0;

	if (!cvq_object_is(&regulator, "InterpolateRegulator"))
		cvq_object_refuse_class(network, &regulator);
	size_t outer = cvq_enter_module(network, "length_regulator.model");
	for (size_t i = 0; i < ratios.count; i++, at += 3) {
		cvq_conv(network, cvq_number_name(name, at), channels, channels, 3);
		cvq_norm(network, cvq_number_name(name, at + 1), channels);
	}
	cvq_conv(network, cvq_number_name(name, at), channels, out, 1);
	cvq_leave_module(network, outer);
}

static void add_lookahead(struct cvq_network *network, const struct cvq_object *flow)
{
	struct cvq_object layer = cvq_object_get(network, flow, "pre_lookahead_layer");
	if (!cvq_object_is(&layer, "PreLookaheadLayer"))
		cvq_object_refuse_class(network, &layer);
	cvq_add_pre_lookahead(network,
			      cvq_get_size(network, &layer, "in_channels", CVQ_REQUIRED),
			      cvq_get_size(network, &layer, "channels", CVQ_REQUIRED),
			      cvq_get_size(network, &layer, "pre_lookahead_len", 1));
}

static void add_decoder(struct cvq_network *network, const struct cvq_object *flow)
{
	struct cvq_object decoder = cvq_object_get(network, flow, "decoder");
	if (!cvq_object_is(&decoder, "ConditionalCFM") &&
	    !cvq_object_is(&decoder, "CausalConditionalCFM"))
		cvq_object_refuse_class(network, &decoder);
	struct cvq_object estimator = cvq_object_get(network, &decoder, "estimator");
	size_t outer = cvq_enter_module(network, "decoder.estimator");
	cvq_add_estimator(network, &estimator);
	cvq_leave_module(network, outer);
}

void cvq_add_flow(struct cvq_network *network)
{
	struct cvq_object flow = cvq_object_get(network, NULL, "flow");
	bool first = cvq_object_is(&flow, "MaskedDiffWithXvec");
	bool third = cvq_object_is(&flow, "CausalMaskedDiffWithDiT");
	if (!first && !third && !cvq_object_is(&flow, "CausalMaskedDiffWithXvec"))
		cvq_object_refuse_class(network, &flow);

	int64_t in = cvq_get_size(network, &flow, "input_size", 512);
	int64_t out = cvq_get_size(network, &flow, "output_size", 80);
	int64_t tokens = cvq_get_size(network, &flow, "vocab_size", 4096);
	int64_t speaker = cvq_get_size(network, &flow, "spk_embed_dim", 192);
	cvq_embedding(network, "input_embedding", tokens, in);
	cvq_linear(network, "spk_embed_affine_layer", speaker, out);
	if (third) {
		add_lookahead(network, &flow);
	} else {
		struct cvq_object encoder = cvq_object_get(network, &flow, "encoder");
		int64_t encoded = cvq_add_encoder(network, "encoder", &encoder);
		cvq_linear(network, "encoder_proj", encoded, out);
	}
	if (first)
		add_length_regulator(network, &flow);
	add_decoder(network, &flow);
}
