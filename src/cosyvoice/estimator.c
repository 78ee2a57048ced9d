/* SPDX-License-Identifier: MIT */
/*
 * cosyvoice/flow/decoder.py: ConditionalDecoder and CausalConditionalDecoder, built of
 * Matcha-TTS's blocks; cosyvoice/flow/DiT/dit.py: DiT
 */
#include "cosyvoice/estimator.h"

/* ========================================================================== */
/*                                   U-Net                                    */
/* ========================================================================== */

struct unet {
	struct cvq_sizes channels;
	int64_t in, out, time, attention; /* sizes */
	int64_t blocks, middles;
	bool causal; /* a transposition before the norm and one behind it */
};

/* Block1D, CausalBlock1D */
static void add_block(struct cvq_network *network, const struct unet *unet,
		      const char *name, int64_t in, int64_t out)
{
	size_t outer = cvq_enter_module(network, "%s.block", name);
	cvq_conv(network, "0", in, out, 3);
	cvq_norm(network, unet->causal ? "2" : "1", out);
	cvq_leave_module(network, outer);
}

/* ResnetBlock1D, CausalResnetBlock1D */
static void add_resnet(struct cvq_network *network, const struct unet *unet, int64_t in,
		       int64_t out)
{
	size_t outer = cvq_enter_module(network, "0");
	cvq_linear(network, "mlp.1", unet->time, out);
	add_block(network, unet, "block1", in, out);
	add_block(network, unet, "block2", out, out);
	cvq_conv(network, "res_conv", in, out, 1);
	cvq_leave_module(network, outer);
}

/* BasicTransformerBlock */
static void add_transformer(struct cvq_network *network, const struct unet *unet,
			    int64_t size)
{
	cvq_norm(network, "norm1", size);
	cvq_linear_no_bias(network, "attn1.to_q", size, unet->attention);
	cvq_linear_no_bias(network, "attn1.to_k", size, unet->attention);
	cvq_linear_no_bias(network, "attn1.to_v", size, unet->attention);
	cvq_linear(network, "attn1.to_out.0", unet->attention, size);
	cvq_norm(network, "norm3", size);
	cvq_linear(network, "ff.net.0.proj", size, 4 * size);
	cvq_linear(network, "ff.net.2", 4 * size, size);
}

/* A step down, up or in the middle: a resnet, then transformers. */
static void add_step(struct cvq_network *network, const struct unet *unet, int64_t in,
		     int64_t out)
{
	add_resnet(network, unet, in, out);
	for (int64_t i = 0; i < unet->blocks; i++) {
		size_t outer = cvq_enter_module(network, "1.%lld", (long long)i);
		add_transformer(network, unet, out);
		cvq_leave_module(network, outer);
	}
}

/* The last step keeps the length; those before it change it by another convolution. */
static void add_resampling(struct cvq_network *network, int64_t size, bool last,
			   int64_t kernel)
{
	cvq_conv(network, last ? "2" : "2.conv", size, size, last ? 3 : kernel);
}

static void add_steps(struct cvq_network *network, const struct unet *unet)
{
	const int64_t *channels = unet->channels.sizes;
	size_t count = unet->channels.count;
	int64_t bottom = channels[count - 1];

	for (size_t i = 0; i < count; i++) {
		size_t outer = cvq_enter_module(network, "down_blocks.%zu", i);
		add_step(network, unet, i > 0 ? channels[i - 1] : unet->in, channels[i]);
		add_resampling(network, channels[i], i + 1 == count, 3);
		cvq_leave_module(network, outer);
	}
	for (int64_t i = 0; i < unet->middles; i++) {
		size_t outer = cvq_enter_module(network, "mid_blocks.%lld", (long long)i);
		add_step(network, unet, bottom, bottom);
		cvq_leave_module(network, outer);
	}
	for (size_t i = 0; i < count; i++) { /* the same way back */
		size_t from = count - 1 - i;
		int64_t out = channels[from > 0 ? from - 1 : 0];
		size_t outer = cvq_enter_module(network, "up_blocks.%zu", i);
		add_step(network, unet, 2 * channels[from], out);
		add_resampling(network, out, i + 1 == count, 4);
		cvq_leave_module(network, outer);
	}
}

