/* SPDX-License-Identifier: MIT */
/*
 * Which files and tensors convert, and which options there are
 */
#include <errno.h>
#include <string.h>

#include "fixture.h"
#include "policy/policy.h"

static int set_up(void **state)
{
	static struct cvq_policy policy;
	*state = &policy;
	return cvq_policy_init(&policy);
}

static int tear_down(void **state)
{
	cvq_policy_release(*state);
	return 0;
}

static bool converts(const struct cvq_policy *policy, const char *path)
{
	return cvq_policy_wants_file(policy, path) &&
	       !cvq_policy_keeping_pattern(policy, path);
}

static void set(struct cvq_policy *policy, const char *option, const char *value)
{
	struct cvq_reason reason = {""};
	if (cvq_policy_set(policy, option, value, &reason))
		fail_msg("%s=%s: %s", option, value ? value : "", reason.text);
}

static void defaults_fit_cosyvoice(void **state)
{
	const struct cvq_policy *policy = *state;
	assert_true(converts(policy, "llm.pt"));
	assert_true(converts(policy, "llm.rl.pt"));
	assert_true(converts(policy, "epoch_1/flow.pt"));
	assert_false(converts(policy, "llm.PT"));
	assert_false(converts(policy, "llm.pth"));
	assert_false(converts(policy, "campplus.onnx"));
	assert_false(converts(policy, "hift.pt"));
	assert_false(converts(policy, "a/my_HiFT_v2.pt"));
	assert_false(converts(policy, "HiFiGAN.pt"));
	assert_false(converts(policy, "spk2info.pt"));
	assert_false(converts(policy, "spk2info-old.pt"));
	assert_true(converts(policy, "hift/llm.pt"));

	assert_string_equal("*inv_freq",
			    cvq_policy_tensor_pattern(
				    policy, "decoder.estimator.rotary_embed.inv_freq"));
	assert_non_null(cvq_policy_tensor_pattern(policy, "optimizer.state.0.step"));
	assert_non_null(
		cvq_policy_tensor_pattern(policy, "optimizer_states.0.state.1.exp_avg"));
	assert_non_null(
		cvq_policy_tensor_pattern(policy, "optimizer_state_dict.state.0.step"));
	assert_non_null(cvq_policy_tensor_pattern(policy, "state.0.exp_avg"));
	assert_non_null(cvq_policy_tensor_pattern(policy, "state.?.exp_avg"));
	assert_null(cvq_policy_tensor_pattern(policy, "state.?"));
	assert_null(cvq_policy_tensor_pattern(policy, "state.layer.weight"));
	assert_null(cvq_policy_tensor_pattern(policy, "llm.optimizer.weight"));
	assert_int_equal(policy->dtype, CVQ_FP16);
	assert_int_equal(policy->overflow, CVQ_OVERFLOW_INF);
	assert_int_equal(policy->checksum, CVQ_CHECKSUM_SEAL);
	assert_int_equal(policy->align, 0);
}

static void quantize_hift_drops_only_the_vocoder_patterns(void **state)
{
	set(*state, "quantize-hift", NULL);
	assert_true(converts(*state, "hift.pt"));
	assert_false(converts(*state, "spk2info.pt"));
}

static void patterns_add_up_but_convert_replaces_its_default(void **state)
{
	set(*state, "keep", "flow.pt");
	set(*state, "keep-tensor", "*.bias");
	assert_false(converts(*state, "flow.pt"));
	assert_false(converts(*state, "hift.pt"));
	assert_non_null(cvq_policy_tensor_pattern(*state, "a.bias"));
	assert_non_null(cvq_policy_tensor_pattern(*state, "a.inv_freq"));

	set(*state, "convert", "*.pth");
	set(*state, "convert", "*.ckpt");
	assert_true(converts(*state, "llm.pth"));
	assert_true(converts(*state, "llm.ckpt"));
	assert_false(converts(*state, "llm.pt"));
}

static void a_pattern_with_a_slash_is_matched_with_the_path(void **state)
{
	set(*state, "keep", "old/*.pt");
	assert_false(converts(*state, "old/llm.pt"));
	assert_true(converts(*state, "new/llm.pt"));
}

static void underscores_are_as_good_as_dashes(void **state)
{
	bool takes_value = false;
	assert_true(cvq_policy_has_option("keep_tensor", &takes_value));
	assert_true(takes_value);
	assert_true(cvq_policy_has_option("quantize_hift", &takes_value));
	assert_false(takes_value);
	assert_false(cvq_policy_has_option("keep-tens", NULL));
	assert_false(cvq_policy_has_option("keep-tensors", NULL));
	set(*state, "keep_tensor", "x");
	assert_non_null(cvq_policy_tensor_pattern(*state, "x"));
}

static void values_are_set(void **state)
{
	struct cvq_policy *policy = *state;
	set(policy, "dtype", "bf16");
	set(policy, "overflow", "clamp");
	set(policy, "checksum", "none");
	set(policy, "symlinks", "keep");
	set(policy, "align", "4096");
	set(policy, "timeout", "0.5");
	assert_int_equal(policy->dtype, CVQ_BF16);
	assert_int_equal(policy->overflow, CVQ_OVERFLOW_CLAMP);
	assert_int_equal(policy->checksum, CVQ_CHECKSUM_NONE);
	assert_int_equal(policy->symlinks, CVQ_SYMLINKS_KEEP);
	assert_int_equal(policy->align, 4096);
	assert_true(policy->timeout == 0.5);
	assert_string_equal(cvq_dtype_name(policy->dtype), "bf16");
	assert_string_equal(cvq_checksum_name(policy->checksum), "none");
	set(policy, "align", "source");
	assert_int_equal(policy->align, 0);
}

static void wrong_values_are_named(void **state)
{
	static const struct {
		const char *option;
		const char *value;
		const char *says;
	} cases[] = {
		{"dtype", "fp32", "'fp32' is not one of its values (use fp16 or bf16)"},
		{"checksum", "", "(use seal, exact or none)"},
		{"overflow", "INF", "(use inf or clamp)"},
		{"symlinks", "yes", "(use auto, follow or keep)"},
		{"align", "0", "power of two"},
		{"align", "8", "power of two"},
		{"align", "48", "power of two"},
		{"align", "131072", "power of two"},
		{"align", "64k", "power of two"},
		{"align", "-64", "power of two"},
		{"align", "", "power of two"},
		{"timeout", "soon", "use seconds"},
		{"timeout", "-1", "use seconds"},
		{"timeout", "nan", "use seconds"},
		{"keep", "", "the pattern is empty"},
		{"dtype", NULL, "a value is missing"},
		{"quantize-hift", "1", "takes no value"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cvq_reason reason = {""};
		assert_int_equal(
			cvq_policy_set(*state, cases[i].option, cases[i].value, &reason),
			-EINVAL);
		if (!strstr(reason.text, cases[i].says))
			fail_msg("%s: '%s' does not say '%s'", cases[i].option, reason.text,
				 cases[i].says);
	}
	assert_int_equal(cvq_policy_set(*state, "speed", "9", NULL), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(defaults_fit_cosyvoice),
		TEST(quantize_hift_drops_only_the_vocoder_patterns),
		TEST(patterns_add_up_but_convert_replaces_its_default),
		TEST(a_pattern_with_a_slash_is_matched_with_the_path),
		TEST(underscores_are_as_good_as_dashes),
		TEST(values_are_set),
		TEST(wrong_values_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
