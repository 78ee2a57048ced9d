/* SPDX-License-Identifier: MIT */
/*
 * cosyvoice/llm/llm.py: TransformerLM, Qwen2LM and CosyVoice3LM; and the Qwen2 in them
 */
#include "cosyvoice/encoder.h"

/* ========================================================================== */
/*                                    Qwen2                                   */
/* ========================================================================== */

#define MAX_LAYERS 1000

struct qwen {
	int64_t vocabulary, hidden, layers, heads, key_heads, intermediate, head;
};

/* A whole number of config.json. */
static int64_t qwen_number(struct cvq_network *network, const json_t *config,
			   const char *name, int64_t most)
{
	const json_t *value = json_object_get(config, name);
	int64_t number = json_integer_value(value);
	if (json_is_integer(value) && number >= 1 && number <= most)
		return number;
	if (!network->error)
		network->error = cvq_explain(&network->reason, CVQ_ERR_CONTENT,
					     "CosyVoice-BlankEN/config.json has no "
					     "sensible '%s'",
					     name);
	return 1;
}

static struct qwen read_qwen(struct cvq_network *network, const json_t *config)
{
	const int64_t most = 1 << 30;
	struct qwen qwen = {
		.vocabulary = qwen_number(network, config, "vocab_size", most),
		.hidden = qwen_number(network, config, "hidden_size", most),
		.layers = qwen_number(network, config, "num_hidden_layers", MAX_LAYERS),
		.heads = qwen_number(network, config, "num_attention_heads", most),
		.key_heads = qwen_number(network, config, "num_key_value_heads", most),
		.intermediate = qwen_number(network, config, "intermediate_size", most),
	};
	qwen.head = json_object_get(config, "head_dim")
			    ? qwen_number(network, config, "head_dim", most)
			    : qwen.hidden / qwen.heads;
	return qwen;
}

static void add_qwen_layer(struct cvq_network *network, const struct qwen *qwen)
{
	int64_t hidden = qwen->hidden;
	cvq_linear(network, "self_attn.q_proj", hidden, qwen->heads * qwen->head);
	cvq_linear(network, "self_attn.k_proj", hidden, qwen->key_heads * qwen->head);
	cvq_linear(network, "self_attn.v_proj", hidden, qwen->key_heads * qwen->head);
	cvq_linear_no_bias(network, "self_attn.o_proj", qwen->heads * qwen->head, hidden);
	cvq_linear_no_bias(network, "mlp.gate_proj", hidden, qwen->intermediate);
	cvq_linear_no_bias(network, "mlp.up_proj", hidden, qwen->intermediate);
	cvq_linear_no_bias(network, "mlp.down_proj", qwen->intermediate, hidden);
	CVQ_TENSOR(network, "input_layernorm.weight", hidden);
	CVQ_TENSOR(network, "post_attention_layernorm.weight", hidden);
}

void cvq_add_qwen(struct cvq_network *network, const json_t *config)
{
	struct qwen qwen = read_qwen(network, config);
	cvq_embedding(network, "lm_head", qwen.vocabulary, qwen.hidden);
	size_t outer = cvq_enter_module(network, "model");
	cvq_embedding(network, "embed_tokens", qwen.vocabulary, qwen.hidden);
	CVQ_TENSOR(network, "norm.weight", qwen.hidden);
	for (int64_t i = 0; i < qwen.layers; i++) {
		size_t model = cvq_enter_module(network, "layers.%lld", (long long)i);
		add_qwen_layer(network, &qwen);
		cvq_leave_module(network, model);
	}
	cvq_leave_module(network, outer);
}

/* ========================================================================== */
/*                              Language models                               */
/* ========================================================================== */

static void add_transformer_lm(struct cvq_network *network, const struct cvq_object *llm)
{
	int64_t in = cvq_get_size(network, llm, "llm_input_size", CVQ_REQUIRED);
	int64_t out = cvq_get_size(network, llm, "llm_output_size", CVQ_REQUIRED);
	int64_t text_in =
		cvq_get_size(network, llm, "text_encoder_input_size", CVQ_REQUIRED);
	int64_t texts = cvq_get_size(network, llm, "text_token_size", CVQ_REQUIRED);
	int64_t tokens = cvq_get_size(network, llm, "speech_token_size", CVQ_REQUIRED);
	int64_t speaker = cvq_get_size(network, llm, "spk_embed_dim", 192);
	struct cvq_object text_encoder = cvq_object_get(network, llm, "text_encoder");
	struct cvq_object encoder = cvq_object_get(network, llm, "llm");

	cvq_embedding(network, "text_embedding", texts, text_in);
	int64_t text_out = cvq_add_encoder(network, "text_encoder", &text_encoder);
	cvq_linear(network, "text_encoder_affine_layer", text_out, in);
	cvq_embedding(network, "llm_embedding", 2, in);
	cvq_add_encoder(network, "llm", &encoder);
	cvq_linear(network, "llm_decoder", out, tokens + 1);
	cvq_embedding(network, "speech_embedding", tokens, in);
	cvq_linear(network, "spk_embed_affine_layer", speaker, in);
}

/* Qwen2Encoder, whose one member is called "model" like the one inside that. */
static void add_qwen_encoder(struct cvq_network *network, const struct cvq_object *llm,
			     const json_t *qwen)
{
	struct cvq_object encoder = cvq_object_get(network, llm, "llm");
	if (!cvq_object_is(&encoder, "Qwen2Encoder"))
		cvq_object_refuse_class(network, &encoder);
	size_t outer = cvq_enter_module(network, "llm.model");
	cvq_add_qwen(network, qwen);
	cvq_leave_module(network, outer);
}

/* What is special about tokens: 3 more of them in CosyVoice2, 200 in CosyVoice3. */
static void add_qwen_lm(struct cvq_network *network, const struct cvq_object *llm,
			const json_t *qwen)
{
	bool third = cvq_object_is(llm, "CosyVoice3LM");
	int64_t in = cvq_get_size(network, llm, "llm_input_size", CVQ_REQUIRED);
	int64_t out = cvq_get_size(network, llm, "llm_output_size", CVQ_REQUIRED);
	int64_t tokens = cvq_get_size(network, llm, "speech_token_size", CVQ_REQUIRED) +
			 (third ? 200 : 3);

	add_qwen_encoder(network, llm, qwen);
	cvq_embedding(network, "speech_embedding", tokens, in);
	if (third) {
		cvq_linear_no_bias(network, "llm_decoder", out, tokens);
	} else {
		cvq_linear(network, "llm_decoder", out, tokens);
		cvq_embedding(network, "llm_embedding", 2, in);
	}
}

void cvq_add_llm(struct cvq_network *network, const json_t *qwen)
{
	struct cvq_object llm = cvq_object_get(network, NULL, "llm");
	if (cvq_object_is(&llm, "TransformerLM"))
		add_transformer_lm(network, &llm);
	else if (cvq_object_is(&llm, "Qwen2LM") || cvq_object_is(&llm, "CosyVoice3LM"))
		add_qwen_lm(network, &llm, qwen);
	else
		cvq_object_refuse_class(network, &llm);
}
