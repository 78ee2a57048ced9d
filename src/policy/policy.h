/* SPDX-License-Identifier: MIT */
/*
 * The policy: which files and tensors are converted, and how
 *
 * Filled once (defaults, then a configuration, then options), then only read.
 */
#ifndef CVQ_POLICY_POLICY_H
#define CVQ_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "cvq/cvq.h"

/* A list of fnmatch(3) patterns.  Owns its strings. */
struct cvq_globs {
	char **patterns;
	size_t count;
	size_t capacity;
};

void cvq_globs_clear(struct cvq_globs *globs);

/* A path in the view that shows the file at another path of the source. */
struct cvq_alias {
	char *path;    /* below the view's root */
	char *target;  /* below the source's root */
	unsigned line; /* of the configuration */
};

/* Owns their strings. */
struct cvq_aliases {
	struct cvq_alias *list;
	size_t count;
	size_t capacity;
};

/* When a symlink of the source is shown as the file it points to. */
enum cvq_symlinks {
	CVQ_SYMLINKS_AUTO,   /* follow, unless root mounts for all users */
	CVQ_SYMLINKS_FOLLOW, /* if it leaves the tree or hides a checkpoint's name */
	CVQ_SYMLINKS_KEEP,   /* never */
};

struct cvq_policy {
	struct cvq_globs convert_files;
	bool convert_given;            /* the default pattern is gone: further ones add */
	struct cvq_globs keep_files;   /* any case; wins over convert_files */
	struct cvq_globs keep_tensors; /* names as in cvq_tensor.name */
	enum cvq_dtype dtype;
	enum cvq_overflow overflow;
	enum cvq_checksum checksum;
	uint32_t align; /* 0: the source's own */
	enum cvq_symlinks symlinks;
	double timeout; /* seconds the kernel may trust names and sizes */
	struct cvq_aliases aliases;
};

#define CVQ_MIN_ALIGN 16
#define CVQ_MAX_ALIGN 65536

/* Whether payloads can be aligned by so many bytes. */
static inline bool cvq_policy_aligns_by(unsigned long align)
{
	return align >= CVQ_MIN_ALIGN && align <= CVQ_MAX_ALIGN &&
	       (align & (align - 1)) == 0;
}

/* Says what to do where no file's name asks for conversion. */
void cvq_policy_advise(const struct cvq_policy *policy, struct cvq_reason *advice);

/* Sets the defaults.  Returns 0 or -ENOMEM; release in either case. */
cvq_err cvq_policy_init(struct cvq_policy *policy);
void cvq_policy_release(struct cvq_policy *policy);

/*
 * Applies one option by its name on the command line without the dashes
 * ("keep-tensor"; underscores are as good as dashes).  'value' is NULL for an
 * option without one.
 *
 * Returns 0; -ENOENT if there is no such option; -EINVAL with a reason if the
 * value is missing, superfluous or out of range; -ENOMEM.
 */
cvq_err cvq_policy_set(struct cvq_policy *policy, const char *name, const char *value,
		       struct cvq_reason *reason);

/* Adds an alias; copies its paths.  Returns 0, -EEXIST if 'path' has one, or -ENOMEM. */
cvq_err cvq_policy_add_alias(struct cvq_policy *policy, const char *path,
			     const char *target, unsigned line);

/* The alias at 'path' in the view, or NULL. */
const struct cvq_alias *cvq_policy_find_alias(const struct cvq_policy *policy,
					      const char *path);

/* Whether both name one option: mount options have underscores in place of dashes. */
bool cvq_policy_same_name(const char *a, const char *b);

/* The name of cvq_policy_set()'s option number 'index', NULL behind the last one; and
 * whether it takes a value, unless 'takes_value' is NULL. */
const char *cvq_policy_option_name(size_t index, bool *takes_value);

/* Whether 'name' is one of cvq_policy_set()'s, and whether it takes a value. */
bool cvq_policy_has_option(const char *name, bool *takes_value);

/*
 * Whether the file at 'path' (relative to the source) asks for conversion.  A
 * pattern with a slash is matched against the whole path, else against the name.
 */
bool cvq_policy_wants_file(const struct cvq_policy *policy, const char *path);

/*
 * Why a file whose name asks for conversion stays as it is, or NULL if it does
 * not stay: the pattern that keeps it.
 */
const char *cvq_policy_keeping_pattern(const struct cvq_policy *policy, const char *path);

/* The pattern that keeps the tensor of that name in FP32, or NULL. */
const char *cvq_policy_tensor_pattern(const struct cvq_policy *policy, const char *name);

/* The value as the option of that name spells it: "fp16", "inf", "seal", "auto". */
const char *cvq_dtype_name(enum cvq_dtype dtype);
const char *cvq_overflow_name(enum cvq_overflow overflow);
const char *cvq_checksum_name(enum cvq_checksum checksum);
const char *cvq_symlinks_name(enum cvq_symlinks symlinks);

#endif