static void add_unet(struct cvq_network *network, const struct cvq_object *estimator)
{
	static const char *const activations[] = {"gelu", NULL};
	static const struct cvq_sizes channels = {2, {256, 256}};
	struct unet unet = {
		.channels = cvq_get_sizes(network, estimator, "channels", &channels),
		.in = cvq_get_size(network, estimator, "in_channels", CVQ_REQUIRED),
		.out = cvq_get_size(network, estimator, "out_channels", CVQ_REQUIRED),
		.attention = cvq_get_size(network, estimator, "num_heads", 4) *
			     cvq_get_size(network, estimator, "attention_head_dim", 64),
		.blocks = cvq_get_count(network, estimator, "n_blocks", 1),
		.middles = cvq_get_count(network, estimator, "num_mid_blocks", 2),
		.causal = cvq_object_is(estimator, "CausalConditionalDecoder"),
	};
	cvq_check_choice(network, estimator, "act_fn", "snake", activations);
	if (unet.channels.count == 0) {
		cvq_object_refuse(network, estimator, "channels", "is empty");
		return;
	}
	int64_t top = unet.channels.sizes[0];
	unet.time = 4 * top;
	cvq_linear(network, "time_mlp.linear_1", unet.in, unet.time);
	cvq_linear(network, "time_mlp.linear_2", unet.time, unet.time);
	add_steps(network, &unet);
	add_block(network, &unet, "final_block", top, top);
	cvq_conv(network, "final_proj", top, unet.out, 1);
}

/* ========================================================================== */
/*                           Diffusion transformer                            */
/* ========================================================================== */

/* What DiT has from nowhere but its own code. */
#define TIME_SIZE       256
#define POSITION_KERNEL 31
#define POSITION_GROUPS 16

static void add_dit_block(struct cvq_network *network, int64_t size, int64_t attention,
			  int64_t wide)
{
	cvq_linear(network, "attn_norm.linear", size, 6 * size);
	cvq_linear(network, "attn.to_q", size, attention);
	cvq_linear(network, "attn.to_k", size, attention);
	cvq_linear(network, "attn.to_v", size, attention);
	cvq_linear(network, "attn.to_out.0", attention, size);
	cvq_linear(network, "ff.ff.0.0", size, wide);
	cvq_linear(network, "ff.ff.2", wide, size);
}

static void add_dit_input(struct cvq_network *network, const struct cvq_object *estimator,
			  int64_t size, int64_t mel)
{
	int64_t mu = cvq_get_optional_size(network, estimator, "mu_dim", mel);
	int64_t speaker = cvq_get_optional_size(network, estimator, "spk_dim", 0);
	size_t outer = cvq_enter_module(network, "input_embed");
	cvq_linear(network, "proj", 2 * mel + mu + speaker, size);
	cvq_conv(network, "conv_pos_embed.conv1.0", size / POSITION_GROUPS, size,
		 POSITION_KERNEL);
	cvq_conv(network, "conv_pos_embed.conv2.0", size / POSITION_GROUPS, size,
		 POSITION_KERNEL);
	cvq_leave_module(network, outer);
}

static void add_dit(struct cvq_network *network, const struct cvq_object *estimator)
{
	int64_t size = cvq_get_size(network, estimator, "dim", CVQ_REQUIRED);
	int64_t depth = cvq_get_count(network, estimator, "depth", 8);
	int64_t head = cvq_get_size(network, estimator, "dim_head", 64);
	int64_t attention = head * cvq_get_size(network, estimator, "heads", 8);
	int64_t wide = size * cvq_get_size(network, estimator, "ff_mult", 4);
	int64_t mel = cvq_get_size(network, estimator, "mel_dim", 80);

	cvq_linear(network, "time_embed.time_mlp.0", TIME_SIZE, size);
	cvq_linear(network, "time_embed.time_mlp.2", size, size);
	add_dit_input(network, estimator, size, mel);
	CVQ_TENSOR(network, "rotary_embed.inv_freq", (head + 1) / 2);
	for (int64_t i = 0; i < depth; i++) {
		size_t outer =
			cvq_enter_module(network, "transformer_blocks.%lld", (long long)i);
		add_dit_block(network, size, attention, wide);
		cvq_leave_module(network, outer);
	}
	if (cvq_get_flag(network, estimator, "long_skip_connection", false))
		cvq_linear_no_bias(network, "long_skip_connection", 2 * size, size);
	cvq_linear(network, "norm_out.linear", size, 2 * size);
	cvq_linear(network, "proj_out", size, mel);
}

void cvq_add_estimator(struct cvq_network *network, const struct cvq_object *estimator)
{
	if (cvq_object_is(estimator, "DiT"))
		add_dit(network, estimator);
	else if (cvq_object_is(estimator, "ConditionalDecoder") ||
		 cvq_object_is(estimator, "CausalConditionalDecoder"))
		add_unet(network, estimator);
	else
		cvq_object_refuse_class(network, estimator);
}
