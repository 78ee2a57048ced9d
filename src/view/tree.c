/* SPDX-License-Identifier: MIT */
/*
 * Opening below the root
 *
 * The one thing that must never happen is that the daemon waits for itself: a
 * system call on the view's own mount becomes a request to this very process.
 * Nor may two daemons wait for each other, as those of two views that are mounted
 * inside one source would, so other views are not entered either.
 *
 * RESOLVE_NO_XDEV keeps the common case on the file system of the root.  Where
 * the tree holds other mounts, the path is walked one name at a time and every
 * step asks which device it came to, in a way that is answered by the kernel.
 */
#include "view/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mountinfo.h"

#define MAX_LINKS 40 /* as the kernel's own limit */

static int open_beneath(int folder, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_NOFOLLOW | O_CLOEXEC),
		.resolve = resolve | RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_SYMLINKS,
	};
	long fd = syscall(SYS_openat2, folder, path, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

/* What there is to know about a place without asking its file system. */
struct look {
	dev_t device;
	mode_t type;
};

/*
 * With an empty mask and AT_STATX_DONT_SYNC the kernel answers from what it has;
 * device and type are always there.
 */
static cvq_err quick_look(int fd, struct look *look)
{
	struct statx found;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &found))
		return -errno;
	look->device = makedev(found.stx_dev_major, found.stx_dev_minor);
	look->type = found.stx_mode & S_IFMT;
	return 0;
}

/* The source may lie in a view, but no other view is entered from it. */
static bool is_forbidden(const struct cvq_tree *tree, dev_t device)
{
	struct cvq_mounted mounted;
	if (device == tree->device)
		return false;
	if (tree->mounted && device == tree->own_device)
		return true;
	return !cvq_mounted_as(device, &mounted) && cvq_mounted_is_view(&mounted);
}

/*
 * Opens one name, O_PATH.  'look' is that of the folder, and becomes that of what
 * was opened.  -EXDEV if that is the mount of a view.
 */
static int step(const struct cvq_tree *tree, int folder, const char *name,
		struct look *look)
{
	dev_t device = look->device;
	cleanup_fd int fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	cvq_err err = quick_look(fd, look);
	if (err)
		return err;
	if (look->device != device && is_forbidden(tree, look->device))
		return -EXDEV;
	return steal_fd(fd);
}

/* Takes the first name off '*rest'.  Returns its length; 0 if there is none. */
static size_t next_name(const char **rest, char name[NAME_MAX + 1])
{
	const char *start = *rest + strspn(*rest, "/");
	size_t length = strcspn(start, "/");
	if (length <= NAME_MAX) {
		memcpy(name, start, length);
		name[length] = '\0';
	}
	*rest = start + length + strspn(start + length, "/");
	return length;
}

/* Opens 'path' O_PATH although it crosses mounts, but never into our own. */
static int open_by_steps(const struct cvq_tree *tree, const char *path)
{
	cleanup_fd int folder = fcntl(tree->root, F_DUPFD_CLOEXEC, 0);
	if (folder < 0)
		return -errno;

	char name[NAME_MAX + 1];
	struct look look = {.device = tree->device};
	for (const char *rest = path; *rest;) {
		if (next_name(&rest, name) > NAME_MAX)
			return -ENAMETOOLONG;
		if (strcmp(name, "..") == 0)
			return -EINVAL; /* what RESOLVE_BENEATH stopped is no mount */
		int fd = step(tree, folder, name, &look);
		if (fd == -EXDEV && *rest)
			return -ENOENT;
		if (fd < 0)
			return fd;
		close(folder);
		folder = fd;
		if (*rest && !S_ISDIR(look.type))
			return S_ISLNK(look.type) ? -ELOOP : -ENOTDIR;
	}
	return steal_fd(folder);
}

int cvq_tree_reopen(int fd, int flags)
{
	char link[32];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	int reopened = open(link, (flags & ~O_NOFOLLOW) | O_CLOEXEC);
	return reopened < 0 ? -errno : reopened;
}

int cvq_tree_open(const struct cvq_tree *tree, const char *path, int flags)
{
	if (!*path)
		path = ".";
	int fd = open_beneath(tree->root, path, flags, RESOLVE_NO_XDEV);
	if (fd != -EXDEV)
		return fd;

	cleanup_fd int found = open_by_steps(tree, path);
	if (found < 0 || (flags & O_PATH))
		return steal_fd(found);
	return cvq_tree_reopen(found, flags);
}

/* ========================================================================== */
/*                                   Symlinks                                 */
/* ========================================================================== */

