/* SPDX-License-Identifier: MIT */
/*
 * The model that the yaml describes: whether its classes are those of the kind
 */
#include <string.h>

#include "cosyvoice/check.h"

static const char own_yaml[] = "take the package's own";

/* ========================================================================== */
/*                                   Classes                                  */
/* ========================================================================== */

static const char *const part_names[CVQ_PARTS] = {"llm", "flow", "hift"};

/* What get_model_type() wants of each kind. */
static const char *const wanted[][CVQ_PARTS] = {
	{"TransformerLM", "MaskedDiffWithXvec", "HiFTGenerator"},
	{"Qwen2LM", "CausalMaskedDiffWithXvec", "HiFTGenerator"},
	{"CosyVoice3LM", "CausalMaskedDiffWithDiT", "CausalHiFTGenerator"},
};

static bool is_instance(const char *class, const char *of)
{
	static const char *const parents[][2] = {{"CosyVoice3LM", "Qwen2LM"},
						 {"Qwen2LM", "TransformerLM"},
						 {"CausalHiFTGenerator", "HiFTGenerator"}};
	for (size_t i = 0; i < 3 && strcmp(class, of) != 0; i++)
		if (strcmp(class, parents[i][0]) == 0)
			class = parents[i][1];
	return strcmp(class, of) == 0;
}

static bool fits_kind(const char *const classes[CVQ_PARTS], unsigned kind)
{
	for (enum cvq_part part = 0; part < CVQ_PARTS; part++)
		if (!is_instance(classes[part], wanted[kind - 1][part]))
			return false;
	return true;
}

/* ========================================================================== */
/*                                  The model                                 */
/* ========================================================================== */

static bool check_key(struct cvq_check *check, const char *key)
{
	if (cvq_yaml_get(check->yaml, cvq_yaml_root(check->yaml), key) != CVQ_YAML_NONE)
		return true;
	cvq_found(check, CVQ_MARK_FAULT, "model", check->yaml_name, own_yaml,
		  "lacks the key '%s'", key);
	return false;
}

/* What the constructors take from the yaml. */
static bool check_keys(struct cvq_check *check)
{
	static const char *const keys[] = {
		"llm",           "flow",           "hift",           "sample_rate",
		"get_tokenizer", "feat_extractor", "allowed_special"};
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (!check_key(check, keys[i]))
			return false;
	return true;
}

static bool read_classes(struct cvq_check *check, const char *classes[CVQ_PARTS])
{
	for (enum cvq_part part = 0; part < CVQ_PARTS; part++) {
		cvq_yaml_node root = cvq_yaml_root(check->yaml);
		cvq_yaml_node node = cvq_yaml_get(check->yaml, root, part_names[part]);
		classes[part] = cvq_yaml_class(check->yaml, node);
		if (classes[part])
			continue;
		cvq_found(check, CVQ_MARK_FAULT, "model", check->yaml_name, own_yaml,
			  "makes no object of '%s'", part_names[part]);
		return false;
	}
	return true;
}

static unsigned find_kind(const char *const classes[CVQ_PARTS])
{
	unsigned kind = 3;
	while (kind > 0 && !fits_kind(classes, kind))
		kind--;
	return kind;
}

void cvq_check_model(struct cvq_check *check)
{
	const char *classes[CVQ_PARTS];
	if (!check_keys(check) || !read_classes(check, classes))
		return;
	unsigned kind = find_kind(classes);
	if (kind == 0) {
		cvq_found(check, CVQ_MARK_FAULT, "model", check->yaml_name, own_yaml,
			  "describes no model that CosyVoice knows: %.60s, %.60s, %.60s",
			  classes[CVQ_LLM], classes[CVQ_FLOW], classes[CVQ_HIFT]);
		return;
	}
	bool expected = kind == check->kind;
	check->kind = kind;
	/* The constructor puts the language model's folder there, and there has to be
	 * something in its place. */
	if (kind > 1 && !check_key(check, "qwen_pretrain_path"))
		return;
	if (expected)
		cvq_found(check, CVQ_MARK_OK, "model", check->yaml_name, NULL,
			  "describes a %s", cvq_kind_name(kind));
	else
		cvq_found(check, CVQ_MARK_FAULT, "model", check->yaml_name,
			  "give the yaml the name of its kind",
			  "describes a %s, which AutoModel does not expect under this name",
			  cvq_kind_name(kind));
}

/* ========================================================================== */
/*                                 The weights                                */
/* ========================================================================== */

unsigned cvq_kind_of_part(enum cvq_part part, const struct cvq_weights *weights)
{
	static const struct {
		enum cvq_part part;
		unsigned kind;
		const char *prefix;
	} signs[] = {
		{CVQ_LLM, 1, "text_encoder."},
		{CVQ_LLM, 2, "llm_decoder.bias"},
		{CVQ_LLM, 3, "llm.model.model."},
		{CVQ_FLOW, 1, "length_regulator."},
		{CVQ_FLOW, 2, "encoder.up_encoders."},
		{CVQ_FLOW, 3, "decoder.estimator.transformer_blocks."},
	};
	for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++)
		if (signs[i].part == part &&
		    cvq_weights_has_prefix(weights, signs[i].prefix))
			return signs[i].kind;
	return 0;
}
