/* SPDX-License-Identifier: MIT */
/*
 * A position is the source's own cookie, of which nothing is known but that it fits
 * an off_t.  So a folder with aliases counts positions instead: first come those of
 * all the aliases there are, here or elsewhere, then those of the source's names,
 * and the cookie that belongs to each is remembered.
 */
#include "view/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "view/alias.h"

struct cvq_folder {
	struct cvq_view *view;
	const struct cvq_policy *policy;
	char *path;
	DIR *stream;
	dev_t device;
	ino_t inode;
	off_t cookie; /* where the stream stands */
	off_t position;
	bool peeked; /* 'name' is the one at 'position' */
	struct cvq_name name;
	size_t aliases; /* positions before the source's names; 0: they are cookies */
	off_t *cookies; /* the cookie of each of the source's names, as far as listed ... */
	size_t count;   /* ... and of the next one */
	size_t capacity;
};

/* ========================================================================== */
/*                                  Positions                                 */
/* ========================================================================== */

static bool at_alias(const struct cvq_folder *folder)
{
	return (size_t)folder->position < folder->aliases;
}

/* Moves the stream to the position.  Returns false if that is beyond what is known. */
static bool move_stream(struct cvq_folder *folder)
{
	off_t cookie = folder->position;
	if (folder->aliases) {
		size_t index = (size_t)folder->position - folder->aliases;
		if (index >= folder->count)
			return false;
		cookie = folder->cookies[index];
	}
	if (cookie != folder->cookie)
		seekdir(folder->stream, cookie);
	folder->cookie = cookie;
	return true;
}

/* Remembers the cookie of the name after the one at the position; those of the names after
 * that one, too, if they were listed before. */
static cvq_err remember_cookie(struct cvq_folder *folder, off_t cookie)
{
	size_t next = (size_t)folder->position - folder->aliases + 1;
	if (next == folder->count) {
		if (cvq_grow((void **)&folder->cookies, &folder->capacity, folder->count,
			     sizeof(*folder->cookies)))
			return -ENOMEM;
		folder->count++;
	}
	folder->cookies[next] = cookie;
	return 0;
}

/* ========================================================================== */
/*                                    Names                                   */
/* ========================================================================== */

/* Moves over the aliases that are not here, or show nothing. */
static bool find_alias(struct cvq_folder *folder, cvq_err *err)
{
	for (; at_alias(folder); folder->position++) {
		const struct cvq_alias *alias =
			&folder->policy->aliases.list[folder->position];
		const char *name = cvq_alias_name_in(alias, folder->path);
		cleanup_entry struct cvq_entry entry = {.verdict = NULL};
		if (name)
			*err = cvq_view_lookup(folder->view, alias->path, &entry);
		if (!name || *err == -ENOENT)
			continue;
		folder->name = (struct cvq_name){
			.text = name,
			.inode = entry.attributes.st_ino,
			.type = IFTODT(entry.attributes.st_mode),
			.next = folder->position + 1,
		};
		return *err == 0;
	}
	*err = 0;
	return false;
}

/* Reads on to a name that is not an alias's. */
static bool find_source_name(struct cvq_folder *folder, cvq_err *err)
{
	const struct dirent *found;

	*err = 0;
	if (!move_stream(folder))
		return false;
	do {
		errno = 0;
		found = readdir(folder->stream);
		if (!found) {
			*err = -errno;
			return false;
		}
		folder->cookie = found->d_off;
	} while (folder->aliases &&
		 cvq_alias_hides(folder->policy, folder->path, found->d_name));
	folder->name = (struct cvq_name){
		.text = found->d_name,
		.inode = cvq_view_inode(folder->view, folder->device, found->d_ino),
		.type = found->d_type,
		.next = folder->aliases ? folder->position + 1 : found->d_off,
	};
	if (folder->aliases)
		*err = remember_cookie(folder, found->d_off);
	return *err == 0;
}

const struct cvq_name *cvq_folder_peek(struct cvq_folder *folder, cvq_err *err)
{
	*err = 0;
	if (!folder->peeked)
		folder->peeked = at_alias(folder) && find_alias(folder, err);
	if (!folder->peeked && !*err)
		folder->peeked = find_source_name(folder, err);
	return folder->peeked ? &folder->name : NULL;
}

void cvq_folder_take(struct cvq_folder *folder)
{
	folder->position = folder->name.next;
	folder->peeked = false;
}

void cvq_folder_seek(struct cvq_folder *folder, off_t position)
{
	if (position == folder->position)
		return;
	folder->position = position;
	folder->peeked = false;
}

/* ========================================================================== */
/*                                    Life                                    */
/* ========================================================================== */

static cvq_err open_stream(struct cvq_folder *folder, const char *path)
{
	cleanup_fd int fd = cvq_view_open_folder(folder->view, path);
	if (fd < 0)
		return fd;
	struct stat attributes;
	if (fstat(fd, &attributes))
		return -errno;
	folder->device = attributes.st_dev;
	folder->inode = attributes.st_ino;
	folder->stream = fdopendir(fd);
	if (!folder->stream)
		return -errno;
	steal_fd(fd);
	return 0;
}

static cvq_err prepare_aliases(struct cvq_folder *folder, const char *path)
{
	const struct cvq_aliases *aliases = &folder->policy->aliases;
	for (size_t i = 0; i < aliases->count; i++)
		if (cvq_alias_name_in(&aliases->list[i], path))
			folder->aliases = aliases->count;
	if (!folder->aliases)
		return 0;
	folder->path = strdup(path);
	folder->cookies = calloc(1, sizeof(*folder->cookies));
	folder->count = folder->capacity = 1;
	return folder->path && folder->cookies ? 0 : -ENOMEM;
}

cvq_err cvq_folder_open(struct cvq_view *view, const char *path, struct cvq_folder **folder)
{
	cleanup_folder struct cvq_folder *made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->view = view;
	made->policy = cvq_view_policy(view);
	cvq_err err = open_stream(made, path);
	err = err ? err : prepare_aliases(made, path);
	*folder = err ? NULL : steal_pointer(made);
	return err;
}

bool cvq_folder_is(const struct cvq_folder *folder, const struct cvq_entry *entry)
{
	return folder->device == entry->version.device &&
	       folder->inode == entry->version.inode;
}

void cvq_folder_close(struct cvq_folder *folder)
{
	if (folder->stream)
		closedir(folder->stream);
	free(folder->cookies);
	free(folder->path);
	free(folder);
}
