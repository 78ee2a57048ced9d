/* SPDX-License-Identifier: MIT */
/*
 * The weights against the networks of the yaml, as load_state_dict(strict=True) has it:
 * every tensor of the network, of its shape, and no key besides
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cosyvoice/check.h"

static const char same_package[] = "take weights and yaml from the same package";

/* One file and what should be in it. */
struct comparison {
	struct cvq_check *check;
	const char *file;
	const char *source; /* of the shapes */
	const struct cvq_weights *weights;
	const struct cvq_network *network;
};

/* ========================================================================== */
/*                                    Keys                                    */
/* ========================================================================== */

/* Kinds of keys that are no network's; the last takes what the others leave. */
static const struct surplus {
	const char *names[2];
	bool prefix; /* the names are how the keys begin */
	const char *what;
	const char *remedy;
} surpluses[] = {
	{{"epoch", "step"},
	 false,
	 "as training leaves them",
	 "save the file again without them; average_model.py does"},
	{{"discriminator.", "discriminator."},
	 true,
	 "the half that only training needs",
	 "save the file again with the keys of the generator alone"},
	{{"", ""}, true, "which the network does not have", same_package},
};

#define SURPLUS_KINDS (sizeof(surpluses) / sizeof(*surpluses))

static size_t kind_of_surplus(const char *name)
{
	size_t kind = 0;
	for (; kind + 1 < SURPLUS_KINDS; kind++)
		for (size_t i = 0; i < 2; i++) {
			const char *known = surpluses[kind].names[i];
			if (surpluses[kind].prefix
				    ? strncmp(name, known, strlen(known)) == 0
				    : strcmp(name, known) == 0)
				return kind;
		}
	return kind;
}

static void check_keys(const struct comparison *comparison)
{
	size_t counts[SURPLUS_KINDS] = {0};
	const char *first[SURPLUS_KINDS] = {NULL};
	bool any = false;
	for (size_t i = 0; i < comparison->weights->count; i++) {
		const char *name = comparison->weights->list[i].name;
		if (cvq_network_find(comparison->network, name))
			continue;
		size_t kind = kind_of_surplus(name);
		if (counts[kind]++ == 0)
			first[kind] = name;
		any = true;
	}
	for (size_t i = 0; i < SURPLUS_KINDS; i++)
		if (counts[i] > 0)
			cvq_found(comparison->check, CVQ_MARK_FAULT, "keys",
				  comparison->file, surpluses[i].remedy,
				  "has %zu key%s such as '%.80s', %s: strict loading "
				  "refuses that",
				  counts[i], counts[i] == 1 ? "" : "s", first[i],
				  surpluses[i].what);
	if (!any)
		cvq_found(comparison->check, CVQ_MARK_OK, "keys", comparison->file, NULL,
			  "has no key that strict loading would refuse");
}

/* ========================================================================== */
/*                                    Names                                   */
/* ========================================================================== */

static void check_names(const struct comparison *comparison)
{
	const struct cvq_network *network = comparison->network;
	cleanup_free bool *found = calloc(network->count + 1, sizeof(*found));
	if (!found) {
		comparison->check->error = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < comparison->weights->count; i++) {
		const struct cvq_weight *weight = &comparison->weights->list[i];
		const struct cvq_expected *tensor = cvq_network_find(network, weight->name);
		if (tensor && weight->tensor)
			found[tensor - network->tensors] = true;
	}
	size_t missing = 0;
	const char *first = NULL;
	for (size_t i = network->count; i-- > 0;)
		if (!found[i]) {
			first = network->tensors[i].name;
			missing++;
		}
	if (missing > 0)
		cvq_found(comparison->check, CVQ_MARK_FAULT, "names", comparison->file,
			  same_package,
			  "lacks %zu of the %zu tensors that %s asks for, such as '%.100s'",
			  missing, network->count, comparison->source, first);
	else
		cvq_found(comparison->check, CVQ_MARK_OK, "names", comparison->file, NULL,
			  "has the %zu tensors that %s asks for", network->count,
			  comparison->source);
}

/* ========================================================================== */
/*                                   Shapes                                   */
/* ========================================================================== */

#define SHAPE_TEXT 96

/* "[6761, 896]"; of more dimensions than any network's, the first. */
static const char *format_shape(unsigned dimensions, const int64_t *sizes,
				char text[SHAPE_TEXT])
{
	size_t length = 0;
	for (unsigned i = 0; i < dimensions && i < CVQ_MAX_DIMENSIONS; i++)
		length += (size_t)snprintf(text + length, SHAPE_TEXT - length, "%s%" PRId64,
					   i ? ", " : "[", sizes[i]);
	snprintf(text + length, SHAPE_TEXT - length, "%s",
		 dimensions == 0                   ? "[]"
		 : dimensions > CVQ_MAX_DIMENSIONS ? ", ...]"
						   : "]");
	return text;
}

static bool same_shape(const struct cvq_tensor *tensor, const struct cvq_shape *shape)
{
	if (tensor->dimensions != shape->dimensions)
		return false;
	for (unsigned i = 0; i < shape->dimensions; i++)
		if (tensor->shape[i] != (uint64_t)shape->sizes[i])
			return false;
	return true;
}

