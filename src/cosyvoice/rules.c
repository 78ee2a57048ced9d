/* SPDX-License-Identifier: MIT */
/*
 * Rules across files: what each file says of the others, and what programs write
 */
#include <stdio.h>
#include <string.h>

#include "cosyvoice/check.h"

static const char same_package[] = "take all files from the same package";

/* ========================================================================== */
/*                                   Numbers                                  */
/* ========================================================================== */

/* A number of the yaml, by its way, with what it is if it is not there. */
struct number {
	const char *object, *inner, *name; /* 'inner' may be NULL */
	int64_t missing;
};

/* False if it is none, which a network will have found out. */
static bool read_number(const struct cvq_check *check, const struct number *number,
			int64_t *value)
{
	const struct cvq_yaml *yaml = check->yaml;
	cvq_yaml_node node = cvq_yaml_get(yaml, cvq_yaml_root(yaml), number->object);
	if (number->inner)
		node = cvq_yaml_get(yaml, node, number->inner);
	if (node == CVQ_YAML_NONE)
		return false;
	node = cvq_yaml_get(yaml, node, number->name);
	*value = number->missing;
	return (node == CVQ_YAML_NONE && *value > 0) ||
	       cvq_yaml_integer(yaml, node, value, NULL) == 0;
}

static void format_way(const struct number *number, char text[64])
{
	snprintf(text, 64, "%s%s%s.%s", number->object, number->inner ? "." : "",
		 number->inner ? number->inner : "", number->name);
}

/* Two numbers of the yaml that are one. */
static const struct rule {
	const char *check;
	struct number left, right;
	const char *what; /* it is good for */
} rules[] = {
	{"tokens",
	 {"llm", NULL, "speech_token_size", 0},
	 {"flow", NULL, "vocab_size", 4096},
	 "llm write the tokens that flow reads"},
	{"mel",
	 {"flow", NULL, "output_size", 80},
	 {"hift", NULL, "in_channels", 80},
	 "flow draw the mel bands that hift reads"},
	{"mel",
	 {"flow", NULL, "output_size", 80},
	 {"hift", "f0_predictor", "in_channels", 80},
	 "flow draw the mel bands that hift.f0_predictor reads"},
};

static void check_rule(struct cvq_check *check, const struct rule *rule)
{
	int64_t left, right;
	char left_way[64], right_way[64];
	if (!read_number(check, &rule->left, &left) ||
	    !read_number(check, &rule->right, &right))
		return;
	format_way(&rule->left, left_way);
	format_way(&rule->right, right_way);
	if (left == right)
		cvq_found(check, CVQ_MARK_OK, rule->check, check->yaml_name, NULL,
			  "lets %s: %lld", rule->what, (long long)left);
	else
		cvq_found(check, CVQ_MARK_FAULT, rule->check, check->yaml_name,
			  same_package, "has %s = %lld but %s = %lld, which must be equal",
			  left_way, (long long)left, right_way, (long long)right);
}

/* llm sits on a language model, whose vectors it shares. */
static void check_hidden_size(struct cvq_check *check)
{
	static const struct number sizes[] = {{"llm", NULL, "llm_input_size", 0},
					      {"llm", NULL, "llm_output_size", 0}};
	int64_t hidden = json_integer_value(json_object_get(check->qwen, "hidden_size"));
	for (size_t i = 0; i < 2; i++) {
		int64_t size;
		if (!read_number(check, &sizes[i], &size) || hidden == 0)
			return;
		if (size == hidden)
			continue;
		cvq_found(check, CVQ_MARK_FAULT, "hidden", CVQ_QWEN_FOLDER "config.json",
			  same_package,
			  "has hidden_size = %lld but %s has llm.%s = %lld, which must be "
			  "equal",
			  (long long)hidden, check->yaml_name, sizes[i].name,
			  (long long)size);
		return;
	}
	cvq_found(check, CVQ_MARK_OK, "hidden", CVQ_QWEN_FOLDER "config.json", NULL,
		  "has the hidden_size that llm works with: %lld", (long long)hidden);
}

