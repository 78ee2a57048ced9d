/* SPDX-License-Identifier: MIT */
#include "cli/destination.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/human.h"
#include "cli/command.h"

int cvq_destination_fail(const struct cvq_destination *destination, const char *path,
			 int error)
{
	return cvq_fail_with(CVQ_EXIT_OUTPUT, destination->path,
			     "'%.100s' cannot be written: %s (%s)", path, strerror(error),
			     error == ENOSPC || error == EDQUOT
				     ? "make room there, and go on with --force"
				     : "check it");
}

/* ========================================================================== */
/*                                   Folders                                  */
/* ========================================================================== */

/* What tells a folder from all others. */
struct identity {
	dev_t device;
	ino_t inode;
};

/* Some folders, in an order that they are found by. */
struct folders {
	struct identity *list;
	size_t count;
};

static void release_folders(struct folders *folders)
{
	free(folders->list);
}

static int compare_identities(const void *left, const void *right)
{
	const struct identity *a = left, *b = right;
	return a->device != b->device ? (a->device > b->device) - (a->device < b->device)
				      : (a->inode > b->inode) - (a->inode < b->inode);
}

static bool holds(const struct folders *folders, const struct stat *attributes)
{
	const struct identity wanted = {attributes->st_dev, attributes->st_ino};
	return bsearch(&wanted, folders->list, folders->count, sizeof(wanted),
		       compare_identities) != NULL;
}

static void add_folder(struct folders *folders, const struct cvq_entry *entry)
{
	folders->list[folders->count++] =
		(struct identity){entry->version.device, entry->version.inode};
}

/* All folders of the source.  Returns 0 or -ENOMEM. */
static cvq_err list_folders(struct folders *folders, const struct cvq_entry *root,
			    const struct cvq_listing *listing)
{
	folders->list = calloc(listing->count + 1, sizeof(*folders->list));
	if (!folders->list)
		return -ENOMEM;
	add_folder(folders, root);
	for (size_t i = 0; i < listing->count; i++)
		if (S_ISDIR(listing->items[i].entry.attributes.st_mode))
			add_folder(folders, &listing->items[i].entry);
	qsort(folders->list, folders->count, sizeof(*folders->list), compare_identities);
	return 0;
}

