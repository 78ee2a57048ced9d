/* SPDX-License-Identifier: MIT */
#include "policy/policy.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

static const char *const dtype_names[] = {"fp16", "bf16", NULL};
static const char *const overflow_names[] = {"inf", "clamp", NULL};
static const char *const checksum_names[] = {"seal", "exact", "none", NULL};
static const char *const symlinks_names[] = {"auto", "follow", "keep", NULL};

/* The vocoder loses audible quality in half precision. */
static const char *const vocoder_patterns[] = {"*hift*", "*hifigan*"};

/* ========================================================================== */
/*                                  Patterns                                  */
/* ========================================================================== */

static cvq_err globs_add(struct cvq_globs *globs, const char *pattern)
{
	cleanup_free char *copy = strdup(pattern);
	if (!copy || cvq_grow((void **)&globs->patterns, &globs->capacity, globs->count,
			      sizeof(*globs->patterns)))
		return -ENOMEM;
	globs->patterns[globs->count++] = steal_pointer(copy);
	return 0;
}

static void globs_remove(struct cvq_globs *globs, const char *pattern)
{
	size_t kept = 0;
	for (size_t i = 0; i < globs->count; i++) {
		if (strcasecmp(globs->patterns[i], pattern) == 0)
			free(globs->patterns[i]);
		else
			globs->patterns[kept++] = globs->patterns[i];
	}
	globs->count = kept;
}

void cvq_globs_clear(struct cvq_globs *globs)
{
	for (size_t i = 0; i < globs->count; i++)
		free(globs->patterns[i]);
	free(globs->patterns);
	*globs = (struct cvq_globs){0};
}

static const char *globs_find(const struct cvq_globs *globs, const char *text, int flags)
{
	for (size_t i = 0; i < globs->count; i++)
		if (fnmatch(globs->patterns[i], text, flags) == 0)
			return globs->patterns[i];
	return NULL;
}

static const char *globs_find_file(const struct cvq_globs *globs, const char *path,
				   int flags)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	for (size_t i = 0; i < globs->count; i++) {
		const char *pattern = globs->patterns[i];
		if (fnmatch(pattern, strchr(pattern, '/') ? path : name, flags) == 0)
			return pattern;
	}
	return NULL;
}

bool cvq_policy_wants_file(const struct cvq_policy *policy, const char *path)
{
	return globs_find_file(&policy->convert_files, path, 0) != NULL;
}

const char *cvq_policy_keeping_pattern(const struct cvq_policy *policy, const char *path)
{
	return globs_find_file(&policy->keep_files, path, FNM_CASEFOLD);
}

const char *cvq_policy_tensor_pattern(const struct cvq_policy *policy, const char *name)
{
	return globs_find(&policy->keep_tensors, name, 0);
}

/* ========================================================================== */
/*                                   Aliases                                  */
/* ========================================================================== */

cvq_err cvq_policy_add_alias(struct cvq_policy *policy, const char *path,
			     const char *target, unsigned line)
{
	struct cvq_aliases *aliases = &policy->aliases;
	if (cvq_policy_find_alias(policy, path))
		return -EEXIST;
	cleanup_free char *own_path = strdup(path);
	cleanup_free char *own_target = strdup(target);
	if (!own_path || !own_target ||
	    cvq_grow((void **)&aliases->list, &aliases->capacity, aliases->count,
		     sizeof(*aliases->list)))
		return -ENOMEM;
	aliases->list[aliases->count++] = (struct cvq_alias){
		steal_pointer(own_path), steal_pointer(own_target), line};
	return 0;
}

/* There are few, and mostly none: they are looked for one after the other. */
const struct cvq_alias *cvq_policy_find_alias(const struct cvq_policy *policy,
					      const char *path)
{
	for (size_t i = 0; i < policy->aliases.count; i++)
		if (strcmp(policy->aliases.list[i].path, path) == 0)
			return &policy->aliases.list[i];
	return NULL;
}

