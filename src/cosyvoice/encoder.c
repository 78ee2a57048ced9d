/* SPDX-License-Identifier: MIT */
/*
 * cosyvoice/transformer: ConformerEncoder, TransformerEncoder, UpsampleConformerEncoder
 */
#include "cosyvoice/encoder.h"

/* What UpsampleConformerEncoder has from nowhere but its own code. */
#define UP_CHANNELS  512
#define UP_BLOCKS    4
#define UP_KERNEL    5
#define UP_LOOKAHEAD 3

struct encoder {
	int64_t in, size, heads, units, blocks;
	bool relative; /* attention knows the distance */
	bool conformer;
};

static void check_form(struct cvq_network *network, const struct cvq_object *object,
		       bool conformer)
{
	static const char *const layers[] = {"linear", "linear_legacy", NULL};
	static const char *const positions[] = {"abs_pos", "rel_pos", "rel_pos_espnet",
						"no_pos", NULL};
	static const char *const attentions[] = {"selfattn", "rel_selfattn", NULL};
	static const char *const off[] = {"False", "false", "FALSE", NULL};

	cvq_check_choice(network, object, "input_layer", "conv2d", layers);
	cvq_check_choice(network, object, "pos_enc_layer_type", "rel_pos", positions);
	cvq_check_choice(network, object, "selfattention_layer_type", "rel_selfattn",
			 attentions);
	if (conformer) {
		cvq_check_choice(network, object, "macaron_style", "True", off);
		cvq_check_choice(network, object, "use_cnn_module", "True", off);
	}
}

static struct encoder read_encoder(struct cvq_network *network,
				   const struct cvq_object *object)
{
	bool conformer = !cvq_object_is(object, "TransformerEncoder");
	cvq_yaml_node attention =
		cvq_yaml_get(network->yaml, object->node, "selfattention_layer_type");
	const char *kind = cvq_yaml_text(network->yaml, attention);
	struct encoder encoder = {
		.in = cvq_get_size(network, object, "input_size", CVQ_REQUIRED),
		.size = cvq_get_size(network, object, "output_size", 256),
		.heads = cvq_get_size(network, object, "attention_heads", 4),
		.units = cvq_get_size(network, object, "linear_units", 2048),
		.blocks = cvq_get_count(network, object, "num_blocks", 6),
		.relative = kind ? kind[0] == 'r' : conformer,
		.conformer = conformer,
	};
	check_form(network, object, conformer);
	if (encoder.size % encoder.heads != 0)
		cvq_object_refuse(network, object, "output_size",
				  "is no multiple of attention_heads");
	return encoder;
}

static void add_attention(struct cvq_network *network, const struct encoder *encoder)
{
	int64_t size = encoder->size;
	size_t outer = cvq_enter_module(network, "self_attn");

	cvq_linear(network, "linear_q", size, size);
	cvq_linear(network, "linear_k", size, size);
	cvq_linear(network, "linear_v", size, size);
	cvq_linear(network, "linear_out", size, size);
	if (encoder->relative) {
		cvq_linear_no_bias(network, "linear_pos", size, size);
		CVQ_TENSOR(network, "pos_bias_u", encoder->heads, size / encoder->heads);
		CVQ_TENSOR(network, "pos_bias_v", encoder->heads, size / encoder->heads);
	}
	cvq_leave_module(network, outer);
}

static void add_layers(struct cvq_network *network, const char *name, int64_t count,
		       const struct encoder *encoder)
{
	for (int64_t i = 0; i < count; i++) {
		size_t outer = cvq_enter_module(network, "%s.%lld", name, (long long)i);
		add_attention(network, encoder);
		cvq_linear(network, "feed_forward.w_1", encoder->size, encoder->units);
		cvq_linear(network, "feed_forward.w_2", encoder->units, encoder->size);
		cvq_norm(network, encoder->conformer ? "norm_ff" : "norm1", encoder->size);
		cvq_norm(network, encoder->conformer ? "norm_mha" : "norm2", encoder->size);
		cvq_leave_module(network, outer);
	}
}

/* LinearNoSubsampling */
static void add_embedding(struct cvq_network *network, const char *name,
			  const struct encoder *encoder)
{
	size_t outer = cvq_enter_module(network, "%s", name);
	cvq_linear(network, "out.0", encoder->in, encoder->size);
	cvq_norm(network, "out.1", encoder->size);
	cvq_leave_module(network, outer);
}

void cvq_add_pre_lookahead(struct cvq_network *network, int64_t in, int64_t channels,
			   int64_t length)
{
	size_t outer = cvq_enter_module(network, "pre_lookahead_layer");
	cvq_conv(network, "conv1", in, channels, length + 1);
	cvq_conv(network, "conv2", channels, in, 3);
	cvq_leave_module(network, outer);
}

static void add_upsampling(struct cvq_network *network, const struct encoder *encoder)
{
	cvq_add_pre_lookahead(network, UP_CHANNELS, UP_CHANNELS, UP_LOOKAHEAD);
	cvq_conv(network, "up_layer.conv", UP_CHANNELS, UP_CHANNELS, UP_KERNEL);
	add_embedding(network, "up_embed", encoder);
	add_layers(network, "up_encoders", UP_BLOCKS, encoder);
}

int64_t cvq_add_encoder(struct cvq_network *network, const char *name,
			const struct cvq_object *object)
{
	bool upsamples = cvq_object_is(object, "UpsampleConformerEncoder");
	if (!upsamples && !cvq_object_is(object, "ConformerEncoder") &&
	    !cvq_object_is(object, "TransformerEncoder"))
		cvq_object_refuse_class(network, object);

	const struct encoder encoder = read_encoder(network, object);
	size_t outer = cvq_enter_module(network, "%s", name);
	add_embedding(network, "embed", &encoder);
	cvq_norm(network, "after_norm", encoder.size);
	add_layers(network, "encoders", encoder.blocks, &encoder);
	if (upsamples)
		add_upsampling(network, &encoder);
	cvq_leave_module(network, outer);
	return encoder.size;
}