/* ========================================================================== */
/*                                   Weights                                  */
/* ========================================================================== */

/* The two copies cost nothing as long as they are one storage. */
static void check_tie(struct cvq_check *check)
{
	const struct cvq_weights *llm = check->parts[CVQ_LLM];
	const struct cvq_weight *head = cvq_weights_find(llm, "llm.model.lm_head.weight");
	const struct cvq_weight *embedding =
		cvq_weights_find(llm, "llm.model.model.embed_tokens.weight");
	if (!json_is_true(json_object_get(check->qwen, "tie_word_embeddings")) || !head ||
	    !embedding || !head->tensor || !embedding->tensor)
		return;
	if (head->tensor->storage == embedding->tensor->storage)
		cvq_found(check, CVQ_MARK_OK, "tied", "llm.pt", NULL,
			  "stores lm_head and embed_tokens once, as config.json ties them");
	else
		cvq_found(check, CVQ_MARK_NOTE, "tied", "llm.pt", NULL,
			  "stores lm_head and embed_tokens twice, which config.json ties: "
			  "it loads, and is larger than it need be");
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text);
	return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

/* The speakers' vectors go into flow's layer of that size. */
static void check_speakers(struct cvq_check *check)
{
	static const struct number wanted = {"flow", NULL, "spk_embed_dim", 192};
	const struct cvq_checkpoint *speakers = check->speakers->checkpoint;
	size_t vectors = 0;
	int64_t size;
	if (!read_number(check, &wanted, &size))
		return;
	for (size_t i = 0; i < speakers->tensor_count; i++) {
		const struct cvq_tensor *tensor = &speakers->tensors[i];
		if (!ends_with(tensor->name, ".embedding") &&
		    !ends_with(tensor->name, "_embedding"))
			continue;
		uint64_t last =
			tensor->dimensions > 0 ? tensor->shape[tensor->dimensions - 1] : 0;
		vectors++;
		if (last == (uint64_t)size)
			continue;
		cvq_found(check, CVQ_MARK_FAULT, "speakers", "spk2info.pt",
			  "take it from the same package, or add the speakers again",
			  "has '%.80s' of the size %llu, while %s has flow.spk_embed_dim = "
			  "%lld",
			  tensor->name, (unsigned long long)last, check->yaml_name,
			  (long long)size);
		return;
	}
	cvq_found(check, CVQ_MARK_OK, "speakers", "spk2info.pt", NULL,
		  "has vectors of speakers that fit flow: %zu", vectors);
}

void cvq_check_rules(struct cvq_check *check)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		check_rule(check, &rules[i]);
	if (check->qwen)
		check_hidden_size(check);
	if (check->qwen && check->parts[CVQ_LLM])
		check_tie(check);
	if (check->speakers)
		check_speakers(check);
}

/* ========================================================================== */
/*                                   Writing                                  */
/* ========================================================================== */

static const struct written {
	const char *path;
	unsigned least_kind;
	const char *when;
} written[] = {
	{"spk2info.pt", 1, "save_spkinfo() writes it"},
	{"flow.decoder.estimator.fp32.mygpu.plan", 1,
	 "load_trt=True writes it, once for each kind of GPU"},
	{"flow.decoder.estimator.fp16.mygpu.plan", 1,
	 "load_trt=True with fp16=True writes it, once for each kind of GPU"},
	{"vllm", 2, "load_vllm=True writes this folder, once"},
};

void cvq_check_writes(struct cvq_check *check)
{
	for (size_t i = 0; i < sizeof(written) / sizeof(*written); i++) {
		if (check->kind < written[i].least_kind)
			continue;
		if (cvq_package_fills(check, written[i].path))
			cvq_found(check, CVQ_MARK_OK, "writes", written[i].path, NULL,
				  "is there already, so a read-only view has it");
		else
			cvq_found(check, CVQ_MARK_NOTE, "writes", written[i].path,
				  "have it written on the original first: a view is "
				  "read-only",
				  "is not there yet: %s", written[i].when);
	}
}