static void release_aliases(struct cvq_aliases *aliases)
{
	for (size_t i = 0; i < aliases->count; i++) {
		free(aliases->list[i].path);
		free(aliases->list[i].target);
	}
	free(aliases->list);
	*aliases = (struct cvq_aliases){0};
}

/* ========================================================================== */
/*                                   Options                                  */
/* ========================================================================== */

/* One of 'names', kept as its index in the enum that 'choice' points to. */
static cvq_err choose(unsigned *choice, const char *const *names, const char *value,
		      struct cvq_reason *reason)
{
	for (unsigned i = 0; names[i]; i++) {
		if (strcmp(names[i], value) == 0) {
			*choice = i;
			return 0;
		}
	}
	char known[64];
	cvq_list_names(names, known, sizeof(known));
	return cvq_explain(reason, -EINVAL, "'%.60s' is not one of its values (use %s)",
			   value, known);
}

#define DEFINE_CHOICE(member)                                                              \
	static cvq_err set_##member(struct cvq_policy *policy, const char *value,          \
				    struct cvq_reason *reason)                             \
	{                                                                                  \
		unsigned choice = policy->member;                                          \
		cvq_err err = choose(&choice, member##_names, value, reason);              \
		policy->member = choice;                                                   \
		return err;                                                                \
	}
DEFINE_CHOICE(dtype)
DEFINE_CHOICE(overflow)
DEFINE_CHOICE(checksum)
DEFINE_CHOICE(symlinks)

static cvq_err set_align(struct cvq_policy *policy, const char *value,
			 struct cvq_reason *reason)
{
	if (strcmp(value, "source") == 0) {
		policy->align = 0;
		return 0;
	}
	char *end;
	errno = 0;
	unsigned long align = strtoul(value, &end, 10);
	if (errno || end == value || *end || value[0] == '-' ||
	    !cvq_policy_aligns_by(align))
		return cvq_explain(reason, -EINVAL,
				   "'%.60s' is no alignment (use source, or a power of two "
				   "from %d to %d)",
				   value, CVQ_MIN_ALIGN, CVQ_MAX_ALIGN);
	policy->align = (uint32_t)align;
	return 0;
}

static cvq_err set_timeout(struct cvq_policy *policy, const char *value,
			   struct cvq_reason *reason)
{
	char *end;
	double seconds = strtod(value, &end);
	if (end == value || *end || !isfinite(seconds) || seconds < 0 || seconds > 1e9)
		return cvq_explain(reason, -EINVAL,
				   "'%.60s' is no time (use seconds, such as 1 or 0.5)",
				   value);
	policy->timeout = seconds;
	return 0;
}

static cvq_err add_pattern(struct cvq_globs *globs, const char *value,
			   struct cvq_reason *reason)
{
	if (!*value)
		return cvq_explain(
			reason, -EINVAL,
			"the pattern is empty (use a shell pattern such as '*.pt')");
	return globs_add(globs, value);
}

static cvq_err set_keep(struct cvq_policy *policy, const char *value,
			struct cvq_reason *reason)
{
	return add_pattern(&policy->keep_files, value, reason);
}

static cvq_err set_convert(struct cvq_policy *policy, const char *value,
			   struct cvq_reason *reason)
{
	if (!policy->convert_given)
		cvq_globs_clear(&policy->convert_files);
	policy->convert_given = true;
	return add_pattern(&policy->convert_files, value, reason);
}

static cvq_err set_keep_tensor(struct cvq_policy *policy, const char *value,
			       struct cvq_reason *reason)
{
	return add_pattern(&policy->keep_tensors, value, reason);
}

static cvq_err set_quantize_hift(struct cvq_policy *policy, const char *value,
				 struct cvq_reason *reason)
{
	(void)value;
	(void)reason;
	for (size_t i = 0; i < sizeof(vocoder_patterns) / sizeof(*vocoder_patterns); i++)
		globs_remove(&policy->keep_files, vocoder_patterns[i]);
	return 0;
}

static const struct option {
	const char *name;
	bool takes_value;
	cvq_err (*set)(struct cvq_policy *policy, const char *value,
		       struct cvq_reason *reason);
} options[] = {
	{"quantize-hift", false, set_quantize_hift},
	{"dtype", true, set_dtype},
	{"overflow", true, set_overflow},
	{"checksum", true, set_checksum},
	{"align", true, set_align},
	{"keep", true, set_keep},
	{"convert", true, set_convert},
	{"keep-tensor", true, set_keep_tensor},
	{"symlinks", true, set_symlinks},
	{"timeout", true, set_timeout},
};

bool cvq_policy_same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if ((*a == '_' ? '-' : *a) != (*b == '_' ? '-' : *b))
			return false;
	return *a == *b;
}

