/* SPDX-License-Identifier: MIT */
/*
 * The networks that check builds from a yaml, against the names and shapes of the real
 * models' tensors (tests/data/cosyvoice_shapes.json)
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "cosyvoice/network.h"
#include "fixture.h"

/* ========================================================================== */
/*                                   Helpers                                  */
/* ========================================================================== */

static char text[65536];

static void read_text(const char *name)
{
	char path[256];
	snprintf(path, sizeof(path), CVQ_SOURCE_DIR "/tests/data/%s", name);
	FILE *file = fopen(path, "re");
	if (!file)
		fail_msg("%s cannot be opened", path);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
}

/* Puts 'after' in place of 'before', of which the text must have one or more. */
static void replace(const char *before, const char *after)
{
	char *at = strstr(text, before);
	if (!at)
		fail_msg("the yaml has no '%s'", before);
	for (; at; at = strstr(at + strlen(after), before)) {
		memmove(at + strlen(after), at + strlen(before),
			strlen(at + strlen(before)) + 1);
		memcpy(at, after, strlen(after));
	}
}

static json_t *load_json(const char *name)
{
	char path[256];
	json_error_t error;
	snprintf(path, sizeof(path), CVQ_SOURCE_DIR "/tests/data/%s", name);
	json_t *json = json_load_file(path, 0, &error);
	if (!json)
		fail_msg("%s: %s", path, error.text);
	return json;
}

/* The network of a part from the yaml that is in 'text'. */
static struct cvq_network build(const char *part, struct cvq_yaml **yaml)
{
	struct cvq_reason reason = {""};
	if (cvq_yaml_parse(text, strlen(text), yaml, &reason))
		fail_msg("refused: %s", reason.text);
	struct cvq_network network = {.yaml = *yaml};
	json_t *qwen = load_json("qwen_config.json");
	if (strncmp(part, "llm", 3) == 0)
		cvq_add_llm(&network, qwen);
	else if (strncmp(part, "flow", 4) == 0)
		cvq_add_flow(&network);
	else
		cvq_add_hift(&network);
	json_decref(qwen);
	cvq_network_sort(&network);
	return network;
}

static const struct cvq_expected *find(const struct cvq_network *network, const char *name)
{
	const struct cvq_expected *tensor = cvq_network_find(network, name);
	if (!tensor)
		fail_msg("the network has no '%s'", name);
	return tensor;
}

static bool has_shape(const struct cvq_expected *tensor, size_t dimensions,
		      const int64_t *sizes)
{
	bool same = tensor->shape.dimensions == dimensions;
	for (size_t i = 0; same && i < dimensions; i++)
		same = tensor->shape.sizes[i] == sizes[i];
	return same;
}

static void assert_shape(const struct cvq_network *network, const char *name,
			 size_t dimensions, const int64_t *sizes)
{
	const struct cvq_expected *tensor = find(network, name);
	if (!has_shape(tensor, dimensions, sizes))
		fail_msg("'%s' has %u dimensions, the first %lld", name,
			 tensor->shape.dimensions, (long long)tensor->shape.sizes[0]);
}

/* ========================================================================== */
/*                                The real models                             */
/* ========================================================================== */

/* Compares with a list of ["name", dimension...] and numbered repeats; counts them. */
static size_t compare(const struct cvq_network *network, const json_t *entries,
		      const char *prefix)
{
	size_t count = 0;
	for (size_t i = 0; i < json_array_size(entries); i++) {
		const json_t *entry = json_array_get(entries, i);
		if (json_is_object(entry)) {
			json_int_t from =
				json_integer_value(json_object_get(entry, "from"));
			json_int_t times =
				json_integer_value(json_object_get(entry, "count"));
			for (json_int_t j = from; j < from + times; j++) {
				char longer[256];
				snprintf(
					longer, sizeof(longer), "%s%s%lld.", prefix,
					json_string_value(json_object_get(entry, "repeat")),
					(long long)j);
				count += compare(network, json_object_get(entry, "tensors"),
						 longer);
			}
			continue;
		}
		char name[256];
		int64_t sizes[8];
		size_t dimensions = json_array_size(entry) - 1;
		snprintf(name, sizeof(name), "%s%s", prefix,
			 json_string_value(json_array_get(entry, 0)));
		for (size_t j = 0; j < dimensions; j++)
			sizes[j] = json_integer_value(json_array_get(entry, j + 1));
		assert_shape(network, name, dimensions, sizes);
		count++;
	}
	return count;
}

