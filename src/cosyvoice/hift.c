/* SPDX-License-Identifier: MIT */
/*
 * cosyvoice/hifigan: HiFTGenerator and CausalHiFTGenerator with their f0 predictors
 */
#include "cosyvoice/modules.h"

#define PREDICTOR_CONVS 5

struct hift {
	struct cvq_object object;
	bool causal;
	int64_t in, base, spectrum;
	struct cvq_sizes rates, kernels, blocks, source_blocks;
};

/* Each step up halves the channels. */
static int64_t channels_after(const struct hift *hift, size_t steps)
{
	return hift->base >> steps;
}

/* ResBlock: twice as many convolutions as dilations, with an activation for each. */
static void add_resblock(struct cvq_network *network, int64_t channels, int64_t kernel,
			 size_t dilations)
{
	static const char *const convs[] = {"convs1", "convs2"};
	static const char *const activations[] = {"activations1", "activations2"};
	char name[16];

	for (size_t i = 0; i < 2; i++) {
		size_t outer = cvq_enter_module(network, "%s", convs[i]);
		for (size_t j = 0; j < dilations; j++)
			cvq_conv_normed(network, cvq_number_name(name, j), channels,
					channels, kernel);
		cvq_leave_module(network, outer);
		outer = cvq_enter_module(network, "%s", activations[i]);
		for (size_t j = 0; j < dilations; j++) {
			size_t list = cvq_enter_module(network, "%zu", j);
			CVQ_TENSOR(network, "alpha", channels);
			cvq_leave_module(network, list);
		}
		cvq_leave_module(network, outer);
	}
}

/* How many dilations each block has; python's zip() ends with the shorter list.  Without
 * any, the classes have 'missing' lists of three. */
static size_t count_dilations(struct cvq_network *network, const struct hift *hift,
			      const char *name, size_t missing, struct cvq_sizes *blocks,
			      size_t dilations[CVQ_LIST_ROOM])
{
	cvq_yaml_node lists = cvq_yaml_get(network->yaml, hift->object.node, name);
	bool given = lists != CVQ_YAML_NONE;
	size_t count = missing;
	bool known = !given || cvq_yaml_count(network->yaml, lists, &count);
	if (blocks->count > count)
		blocks->count = count;
	for (size_t i = 0; i < blocks->count && known; i++) {
		dilations[i] = 3;
		if (given)
			known = cvq_yaml_count(network->yaml,
					       cvq_yaml_at(network->yaml, lists, i),
					       &dilations[i]) &&
				dilations[i] <= CVQ_LIST_ROOM;
	}
	if (!known) {
		cvq_object_refuse(network, &hift->object, name, "is no list of lists");
		blocks->count = 0;
	}
	return blocks->count;
}

static void add_ups(struct cvq_network *network, const struct hift *hift)
{
	char name[16];
	size_t outer = cvq_enter_module(network, "ups");
	for (size_t i = 0; i < hift->rates.count && i < hift->kernels.count; i++) {
		int64_t in = channels_after(hift, i);
		int64_t out = channels_after(hift, i + 1);
		int64_t kernel = hift->kernels.sizes[i];
		cvq_number_name(name, i);
		if (hift->causal)
			cvq_conv_normed(network, name, in, out, kernel);
		else
			cvq_conv_normed_transposed(network, name, in, out, kernel);
	}
	cvq_leave_module(network, outer);
}

static void add_resblocks(struct cvq_network *network, struct hift *hift)
{
	size_t dilations[CVQ_LIST_ROOM];
	size_t kinds = count_dilations(network, hift, "resblock_dilation_sizes", 3,
				       &hift->blocks, dilations);
	for (size_t i = 0; i < hift->rates.count && i < hift->kernels.count; i++)
		for (size_t j = 0; j < kinds; j++) {
			size_t outer =
				cvq_enter_module(network, "resblocks.%zu", i * kinds + j);
			add_resblock(network, channels_after(hift, i + 1),
				     hift->blocks.sizes[j], dilations[j]);
			cvq_leave_module(network, outer);
		}
}