static const struct option *find_option(const char *name)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (cvq_policy_same_name(options[i].name, name))
			return &options[i];
	return NULL;
}

const char *cvq_policy_option_name(size_t index, bool *takes_value)
{
	if (index >= sizeof(options) / sizeof(*options))
		return NULL;
	if (takes_value)
		*takes_value = options[index].takes_value;
	return options[index].name;
}

bool cvq_policy_has_option(const char *name, bool *takes_value)
{
	const struct option *option = find_option(name);
	if (option && takes_value)
		*takes_value = option->takes_value;
	return option != NULL;
}

cvq_err cvq_policy_set(struct cvq_policy *policy, const char *name, const char *value,
		       struct cvq_reason *reason)
{
	const struct option *option = find_option(name);
	if (!option)
		return -ENOENT;
	if (option->takes_value && !value)
		return cvq_explain(reason, -EINVAL, "a value is missing (use %s=VALUE)",
				   name);
	if (!option->takes_value && value)
		return cvq_explain(reason, -EINVAL, "it takes no value (use %s alone)",
				   name);
	return option->set(policy, value, reason);
}

void cvq_policy_advise(const struct cvq_policy *policy, struct cvq_reason *advice)
{
	const struct cvq_globs *wanted = &policy->convert_files;
	if (wanted->count > 0)
		cvq_explain(advice, 0, "give the directory that holds %.100s files",
			    wanted->patterns[0]);
	else
		cvq_explain(advice, 0, "no pattern is set: say --convert '*.pt'");
}

/* ========================================================================== */
/*                                  The whole                                 */
/* ========================================================================== */

cvq_err cvq_policy_init(struct cvq_policy *policy)
{
	/* spk2info is used without load_state_dict, so its type matters; rotary phases
	 * need FP32's precision; optimizer state needs its range. */
	*policy = (struct cvq_policy){.timeout = 1};
	cvq_err err = globs_add(&policy->convert_files, "*.pt");
	for (size_t i = 0; i < sizeof(vocoder_patterns) / sizeof(*vocoder_patterns); i++)
		err = err ? err : globs_add(&policy->keep_files, vocoder_patterns[i]);
	err = err ? err : globs_add(&policy->keep_files, "spk2info*.pt");
	err = err ? err : globs_add(&policy->keep_tensors, "*inv_freq");
	err = err ? err : globs_add(&policy->keep_tensors, "optimizer.*");
	err = err ? err : globs_add(&policy->keep_tensors, "optimizer_states.*");
	err = err ? err : globs_add(&policy->keep_tensors, "optimizer_state_dict.*");
	/* One saved by itself has numbers for its parameters; the whole object has the
	 * parameters, which are all named '?'. */
	err = err ? err : globs_add(&policy->keep_tensors, "state.[0-9?]*.*");
	return err;
}

void cvq_policy_release(struct cvq_policy *policy)
{
	cvq_globs_clear(&policy->convert_files);
	cvq_globs_clear(&policy->keep_files);
	cvq_globs_clear(&policy->keep_tensors);
	release_aliases(&policy->aliases);
}

const char *cvq_dtype_name(enum cvq_dtype dtype)
{
	return dtype_names[dtype];
}

const char *cvq_overflow_name(enum cvq_overflow overflow)
{
	return overflow_names[overflow];
}

const char *cvq_checksum_name(enum cvq_checksum checksum)
{
	return checksum_names[checksum];
}

const char *cvq_symlinks_name(enum cvq_symlinks symlinks)
{
	return symlinks_names[symlinks];
}