static const struct {
	const char *model, *yaml;
} models[] = {
	{"CosyVoice-300M-SFT", "cosyvoice.yaml"},
	{"CosyVoice2-0.5B", "cosyvoice2.yaml"},
	{"Fun-CosyVoice3-0.5B", "cosyvoice3.yaml"},
};

/* What is in 'text' has to describe the model. */
static void assert_describes(const char *model)
{
	const char *file;
	json_t *entry;
	json_t *shapes = load_json("cosyvoice_shapes.json");
	json_t *files = json_object_get(shapes, model);
	assert_true(json_object_size(files) >= 3); /* llm, flow and hift */
	json_object_foreach(files, file, entry)
	{
		struct cvq_yaml *yaml = NULL;
		struct cvq_network network = build(file, &yaml);
		if (network.error)
			fail_msg("%s: %s", file, network.reason.text);
		size_t count = compare(&network, json_object_get(entry, "tensors"), "");
		if (count != network.count)
			fail_msg("%s of %s has %zu tensors, %zu were expected", file, model,
				 count, network.count);
		cvq_network_release(&network);
		cvq_yaml_free(yaml);
	}
	json_decref(shapes);
}

static void the_real_models_are_what_their_yaml_describes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(models) / sizeof(*models); i++) {
		read_text(models[i].yaml);
		assert_describes(models[i].model);
	}
}

