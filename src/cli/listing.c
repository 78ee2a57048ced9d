/* SPDX-License-Identifier: MIT */
#include "cli/listing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"
#include "cli/command.h"
#include "view/folder.h"

void cvq_listing_release(struct cvq_listing *listing)
{
	for (size_t i = 0; i < listing->count; i++) {
		cvq_entry_release(&listing->items[i].entry);
		free(listing->items[i].path);
	}
	free(listing->items);
	*listing = (struct cvq_listing){0};
}

/* Looks at 'path', which the listing takes over, and adds it. */
static cvq_err add(struct cvq_listing *listing, struct cvq_view *view, char *path)
{
	cleanup_free char *owned = path;
	cvq_err err = cvq_grow((void **)&listing->items, &listing->capacity, listing->count,
			       sizeof(*listing->items));
	if (err)
		return err;
	struct cvq_listed *listed = &listing->items[listing->count];
	err = cvq_view_lookup(view, path, &listed->entry);
	if (err)
		return err == -ENOENT ? 0 : err; /* gone since it was listed */
	listed->path = steal_pointer(owned);
	listing->count++;
	return 0;
}

static cvq_err add_folder(struct cvq_listing *listing, struct cvq_view *view,
			  const char *folder_path)
{
	cleanup_folder struct cvq_folder *folder = NULL;
	cvq_err err = cvq_folder_open(view, folder_path, &folder);
	const struct cvq_name *name;
	for (; !err && (name = cvq_folder_peek(folder, &err)); cvq_folder_take(folder)) {
		char *path;
		if (strcmp(name->text, ".") == 0 || strcmp(name->text, "..") == 0)
			continue;
		if (asprintf(&path, "%s%s%s", folder_path, *folder_path ? "/" : "",
			     name->text) < 0)
			return -ENOMEM;
		err = add(listing, view, path);
		if (err)
			return err;
	}
	return err;
}

static int compare_paths(const void *left, const void *right)
{
	const struct cvq_listed *a = left;
	const struct cvq_listed *b = right;
	return strcmp(a->path, b->path);
}

/* Folders are listed as they are met: the list is its own queue. */
static int list_all(const char *directory, struct cvq_view *view,
		    struct cvq_listing *listing)
{
	const char *folder = "";
	cvq_err err = add_folder(listing, view, folder);
	for (size_t i = 0; i < listing->count && !err; i++) {
		const struct cvq_entry *entry = &listing->items[i].entry;
		if (!S_ISDIR(entry->attributes.st_mode) || entry->hidden)
			continue;
		folder = listing->items[i].path;
		err = add_folder(listing, view, folder);
	}
	if (err)
		return cvq_fail_with(CVQ_EXIT_SOURCE, directory,
				     "'%.100s' cannot be read: %s (check it)",
				     *folder ? folder : ".", strerror(-err));
	if (listing->count > 0)
		qsort(listing->items, listing->count, sizeof(*listing->items),
		      compare_paths);
	return CVQ_EXIT_DONE;
}

/* Without the alias a loader gets another file, or none. */
static void warn_of_aliases(const char *directory, struct cvq_view *view)
{
	const struct cvq_log log = {.program = "cvq"};
	const struct cvq_aliases *aliases = &cvq_view_policy(view)->aliases;
	struct cvq_reason reason;
	for (size_t i = 0; i < aliases->count; i++)
		if (cvq_view_check_alias(view, &aliases->list[i], &reason))
			cvq_log(&log, CVQ_LOG_WARNING, "%s: [alias] %s: %s", directory,
				aliases->list[i].path, reason.text);
}

int cvq_listing_open(const char *directory, const struct cvq_policy *policy,
		     struct cvq_view **view, struct cvq_listing *listing)
{
	struct cvq_reason reason;
	*listing = (struct cvq_listing){0};
	cvq_err err = cvq_view_open(directory, policy, false, view);
	if (err) {
		cvq_view_explain_open(err, directory, &reason);
		return cvq_fail(CVQ_EXIT_SOURCE, directory, &reason);
	}
	warn_of_aliases(directory, *view);
	int code = list_all(directory, *view, listing);
	if (code) {
		cvq_listing_release(listing);
		cvq_view_close(*view);
	}
	return code;
}

int cvq_listing_none_converts(const char *directory, const struct cvq_policy *policy,
			      const struct cvq_listing *listing, const char *so)
{
	/* The reason of one file that asked tells more than that there is none. */
	const struct cvq_listed *telling = NULL;
	for (size_t i = 0; i < listing->count; i++) {
		const struct cvq_listed *listed = &listing->items[i];
		if (cvq_listed_is_file(listed) &&
		    cvq_policy_wants_file(policy, listed->path) &&
		    (!telling ||
		     (listed->entry.verdict->unfit && !telling->entry.verdict->unfit)))
			telling = listed;
	}
	if (telling)
		return cvq_fail_with(CVQ_EXIT_SOURCE, directory,
				     "no checkpoint in it converts, %s ('%.60s': %.120s)",
				     so, telling->path, telling->entry.verdict->reason);
	struct cvq_reason advice;
	cvq_policy_advise(policy, &advice);
	return cvq_fail_with(CVQ_EXIT_SOURCE, directory, "no checkpoint is in it, %s (%s)",
			     so, advice.text);
}

cvq_err cvq_listed_open(struct cvq_view *view, struct cvq_listed *listed,
			struct cvq_content *content)
{
	cvq_err err = cvq_view_open_file(view, listed->path, &listed->entry, content);
	if (err != -ESTALE || listed->entry.version.at_rest)
		return err;
	struct cvq_entry again;
	if (cvq_view_lookup(view, listed->path, &again))
		return -ESTALE;
	struct cvq_version version = listed->entry.version;
	version.at_rest = true;
	if (!cvq_version_same(&version, &again.version) ||
	    cvq_entry_converted(&again) != cvq_entry_converted(&listed->entry)) {
		cvq_entry_release(&again);
		return -ESTALE;
	}
	cvq_entry_release(&listed->entry);
	listed->entry = again;
	return cvq_view_open_file(view, listed->path, &listed->entry, content);
}
