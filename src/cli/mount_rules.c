/* SPDX-License-Identifier: MIT */
#include "cli/mount_rules.h"

#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
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

static char *join(const char *const *patterns, size_t count)
{
	struct cvq_buffer text = {0};
	for (size_t i = 0; i < count; i++) {
		cvq_buffer_append(&text, " ", i > 0);
		cvq_buffer_append(&text, patterns[i], strlen(patterns[i]));
	}
	cvq_buffer_append(&text, "", 1);
	if (text.error)
		cvq_buffer_release(&text);
	return (char *)text.data;
}

static bool same_patterns(const json_t *options, const char *name,
			  const struct cvq_globs *globs, struct cvq_reason *reason)
{
	const json_t *array = json_object_get(options, name);
	size_t count = json_array_size(array);
	cleanup_free const char **found = calloc(count + 1, sizeof(*found));
	for (size_t i = 0; i < count && found; i++) {
		const char *pattern = json_string_value(json_array_get(array, i));
		found[i] = pattern ? pattern : "";
	}
	cleanup_free char *is = found ? join(found, count) : NULL;
	cleanup_free char *wanted =
		join((const char *const *)globs->patterns, globs->count);
	if (!json_is_array(array) || !is || !wanted || strcmp(is, wanted) == 0)
		return true;
	cvq_explain(reason, 0,
		    "it is mounted with other patterns for %s: '%.50s', not '%.50s' (give "
		    "the options of the mount)",
		    name, is, wanted);
	return false;
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
		    same_patterns(options, "convert", &policy->convert_files, reason) &&
		    same_patterns(options, "keep", &policy->keep_files, reason) &&
		    same_patterns(options, "keep_tensor", &policy->keep_tensors, reason);
	json_decref(status);
	return same;
}