/* Where the yaml says nothing, or says what python takes for the same. */
static void the_models_can_be_described_otherwise(void **state)
{
	(void)state;
	static const struct {
		unsigned kind;
		const char *before, *after;
	} cases[] = {
		{1, "            channels: [256, 256]\n", ""},
		{1, "    upsample_rates: [8, 8]\n", ""},
		{1, "    upsample_kernel_sizes: [16, 16]\n", ""},
		{1, "    resblock_kernel_sizes: [3, 7, 11]\n", ""},
		{1, "    resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]\n", ""},
		{1, "    source_resblock_kernel_sizes: [7, 11]\n", ""},
		{1, "    source_resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5]]\n", ""},
		{1, "[256, 256]", "(256, 256)"},
		{1, "[1, 1, 1, 1]", "( 1,1, 1 ,1, )"},
		{1, "[16, 16]", "(0x10, 1_6)"},
		{2, "channels: [256]", "channels: (256)"},
		{1, "sampling_ratios:", "out_channels: null\n        sampling_ratios:"},
		{3, "mu_dim: 80", "mu_dim: ~"},
		{3, "depth: 22", "depth: 22\n            long_skip_connection:"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		read_text(models[cases[i].kind - 1].yaml);
		replace(cases[i].before, cases[i].after);
		assert_describes(models[cases[i].kind - 1].model);
	}
}

/* ========================================================================== */
/*                                 Other numbers                              */
/* ========================================================================== */

/* Every number of the yaml that shapes a tensor: what changes with it. */
static const struct number {
	const char *yaml, *part, *before, *after, *tensor;
	int64_t sizes[3]; /* none: the tensor is to be gone */
} numbers[] = {
#define NUMBER(file, before, after, tensor, ...)                                           \
	{                                                                                  \
		file, before, after, tensor,                                               \
		{                                                                          \
			__VA_ARGS__                                                        \
		}                                                                          \
	}
#define LLM1      "cosyvoice.yaml", "llm"
#define FLOW1     "cosyvoice.yaml", "flow"
#define LLM2      "cosyvoice2.yaml", "llm"
#define FLOW2     "cosyvoice2.yaml", "flow"
#define LLM3      "cosyvoice3.yaml", "llm"
#define FLOW3     "cosyvoice3.yaml", "flow"
#define HIFT1     "cosyvoice.yaml", "hift"
#define HIFT2     "cosyvoice2.yaml", "hift"
#define HIFT3     "cosyvoice3.yaml", "hift"
#define ESTIMATOR "decoder.estimator."
	NUMBER(LLM1, "text_token_size: 51866", "text_token_size: 60515",
	       "text_embedding.weight", 60515, 512),
	NUMBER(LLM1, "text_encoder_input_size: 512", "text_encoder_input_size: 256",
	       "text_encoder.embed.out.0.weight", 1024, 256),
	NUMBER(LLM1, "llm_input_size: 1024", "llm_input_size: 512",
	       "text_encoder_affine_layer.weight", 512, 1024),
	NUMBER(LLM1, "llm_output_size: 1024", "llm_output_size: 2048", "llm_decoder.weight",
	       4097, 2048),
	NUMBER(LLM1, "speech_token_size: 4096", "speech_token_size: 100",
	       "llm_decoder.bias", 101),
	NUMBER(LLM1, "spk_embed_dim: 192", "spk_embed_dim: 512",
	       "spk_embed_affine_layer.weight", 1024, 512),
	NUMBER(LLM1, "attention_heads: 16", "attention_heads: 32",
	       "llm.encoders.13.self_attn.pos_bias_u", 32, 32),
	NUMBER(LLM1, "linear_units: 4096", "linear_units: 8",
	       "llm.encoders.0.feed_forward.w_2.weight", 1024, 8),
	NUMBER(LLM1, "num_blocks: 14", "num_blocks: 13", "llm.encoders.13.norm1.weight", 0),
	NUMBER(LLM1, "selfattention_layer_type: 'rel_selfattn'",
	       "selfattention_layer_type: selfattn", "llm.encoders.0.self_attn.pos_bias_u",
	       0),
	NUMBER(LLM2, "speech_token_size: 6561", "speech_token_size: 7",
	       "speech_embedding.weight", 10, 896),
	NUMBER(LLM2, "llm_input_size: 896", "llm_input_size: 1536", "llm_embedding.weight",
	       2, 1536),
	NUMBER(LLM3, "speech_token_size: 6561", "speech_token_size: 7",
	       "llm_decoder.weight", 207, 896),
	NUMBER(LLM3, "llm_output_size: 896", "llm_output_size: 1536", "llm_decoder.weight",
	       6761, 1536),
	NUMBER(FLOW1, "vocab_size: 4096", "vocab_size: 6561", "input_embedding.weight",
	       6561, 512),
	NUMBER(FLOW1, "output_size: 80", "output_size: 100", "encoder_proj.weight", 100,
	       512),
	NUMBER(FLOW1, "spk_embed_dim: 192", "spk_embed_dim: 512",
	       "spk_embed_affine_layer.weight", 80, 512),
	NUMBER(FLOW1, "channels: 80", "channels: 100", "length_regulator.model.12.weight",
	       100, 100, 1),
	NUMBER(FLOW1, "sampling_ratios: [1, 1, 1, 1]", "sampling_ratios: [1, 1]",
	       "length_regulator.model.6.weight", 80, 80, 1),
	NUMBER(FLOW1, "in_channels: 320", "in_channels: 240",
	       ESTIMATOR "time_mlp.linear_1.weight", 1024, 240),
	NUMBER(FLOW1, "out_channels: 80", "out_channels: 100",
	       ESTIMATOR "final_proj.weight", 100, 256, 1),
	NUMBER(FLOW1, "channels: [256, 256]", "channels: [128, 256]",
	       ESTIMATOR "up_blocks.0.0.block1.block.0.weight", 128, 512, 3),
	NUMBER(FLOW1, "channels: [256, 256]", "channels: [128, 256]",
	       ESTIMATOR "up_blocks.1.0.block1.block.0.weight", 128, 256, 3),
	NUMBER(FLOW1, "channels: [256, 256]", "channels: [128, 256]",
	       ESTIMATOR "down_blocks.1.0.res_conv.weight", 256, 128, 1),
	NUMBER(FLOW1, "channels: [256, 256]", "channels: (128, 256)",
	       ESTIMATOR "down_blocks.1.0.res_conv.weight", 256, 128, 1),
	NUMBER(FLOW1, "channels: [256, 256]", "channels: [256, 256, 256]",
	       ESTIMATOR "down_blocks.1.2.conv.weight", 256, 256, 3),
	NUMBER(FLOW1, "attention_head_dim: 64", "attention_head_dim: 32",
	       ESTIMATOR "mid_blocks.0.1.0.attn1.to_q.weight", 256, 256),
	NUMBER(FLOW1, "num_heads: 8", "num_heads: 4",
	       ESTIMATOR "mid_blocks.0.1.0.attn1.to_out.0.weight", 256, 256),
	NUMBER(FLOW1, "n_blocks: 4", "n_blocks: 3",
	       ESTIMATOR "mid_blocks.0.1.3.norm1.weight", 0),
	NUMBER(FLOW1, "num_mid_blocks: 12", "num_mid_blocks: 13",
	       ESTIMATOR "mid_blocks.12.0.mlp.1.weight", 256, 1024),
	NUMBER(FLOW2, "input_size: 512", "input_size: 256", "encoder.up_embed.out.0.weight",
	       512, 256),
	NUMBER(FLOW2, "linear_units: 2048", "linear_units: 8",
	       "encoder.up_encoders.3.feed_forward.w_1.weight", 8, 512),
	NUMBER(FLOW2, "attention_heads: 8", "attention_heads: 16",
	       "encoder.encoders.0.self_attn.pos_bias_v", 16, 32),
	NUMBER(FLOW2, "num_blocks: 6", "num_blocks: 5", "encoder.encoders.5.norm_ff.bias",
	       0),
	NUMBER(FLOW3, "pre_lookahead_len: 3", "pre_lookahead_len: 5",
	       "pre_lookahead_layer.conv1.weight", 1024, 80, 6),
	NUMBER(FLOW3, "channels: 1024", "channels: 512", "pre_lookahead_layer.conv2.weight",
	       80, 512, 3),
	NUMBER(FLOW3, "dim: 1024", "dim: 512", ESTIMATOR "norm_out.linear.weight", 1024,
	       512),
	NUMBER(FLOW3, "depth: 22", "depth: 21",
	       ESTIMATOR "transformer_blocks.21.attn.to_q.bias", 0),
	NUMBER(FLOW3, "heads: 16", "heads: 8",
	       ESTIMATOR "transformer_blocks.0.attn.to_q.weight", 512, 1024),
	NUMBER(FLOW3, "dim_head: 64", "dim_head: 32", ESTIMATOR "rotary_embed.inv_freq",
	       16),
	NUMBER(FLOW3, "ff_mult: 2", "ff_mult: 4",
	       ESTIMATOR "transformer_blocks.0.ff.ff.2.weight", 1024, 4096),
	NUMBER(FLOW3, "mel_dim: 80", "mel_dim: 100", ESTIMATOR "proj_out.weight", 100,
	       1024),
	NUMBER(FLOW3, "mu_dim: 80", "mu_dim: 70", ESTIMATOR "input_embed.proj.weight", 1024,
	       310),
	NUMBER(FLOW3, "            spk_dim: 80\n", "", ESTIMATOR "input_embed.proj.weight",
	       1024, 240),
	NUMBER(FLOW3, "spk_dim: 80", "spk_dim: null", ESTIMATOR "input_embed.proj.weight",
	       1024, 240),
	NUMBER(FLOW3, "depth: 22", "long_skip_connection: True",
	       ESTIMATOR "long_skip_connection.weight", 1024, 2048),
	NUMBER(HIFT1, "nb_harmonics: 8", "nb_harmonics: 4", "m_source.l_linear.weight", 1,
	       5),
	NUMBER(HIFT1, "    in_channels: 80\n    base", "    in_channels: 100\n    base",
	       "conv_pre.parametrizations.weight.original1", 512, 100, 7),
	NUMBER(HIFT1, "base_channels: 512", "base_channels: 256",
	       "ups.1.parametrizations.weight.original1", 128, 64, 16),
	NUMBER(HIFT1, "n_fft: 16\n        hop", "n_fft: 20\n        hop",
	       "conv_post.parametrizations.weight.original0", 22, 1, 1),
	NUMBER(HIFT1, "resblock_kernel_sizes: [3, 7, 11]\n",
	       "resblock_kernel_sizes: [5, 7, 11]\n",
	       "resblocks.3.convs1.2.parametrizations.weight.original1", 128, 128, 5),
	NUMBER(HIFT2, "upsample_rates: [8, 5, 3]", "upsample_rates: [8, 5, 4]",
	       "source_downs.0.weight", 256, 18, 40),
	NUMBER(HIFT2, "upsample_kernel_sizes: [16, 11, 7]",
	       "upsample_kernel_sizes: [16, 11, 9]",
	       "ups.2.parametrizations.weight.original1", 128, 64, 9),
	NUMBER(HIFT2, "source_resblock_kernel_sizes: [7, 7, 11]",
	       "source_resblock_kernel_sizes: [7, 7]", "source_downs.2.weight", 0),
	NUMBER(HIFT2, "\n    resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]",
	       "\n    resblock_dilation_sizes: [[1, 3], [1, 3, 5], [1, 3, 5]]",
	       "resblocks.6.activations2.2.alpha", 0),
	NUMBER(HIFT3, "conv_pre_look_right: 4", "conv_pre_look_right: 6",
	       "conv_pre.parametrizations.weight.original1", 512, 80, 7),
	NUMBER(HIFT3, "cond_channels: 512", "cond_channels: 256",
	       "f0_predictor.condnet.8.parametrizations.weight.original1", 256, 256, 3),
	NUMBER(HIFT3, "num_class: 1", "num_class: 2", "f0_predictor.classifier.bias", 2),
};

static size_t dimensions_of(const struct number *number)
{
	size_t dimensions = 0;
	while (dimensions < 3 && number->sizes[dimensions])
		dimensions++;
	return dimensions;
}

/* Without the change the tensor is another, or the number would not count. */
static void assert_other_before(const struct number *number)
{
	struct cvq_yaml *yaml = NULL;
	struct cvq_network network = build(number->part, &yaml);
	const struct cvq_expected *tensor = cvq_network_find(&network, number->tensor);
	size_t dimensions = dimensions_of(number);
	if (tensor ? dimensions && has_shape(tensor, dimensions, number->sizes)
		   : !dimensions)
		fail_msg("'%s' is the same without %s", number->tensor, number->after);
	cvq_network_release(&network);
	cvq_yaml_free(yaml);
}

static void every_number_counts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		struct cvq_yaml *yaml = NULL;
		read_text(numbers[i].yaml);
		assert_other_before(&numbers[i]);
		replace(numbers[i].before, numbers[i].after);
		struct cvq_network network = build(numbers[i].part, &yaml);
		if (network.error)
			fail_msg("%s: %s", numbers[i].after, network.reason.text);
		size_t dimensions = dimensions_of(&numbers[i]);
		if (dimensions > 0)
			assert_shape(&network, numbers[i].tensor, dimensions,
				     numbers[i].sizes);
		else if (cvq_network_find(&network, numbers[i].tensor))
			fail_msg("%s: '%s' is there", numbers[i].after, numbers[i].tensor);
		cvq_network_release(&network);
		cvq_yaml_free(yaml);
	}
}

