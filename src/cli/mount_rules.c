/* SPDX-License-Identifier: MIT */
#include "cli/mount_rules.h"

#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "cli/status_attribute.h"

/* The status of the view that 'path' lies in; NULL if it is in none. */
static json_t *find_status(const char *path)
{
	cleanup_free char *folder = realpath(path, NULL);
	struct stat here, above;
	if (!folder || stat(folder, &here))
		return NULL;
	for (;;) {
		json_t *status;
		cvq_status_read(folder, &status);
		char *slash = strrchr(folder, '/');
		if (status || !slash || slash == folder)
			return status;
		*slash = '\0';
		if (stat(folder, &above) || above.st_dev != here.st_dev)
			return NULL;
	}
}

static bool same_text(const json_t *options, const char *name, const char *wanted,
		      struct cvq_reason *reason)
{
	const char *is = json_string_value(json_object_get(options, name));
	if (!is || strcmp(is, wanted) == 0)
		return true;
	cvq_explain(reason, 0, "it is mounted with %s %.40s, not %s (add --%s %.40s)", name,
		    is, wanted, name, is);
	return false;
}

static bool has_pattern(const struct cvq_globs *globs, const char *pattern)
{
	for (size_t i = 0; i < globs->count; i++)
		if (strcmp(globs->patterns[i], pattern) == 0)
			return true;
	return false;
}

static bool lists_pattern(const json_t *array, const char *pattern)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *listed = json_string_value(json_array_get(array, i));
		if (listed && strcmp(listed, pattern) == 0)
			return true;
	}
	return false;
}

static bool same_patterns(const json_t *options, const char *name, const char *option,
			  const struct cvq_globs *globs, struct cvq_reason *reason)
{
	const json_t *array = json_object_get(options, name);
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *pattern = json_string_value(json_array_get(array, i));
		if (pattern && !has_pattern(globs, pattern)) {
			cvq_explain(reason, 0,
				    "it is mounted with --%s '%.100s' (add that)", option,
				    pattern);
			return false;
		}
	}
	for (size_t i = 0; json_is_array(array) && i < globs->count; i++)
		if (!lists_pattern(array, globs->patterns[i])) {
			cvq_explain(reason, 0,
				    "it is mounted without --%s '%.100s' (give the options "
				    "and the configuration of the mount)",
				    option, globs->patterns[i]);
			return false;
		}
	return true;
}

bool cvq_mount_has_rules(const char *path, const struct cvq_policy *policy, bool *is_mount,
			 struct cvq_reason *reason)
{
	json_t *status = find_status(path);
	*is_mount = status != NULL;
	const json_t *options = json_object_get(status, "options");
	bool same = same_text(options, "dtype", cvq_dtype_name(policy->dtype), reason) &&
		    same_text(options, "overflow", cvq_overflow_name(policy->overflow),
			      reason) &&
		    same_patterns(options, "convert", "convert", &policy->convert_files,
				  reason) &&
		    same_patterns(options, "keep", "keep", &policy->keep_files, reason) &&
		    same_patterns(options, "keep_tensor", "keep-tensor",
				  &policy->keep_tensors, reason);
	json_decref(status);
	return same;
}