/* The source has to come down to the length that it has after each step up. */
static void add_source(struct cvq_network *network, struct hift *hift)
{
	char name[16];
	size_t dilations[CVQ_LIST_ROOM];
	size_t blocks = count_dilations(network, hift, "source_resblock_dilation_sizes", 2,
					&hift->source_blocks, dilations);
	int64_t rates[CVQ_LIST_ROOM] = {1}; /* what is left, from the last step on */
	size_t steps = hift->rates.count;
	for (size_t i = 1; i < steps; i++)
		if (__builtin_mul_overflow(rates[i - 1], hift->rates.sizes[steps - i],
					   &rates[i]) ||
		    rates[i] > INT32_MAX) {
			cvq_object_refuse(network, &hift->object, "upsample_rates",
					  "multiply beyond all measure");
			return;
		}
	for (size_t i = 0; i < steps && i < blocks; i++) {
		int64_t rate = rates[steps - 1 - i];
		int64_t channels = channels_after(hift, i + 1);
		size_t outer = cvq_enter_module(network, "source_downs");
		cvq_conv(network, cvq_number_name(name, i), hift->spectrum, channels,
			 rate == 1 ? 1 : 2 * rate);
		cvq_leave_module(network, outer);
		outer = cvq_enter_module(network, "source_resblocks.%zu", i);
		add_resblock(network, channels, hift->source_blocks.sizes[i], dilations[i]);
		cvq_leave_module(network, outer);
	}
}

/* ConvRNNF0Predictor, CausalConvRNNF0Predictor: an activation behind each convolution */
static void add_predictor(struct cvq_network *network, const struct hift *hift)
{
	char name[16];
	struct cvq_object object = cvq_object_get(network, &hift->object, "f0_predictor");
	bool causal = cvq_object_is(&object, "CausalConvRNNF0Predictor");
	if (!causal && !cvq_object_is(&object, "ConvRNNF0Predictor"))
		cvq_object_refuse_class(network, &object);
	int64_t in = cvq_get_size(network, &object, "in_channels", 80);
	int64_t channels = cvq_get_size(network, &object, "cond_channels", 512);
	int64_t classes = cvq_get_size(network, &object, "num_class", 1);

	size_t outer = cvq_enter_module(network, "f0_predictor");
	for (size_t i = 0; i < PREDICTOR_CONVS; i++) {
		size_t predictor = cvq_enter_module(network, "condnet");
		cvq_conv_normed(network, cvq_number_name(name, 2 * i),
				i == 0 ? in : channels, channels, i == 0 && causal ? 4 : 3);
		cvq_leave_module(network, predictor);
	}
	cvq_linear(network, "classifier", channels, classes);
	cvq_leave_module(network, outer);
}

static void read_lists(struct cvq_network *network, struct hift *hift)
{
	static const struct cvq_sizes rates = {2, {8, 8}}, kernels = {2, {16, 16}};
	static const struct cvq_sizes blocks = {3, {3, 7, 11}},
				      source_blocks = {2, {7, 11}};
	const struct cvq_object *object = &hift->object;
	cvq_yaml_node node = cvq_yaml_get(network->yaml, object->node, "upsample_rates");

	/* It is joined with a list, which a tuple cannot be. */
	if (cvq_yaml_is_tuple(network->yaml, node))
		cvq_object_refuse(network, object, "upsample_rates", "is a tuple, no list");
	hift->rates = cvq_get_sizes(network, object, "upsample_rates", &rates);
	hift->kernels = cvq_get_sizes(network, object, "upsample_kernel_sizes", &kernels);
	hift->blocks = cvq_get_sizes(network, object, "resblock_kernel_sizes", &blocks);
	hift->source_blocks = cvq_get_sizes(network, object, "source_resblock_kernel_sizes",
					    &source_blocks);
}

static void read_hift(struct cvq_network *network, struct hift *hift)
{
	struct cvq_object *object = &hift->object;
	*object = cvq_object_get(network, NULL, "hift");
	hift->causal = cvq_object_is(object, "CausalHiFTGenerator");
	if (!hift->causal && !cvq_object_is(object, "HiFTGenerator"))
		cvq_object_refuse_class(network, object);
	hift->in = cvq_get_size(network, object, "in_channels", 80);
	hift->base = cvq_get_size(network, object, "base_channels", 512);
	struct cvq_object istft = cvq_mapping_get(network, object, "istft_params");
	hift->spectrum = cvq_get_size(network, &istft, "n_fft", 16) + 2;
	read_lists(network, hift);
}

void cvq_add_hift(struct cvq_network *network)
{
	struct hift hift;
	read_hift(network, &hift);
	int64_t before =
		hift.causal
			? cvq_get_size(network, &hift.object, "conv_pre_look_right", 4) + 1
			: 7;
	int64_t harmonics = cvq_get_size(network, &hift.object, "nb_harmonics", 8);

	cvq_linear(network, "m_source.l_linear", harmonics + 1, 1);
	cvq_conv_normed(network, "conv_pre", hift.in, hift.base, before);
	add_ups(network, &hift);
	add_source(network, &hift);
	add_resblocks(network, &hift);
	cvq_conv_normed(network, "conv_post", channels_after(&hift, hift.rates.count),
			hift.spectrum, 7);
	add_predictor(network, &hift);
}