/* Whether the folder 'fd' is one of these, or lies in one. */
static bool lies_in(int fd, const struct folders *folders)
{
	cleanup_fd int at = openat(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat here, below = {0};
	while (at >= 0 && fstat(at, &here) == 0) {
		if (holds(folders, &here))
			return true;
		if (here.st_dev == below.st_dev && here.st_ino == below.st_ino)
			return false; /* above the root, there is the root */
		below = here;
		int above = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		close(at);
		at = above;
	}
	return false;
}

/* ========================================================================== */
/*                                   Before                                   */
/* ========================================================================== */

/* Opens the directory, or if there is none, the one that it would be made in.  Returns a
 * descriptor or a negative errno. */
static int open_nearest(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 || errno != ENOENT || !*path)
		return fd >= 0 ? fd : -errno;
	cleanup_free char *copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

/* The first folder of the listing whose place in the directory 'fd' a folder of the source
 * has; NULL if there is none. */
static const char *find_shared(int fd, const struct folders *folders,
			       const struct cvq_listing *listing)
{
	for (size_t i = 0; i < listing->count; i++) {
		const struct cvq_listed *listed = &listing->items[i];
		struct stat there;
		if (S_ISDIR(listed->entry.attributes.st_mode) &&
		    fstatat(fd, listed->path, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISDIR(there.st_mode) && holds(folders, &there))
			return listed->path;
	}
	return NULL;
}

/* Sees that nothing that is written lies in the source, and the source in nothing. */
static int check_apart(const struct cvq_destination *destination, const char *source,
		       const struct folders *folders, const struct cvq_listing *listing)
{
	cleanup_fd int nearest = open_nearest(destination->path);
	if (nearest < 0)
		return cvq_fail_with(CVQ_EXIT_OUTPUT, destination->path,
				     "it cannot be made: %s (%s)", strerror(-nearest),
				     nearest == -ENOENT
					     ? "make its parent first"
					     : "choose a place where you may write");
	bool apart = !lies_in(nearest, folders);
	struct stat there;
	const char *shared = NULL;
	if (apart && stat(destination->path, &there) == 0) {
		struct identity own = {there.st_dev, there.st_ino};
		cleanup_fd int origin = open(source, O_PATH | O_DIRECTORY | O_CLOEXEC);
		apart = !lies_in(origin, &(struct folders){&own, 1});
		shared = find_shared(nearest, folders, listing);
	}
	if (!apart)
		return cvq_fail_with(CVQ_EXIT_USAGE, destination->path,
				     "it and SOURCE lie in each other (give a directory "
				     "beside SOURCE)");
	if (shared)
		return cvq_fail_with(CVQ_EXIT_USAGE, destination->path,
				     "'%.100s' in it is a folder of SOURCE (give a "
				     "directory that shares nothing with SOURCE)",
				     shared);
	return CVQ_EXIT_DONE;
}

int cvq_destination_check(const struct cvq_destination *destination, const char *source,
			  const struct cvq_entry *root, const struct cvq_listing *listing,
			  bool force)
{
	struct stat there;
	bool exists = lstat(destination->path, &there) == 0;
	if (exists && (stat(destination->path, &there) || !S_ISDIR(there.st_mode)))
		return cvq_fail_with(CVQ_EXIT_OUTPUT, destination->path,
				     "it exists, and is no directory (give another)");
	cvq_cleanup(release_folders) struct folders folders = {0};
	if (list_folders(&folders, root, listing))
		return cvq_fail_memory(CVQ_EXIT_OUTPUT);
	int code = check_apart(destination, source, &folders, listing);
	if (code || !exists || force)
		return code;
	return cvq_fail_with(CVQ_EXIT_OUTPUT, destination->path,
			     "it exists (use --force to write into it)");
}

/* ========================================================================== */
/*                                   Opening                                  */
/* ========================================================================== */

/* What must be free: each file is written before the one that it replaces goes. */
static uint64_t needed_room(int folder, const struct cvq_listing *listing)
{
	int64_t taken = 0, most = 0;
	for (size_t i = 0; i < listing->count; i++) {
		const struct cvq_listed *listed = &listing->items[i];
		struct stat replaced;
		if (!cvq_listed_is_file(listed))
			continue;
		taken += listed->entry.attributes.st_size;
		most = taken > most ? taken : most;
		if (fstatat(folder, listed->path, &replaced, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(replaced.st_mode) && replaced.st_nlink == 1)
			taken -= replaced.st_blocks * 512;
	}
	return (uint64_t)most;
}

static int fail_opening(const struct cvq_destination *destination, const char *what)
{
	return cvq_fail_with(CVQ_EXIT_OUTPUT, destination->path,
			     "it cannot be %s: %s (choose a place where you may write)",
			     what, strerror(errno));
}

int cvq_destination_open(struct cvq_destination *destination, const struct cvq_entry *root,
			 const struct cvq_listing *listing)
{
	/* As with the folders in it: what was private stays so, and files go into it. */
	mode_t mode = (root->attributes.st_mode & 0777) | S_IRWXU;
	destination->made = mkdir(destination->path, mode) == 0;
	if (!destination->made && errno != EEXIST)
		return fail_opening(destination, "made");
	destination->folder = open(destination->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (destination->folder < 0)
		return fail_opening(destination, "opened");
	struct statvfs room;
	if (fstatvfs(destination->folder, &room))
		return CVQ_EXIT_DONE;
	uint64_t free_bytes = (uint64_t)room.f_bavail * room.f_frsize;
	uint64_t needed_bytes = needed_room(destination->folder, listing);
	if (free_bytes >= needed_bytes)
		return CVQ_EXIT_DONE;
	char needed[CVQ_HUMAN_SIZE], there[CVQ_HUMAN_SIZE];
	return cvq_fail_with(CVQ_EXIT_OUTPUT, destination->path,
			     "%s are needed and %s are free (make room, or mount a view "
			     "instead: it needs none)",
			     cvq_human_size(needed_bytes, needed),
			     cvq_human_size(free_bytes, there));
}

void cvq_destination_close(struct cvq_destination *destination)
{
	if (destination->folder >= 0)
		close(destination->folder);
}

bool cvq_destination_abandon(const struct cvq_destination *destination)
{
	return destination->made && rmdir(destination->path) == 0;
}
