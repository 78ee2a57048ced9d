/* SPDX-License-Identifier: MIT */
#include "view/alias.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "view/view.h"

const char *cvq_alias_name_in(const struct cvq_alias *alias, const char *folder)
{
	size_t length = strlen(folder);
	const char *name = alias->path;

	if (length > 0) {
		if (strncmp(name, folder, length) != 0 || name[length] != '/')
			return NULL;
		name += length + 1;
	}
	return strchr(name, '/') ? NULL : name;
}

bool cvq_alias_hides(const struct cvq_policy *policy, const char *folder, const char *name)
{
	for (size_t i = 0; i < policy->aliases.count; i++) {
		const char *own = cvq_alias_name_in(&policy->aliases.list[i], folder);
		if (own && strcmp(own, name) == 0)
			return true;
	}
	return false;
}

/* Whether the view has the folder that the alias lies in. */
static cvq_err look_up_folder(struct cvq_view *view, const struct cvq_alias *alias)
{
	const char *slash = strrchr(alias->path, '/');
	cleanup_free char *folder =
		strndup(alias->path, slash ? (size_t)(slash - alias->path) : 0);
	if (!folder)
		return -ENOMEM;
	cleanup_entry struct cvq_entry entry;
	cvq_err err = cvq_view_lookup(view, folder, &entry);
	if (!err && (!S_ISDIR(entry.attributes.st_mode) || entry.hidden))
		err = -ENOTDIR;
	return err;
}

cvq_err cvq_view_check_alias(struct cvq_view *view, const struct cvq_alias *alias,
			     struct cvq_reason *reason)
{
	cvq_err err = look_up_folder(view, alias);
	if (err)
		return cvq_explain(
			reason, err,
			"its folder is missing, so the name is not shown (create "
			"the folder in the source)");
	cleanup_entry struct cvq_entry entry;
	err = cvq_view_lookup(view, alias->path, &entry);
	if (err)
		return cvq_explain(reason, err,
				   "there is no file '%.100s', so the name is not shown "
				   "(correct the path, or remove the alias)",
				   alias->target);
	return 0;
}