/* A walk along names and links, at any moment standing in one folder. */
struct walk {
	const struct cvq_tree *tree;
	int folder;          /* O_PATH; owned */
	dev_t device;        /* of the folder */
	char rest[PATH_MAX]; /* what is still to be walked */
	unsigned links;
	bool anew;           /* the file at the end is opened by its name, for a moment */
	bool inside;         /* and then ... */
	char path[PATH_MAX]; /* ... this is where it stands */
};

static void stand_in(struct walk *walk, int folder, dev_t device)
{
	close(walk->folder);
	walk->folder = folder;
	walk->device = device;
}

/* Adds 'name' to the path, or takes one off for "..". */
static cvq_err move_path(struct walk *walk, const char *name)
{
	if (!walk->inside)
		return 0;
	size_t length = strlen(walk->path);
	if (strcmp(name, "..") == 0) {
		char *slash = strrchr(walk->path, '/');
		walk->inside = length > 0;
		*(slash ? slash : walk->path) = '\0';
		return 0;
	}
	size_t room = sizeof(walk->path) - length;
	int wanted =
		snprintf(walk->path + length, room, "%s%s", length > 0 ? "/" : "", name);
	return (size_t)wanted < room ? 0 : -ENAMETOOLONG;
}

/* Puts the target of the symlink 'link' before what is still to be walked. */
static cvq_err enter_link(struct walk *walk, int link, const char *rest)
{
	if (++walk->links > MAX_LINKS)
		return -ELOOP;
	char target[PATH_MAX];
	ssize_t length = readlinkat(link, "", target, sizeof(target) - 1);
	if (length < 0)
		return -errno;
	target[length] = '\0';

	char joined[2 * PATH_MAX];
	snprintf(joined, sizeof(joined), "%s/%s", target, rest);
	if (strlen(joined) >= sizeof(walk->rest))
		return -ENAMETOOLONG;
	strcpy(walk->rest, joined);

	if (target[0] == '/') {
		struct look look = {.device = walk->device};
		int root = step(walk->tree, AT_FDCWD, "/", &look);
		if (root < 0)
			return root;
		stand_in(walk, root, look.device);
		walk->inside = false;
	}
	return 0;
}

/* Whatever is there by now, this neither waits for it nor enters a mount. */
static void open_for_a_moment(int folder, const char *name)
{
	int fd = open_beneath(folder, name, O_RDONLY | O_NOCTTY | O_NONBLOCK,
			      RESOLVE_NO_XDEV);
	if (fd >= 0)
		close(fd);
}

/* Walks on until 'walk' stands at something that is not a symlink. */
static cvq_err walk_to_end(struct walk *walk)
{
	char name[NAME_MAX + 1];

	for (;;) {
		const char *rest = walk->rest;
		size_t length = next_name(&rest, name);
		if (length == 0)
			return 0;
		if (length > NAME_MAX)
			return -ENAMETOOLONG;
		struct look look = {.device = walk->device};
		cleanup_fd int fd = step(walk->tree, walk->folder, name, &look);
		if (fd < 0)
			return fd;
		cvq_err err;
		if (S_ISLNK(look.type)) {
			err = enter_link(walk, fd, rest);
		} else {
			if (walk->anew && !*rest && S_ISREG(look.type))
				open_for_a_moment(walk->folder, name);
			err = strcmp(name, ".") ? move_path(walk, name) : 0;
			memmove(walk->rest, rest, strlen(rest) + 1);
			stand_in(walk, steal_fd(fd), look.device);
		}
		if (err)
			return err;
	}
}

static cvq_err follow(const struct cvq_tree *tree, const char *path, bool anew,
		      struct cvq_link_target *target)
{
	struct walk walk = {
		.tree = tree, .device = tree->device, .anew = anew, .inside = true};
	if (strlen(path) >= sizeof(walk.path))
		return -ENAMETOOLONG;

	/* The folder is resolved as every other path is; only then links count. */
	const char *slash = strrchr(path, '/');
	memcpy(walk.path, path, slash ? (size_t)(slash - path) : 0);
	strcpy(walk.rest, slash ? slash + 1 : path);
	walk.folder = cvq_tree_open(tree, walk.path, O_PATH | O_DIRECTORY);
	if (walk.folder < 0)
		return walk.folder;

	cvq_err err = walk_to_end(&walk);
	if (err) {
		close(walk.folder);
		return err;
	}
	target->fd = walk.folder;
	target->inside = walk.inside;
	memcpy(target->path, walk.path, sizeof(target->path));
	return 0;
}

cvq_err cvq_tree_follow(const struct cvq_tree *tree, const char *path,
			struct cvq_link_target *target)
{
	return follow(tree, path, false, target);
}

void cvq_tree_look_anew(const struct cvq_tree *tree, const char *path)
{
	struct cvq_link_target target;
	if (!follow(tree, path, true, &target))
		close(target.fd);
}