static void report_shapes(const struct comparison *comparison,
			  const struct cvq_weight *weight, size_t wrong)
{
	const struct cvq_tensor *tensor = weight->tensor;
	const struct cvq_shape *shape =
		&cvq_network_find(comparison->network, weight->name)->shape;
	int64_t sizes[CVQ_MAX_DIMENSIONS];
	char is[SHAPE_TEXT], wanted[SHAPE_TEXT], more[48] = "";
	for (unsigned i = 0; i < tensor->dimensions && i < CVQ_MAX_DIMENSIONS; i++)
		sizes[i] = (int64_t)tensor->shape[i];
	if (wrong > 1)
		snprintf(more, sizeof(more), "; %zu more differ", wrong - 1);
	cvq_found(comparison->check, CVQ_MARK_FAULT, "shapes", comparison->file,
		  same_package, "has '%.80s' as %s, where %s asks for %s%s", weight->name,
		  format_shape(tensor->dimensions, sizes, is), comparison->source,
		  format_shape(shape->dimensions, shape->sizes, wanted), more);
}

/* Returns how many tensors were compared. */
static size_t check_shapes(const struct comparison *comparison)
{
	const struct cvq_weight *first = NULL;
	size_t wrong = 0, compared = 0;
	for (size_t i = 0; i < comparison->weights->count; i++) {
		const struct cvq_weight *weight = &comparison->weights->list[i];
		const struct cvq_expected *tensor =
			cvq_network_find(comparison->network, weight->name);
		if (!tensor || !weight->tensor)
			continue;
		compared++;
		if (same_shape(weight->tensor, &tensor->shape))
			continue;
		if (wrong++ == 0)
			first = weight;
	}
	if (wrong > 0)
		report_shapes(comparison, first, wrong);
	else if (compared > 0)
		cvq_found(comparison->check, CVQ_MARK_OK, "shapes", comparison->file, NULL,
			  "has its tensors in the shapes that %s asks for",
			  comparison->source);
	return compared;
}

/* ========================================================================== */
/*                                    Parts                                   */
/* ========================================================================== */

/* Weights of another kind differ in everything: that is said once. */
static bool is_of_kind(struct cvq_check *check, enum cvq_part part)
{
	unsigned kind = cvq_kind_of_part(part, check->parts[part]);
	if (kind == 0 || kind == check->kind)
		return true;
	cvq_found(check, CVQ_MARK_FAULT, "names", cvq_part_files[part], same_package,
		  "has the names of a %s's tensors, while %s is a %s's",
		  cvq_kind_name(kind), check->yaml_name, cvq_kind_name(check->kind));
	return false;
}

static void add_part(struct cvq_check *check, enum cvq_part part,
		     struct cvq_network *network)
{
	switch (part) {
	case CVQ_LLM:
		cvq_add_llm(network, check->qwen);
		break;
	case CVQ_FLOW:
		cvq_add_flow(network);
		break;
	case CVQ_HIFT:
		cvq_add_hift(network);
		break;
	}
}

static void check_part(struct cvq_check *check, enum cvq_part part)
{
	struct cvq_network network = {.yaml = check->yaml};
	add_part(check, part, &network);
	if (network.error == CVQ_ERR_CONTENT)
		cvq_found(check, CVQ_MARK_FAULT, "network", check->yaml_name,
			  "correct it, or take the package's own",
			  "does not describe the network of %s: %s", cvq_part_files[part],
			  network.reason.text);
	else if (network.error)
		check->error = network.error;
	cvq_network_sort(&network);
	if (!network.error && check->parts[part] && is_of_kind(check, part)) {
		const struct comparison comparison = {
			.check = check,
			.file = cvq_part_files[part],
			.source = check->yaml_name,
			.weights = check->parts[part],
			.network = &network,
		};
		check_keys(&comparison);
		check_names(&comparison);
		check_shapes(&comparison);
	}
	cvq_network_release(&network);
}

/* from_pretrained() makes up what is missing, but no shape may differ. */
static void check_pretrained(struct cvq_check *check)
{
	struct cvq_network network = {0};
	cvq_add_qwen(&network, check->qwen);
	cvq_network_sort(&network);
	const struct comparison comparison = {
		.check = check,
		.file = CVQ_QWEN_FOLDER "model.safetensors",
		.source = "config.json",
		.weights = check->pretrained,
		.network = &network,
	};
	if (network.error && network.error != CVQ_ERR_CONTENT)
		check->error = network.error;
	else if (!network.error && check_shapes(&comparison) == 0)
		cvq_found(check, CVQ_MARK_FAULT, "shapes", comparison.file, same_package,
			  "has none of the tensors that config.json asks for");
	cvq_network_release(&network);
}

void cvq_check_parts(struct cvq_check *check)
{
	for (enum cvq_part part = 0; part < CVQ_PARTS && !check->error; part++) {
		/* Without config.json, which is missed already, llm is not known. */
		if (part == CVQ_LLM && check->kind > 1 && !check->qwen)
			continue;
		check_part(check, part);
	}
	if (check->qwen && check->pretrained && !check->error)
		check_pretrained(check);
}