/* ========================================================================== */
/*                                   Refusals                                 */
/* ========================================================================== */

static void what_describes_no_network_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *yaml, *part, *before, *after, *why;
	} cases[] = {
#define REFUSED(file, before, after, why) {file, before, after, why}
		REFUSED(LLM1, "    text_token_size: 51866\n", "",
			"llm.text_token_size is missing"),
		REFUSED(LLM1, "text_token_size: 51866", "text_token_size: many",
			"llm.text_token_size is 'many', which is no number"),
		REFUSED(LLM1, "text_token_size: 51866", "text_token_size: 0",
			"llm.text_token_size is 0, and should be from 1"),
		REFUSED(LLM1, "text_token_size: 51866", "text_token_size: 9000000000",
			"should be from 1 to 1073741824"),
		REFUSED(LLM1, "num_blocks: 14", "num_blocks: 1001", "from 1 to 1000"),
		REFUSED(LLM1, "llm_input_size: 1024", "llm_input_size: '1024'",
			"without quotes"),
		REFUSED(LLM1, "attention_heads: 16", "attention_heads: 15",
			"llm.text_encoder.output_size is no multiple of attention_heads"),
		REFUSED(LLM1, "input_layer: 'linear'", "input_layer: conv2d",
			"llm.text_encoder.input_layer is 'conv2d', for which"),
		REFUSED(LLM1, "use_cnn_module: False", "use_cnn_module: True",
			"use_cnn_module is 'True'"),
		REFUSED(LLM1, "        macaron_style: False\n", "",
			"macaron_style is 'True'"),
		REFUSED(LLM1, "!new:cosyvoice.llm.llm.TransformerLM", "!new:my.own.Model",
			"llm is of the class Model"),
		REFUSED(LLM1, "!new:cosyvoice.transformer.encoder.ConformerEncoder",
			"!new:my.own.Encoder", "llm.text_encoder is of the class Encoder"),
		REFUSED(LLM1, "!new:cosyvoice.transformer.encoder.ConformerEncoder",
			"!apply:my.own.make", "llm.text_encoder is no !new: object"),
		REFUSED(LLM2, "Qwen2Encoder", "LlamaEncoder",
			"llm.llm is of the class LlamaEnc"),
		REFUSED(FLOW1, "sampling_ratios: [1, 1, 1, 1]", "sampling_ratios: 4",
			"flow.length_regulator.sampling_ratios is no list"),
		REFUSED(FLOW1, "InterpolateRegulator", "Regulator",
			"of the class Regulator"),
		REFUSED(FLOW1, "channels: [256, 256]", "channels: []", "channels is empty"),
		REFUSED(FLOW1, "channels: [256, 256]", "channels: [256, wide]",
			"flow.decoder.estimator.channels is 'wide'"),
		REFUSED(FLOW1, "channels: [256, 256]", "channels: ()", "channels is empty"),
		REFUSED(FLOW1, "channels: [256, 256]", "channels: (256, 0)",
			"channels is 0, and should be from 1"),
		REFUSED(FLOW1, "channels: [256, 256]", "channels: (256,, 256)",
			"channels is no tuple of at most 32 whole numbers"),
		REFUSED(FLOW1, "channels: [256, 256]", "channels: '(256, 256)'",
			"channels is no list"),
		REFUSED(FLOW1, "act_fn: 'gelu'", "act_fn: snake", "act_fn is 'snake'"),
		REFUSED(FLOW1, "    length_regulator: ", "    regulator: ",
			"flow.length_regulator is missing"),
		REFUSED(FLOW1, "num_mid_blocks: 12", "num_mid_blocks: 1000", NULL),
		REFUSED(FLOW1, "n_blocks: 4\n            num_mid_blocks: 12",
			"n_blocks: 1000\n            num_mid_blocks: 1000",
			"more than 100000"),
		REFUSED(FLOW2, "ConditionalCFM", "OtherCFM",
			"flow.decoder is of the class"),
		REFUSED(FLOW3, "!new:cosyvoice.flow.DiT.dit.DiT", "!new:cosyvoice.flow.Net",
			"flow.decoder.estimator is of the class Net"),
		REFUSED(FLOW3, "PreLookaheadLayer", "Layer", "of the class Layer"),
		REFUSED(FLOW3, "            dim: 1024", "            dim: null",
			"dim is 'null', which is no number"),
		REFUSED(FLOW3, "depth: 22", "long_skip_connection: maybe",
			"neither True nor False"),
		REFUSED(HIFT1, "resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]",
			"resblock_dilation_sizes: [1, 3, 5]", "is no list of lists"),
		REFUSED(HIFT1, "upsample_rates: [8, 8]",
			"upsample_rates: [1000000000, 1000000000, 1000000000]",
			"upsample_rates multiply beyond all measure"),
		REFUSED(HIFT1, "upsample_rates: [8, 8]", "upsample_rates: (8, 8)",
			"hift.upsample_rates is a tuple, no list"),
		REFUSED(HIFT1, "n_fft: 16\n        hop", "n_fft: x\n        hop",
			"hift.istft_params.n_fft is 'x'"),
		REFUSED(HIFT3, "CausalConvRNNF0Predictor", "Predictor",
			"hift.f0_predictor is of the class"),
		REFUSED(HIFT3, "CausalHiFTGenerator", "Vocoder",
			"hift is of the class Vocoder"),
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cvq_yaml *yaml = NULL;
		read_text(cases[i].yaml);
		replace(cases[i].before, cases[i].after);
		struct cvq_network network = build(cases[i].part, &yaml);
		assert_int_equal(network.error, cases[i].why ? CVQ_ERR_CONTENT : 0);
		if (cases[i].why && !strstr(network.reason.text, cases[i].why))
			fail_msg("'%s' instead of '%s'", network.reason.text, cases[i].why);
		cvq_network_release(&network);
		cvq_yaml_free(yaml);
	}
}

