/* SPDX-License-Identifier: MIT */
/*
 * Counting the tree: what the one line after mounting says
 *
 * Folders wait in a list of paths rather than as open descriptors or on the call
 * stack, so that neither a deep tree nor a low limit of descriptors matters.
 */
#include "view/view.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "view/folder.h"

/* What asks for conversion and stays as it is; who tells more stands further down. */
enum left {
	LEFT_NONE,
	LEFT_KEPT, /* by a pattern */
	LEFT_ALONE,
	LEFT_UNFIT,
};

struct walk {
	struct cvq_view *view;
	struct cvq_census *census;
	enum left left; /* which census->left tells of */
	double deadline;
	char **folders; /* paths still to be listed; owned */
	size_t count;
	size_t capacity;
};

static void add_folder(struct walk *walk, const char *path)
{
	cleanup_free char *copy = strdup(path);
	if (!copy || cvq_grow((void **)&walk->folders, &walk->capacity, walk->count,
			      sizeof(*walk->folders)))
		walk->census->complete = false;
	else
		walk->folders[walk->count++] = steal_pointer(copy);
}

/* Remembers why the file stays as it is, if it is the first that tells so much. */
static void note_left(struct walk *walk, const char *path, const char *why, enum left left)
{
	if (!cvq_policy_wants_file(cvq_view_policy(walk->view), path) || left <= walk->left)
		return;
	cvq_explain(&walk->census->left, 0, "'%.100s': %s", path, why);
	walk->left = left;
}

static enum left left_as(const struct walk *walk, const char *path,
			 const struct cvq_verdict *verdict)
{
	if (verdict->unfit)
		return LEFT_UNFIT;
	return cvq_policy_keeping_pattern(cvq_view_policy(walk->view), path) ? LEFT_KEPT
									     : LEFT_ALONE;
}

/* Counts what a look at 'path' tells. */
static void count_entry(struct walk *walk, const char *path)
{
	struct cvq_census *census = walk->census;
	cleanup_entry struct cvq_entry entry;

	if (cvq_view_lookup(walk->view, path, &entry)) {
		census->complete = false;
	} else if (cvq_entry_converted(&entry)) {
		census->converted++;
		census->source_bytes += entry.version.size;
		census->view_bytes += (uint64_t)entry.attributes.st_size;
	} else if (S_ISREG(entry.attributes.st_mode)) {
		census->passed++;
		census->unfit += entry.verdict->unfit;
		note_left(walk, path, entry.verdict->reason,
			  left_as(walk, path, entry.verdict));
	} else if (S_ISLNK(entry.attributes.st_mode)) {
		note_left(walk, path,
			  "it is a link, and shown as one (-o symlinks=follow shows the "
			  "file, if it is outside)",
			  LEFT_ALONE);
	} else if (S_ISDIR(entry.attributes.st_mode) && !entry.hidden) {
		add_folder(walk, path);
	}
}

/* Counts one name of a folder, with a look at it only where its type does not tell. */
static void count_name(struct walk *walk, const char *path, unsigned char type)
{
	bool asks = cvq_policy_wants_file(cvq_view_policy(walk->view), path);

	if (type == DT_REG && !asks)
		walk->census->passed++;
	else if (type == DT_DIR)
		add_folder(walk, path);
	else if (type == DT_REG || type == DT_LNK || type == DT_UNKNOWN)
		count_entry(walk, path);
}

/* Returns false if time ran out. */
static bool count_folder(struct walk *walk, const char *folder_path)
{
	cleanup_folder struct cvq_folder *folder = NULL;
	cvq_err err = cvq_folder_open(walk->view, folder_path, &folder);
	const struct cvq_name *name;

	if (err == -EXDEV)
		return true; /* another view, which this one does not show */
	for (; !err && (name = cvq_folder_peek(folder, &err)); cvq_folder_take(folder)) {
		if (strcmp(name->text, ".") == 0 || strcmp(name->text, "..") == 0)
			continue;
		cleanup_free char *path = NULL;
		if (asprintf(&path, "%s%s%s", folder_path, *folder_path ? "/" : "",
			     name->text) < 0) {
			path = NULL;
			walk->census->complete = false;
			continue;
		}
		count_name(walk, path, name->type);
		if (cvq_clock_seconds() > walk->deadline)
			return false;
	}
	if (err)
		walk->census->complete = false;
	return true;
}

void cvq_view_count(struct cvq_view *view, double seconds, struct cvq_census *census)
{
	*census = (struct cvq_census){.complete = true};
	struct walk walk = {
		.view = view, .census = census, .deadline = cvq_clock_seconds() + seconds};

	add_folder(&walk, "");
	while (walk.count > 0) {
		cleanup_free char *path = walk.folders[--walk.count];
		if (!count_folder(&walk, path)) {
			census->complete = false;
			break;
		}
	}
	while (walk.count > 0)
		free(walk.folders[--walk.count]);
	free(walk.folders);
}