static void a_language_model_needs_its_numbers(void **state)
{
	(void)state;
	static const char *const names[] = {"vocab_size",          "hidden_size",
					    "num_hidden_layers",   "num_attention_heads",
					    "num_key_value_heads", "intermediate_size"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		json_t *config = load_json("qwen_config.json");
		struct cvq_network network = {0};
		json_object_set_new(config, names[i], json_string("many"));
		cvq_add_qwen(&network, config);
		assert_int_equal(network.error, CVQ_ERR_CONTENT);
		assert_non_null(strstr(network.reason.text, names[i]));
		cvq_network_release(&network);
		json_decref(config);
	}
}

static void a_language_model_may_have_heads_of_another_size(void **state)
{
	(void)state;
	json_t *config = load_json("qwen_config.json");
	struct cvq_network network = {0};
	json_object_set_new(config, "head_dim", json_integer(128));
	cvq_add_qwen(&network, config);
	cvq_network_sort(&network);
	assert_shape(&network, "model.layers.0.self_attn.q_proj.weight", 2,
		     (int64_t[]){14 * 128, 896});
	assert_shape(&network, "model.layers.23.self_attn.k_proj.bias", 1,
		     (int64_t[]){2 * 128});
	cvq_network_release(&network);
	json_decref(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_real_models_are_what_their_yaml_describes),
		cmocka_unit_test(the_models_can_be_described_otherwise),
		cmocka_unit_test(every_number_counts),
		cmocka_unit_test(what_describes_no_network_is_refused),
		cmocka_unit_test(a_language_model_needs_its_numbers),
		cmocka_unit_test(a_language_model_may_have_heads_of_another_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
