/* SPDX-License-Identifier: MIT */
#include "view/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "view/decide.h"
#include "view/tree.h"

/* Makes of an inode's number one that no other inode has. */
#define OTHER_INODE (UINT64_C(1) << 62)

struct cvq_view {
	const struct cvq_policy *policy;
	bool follow; /* symlinks, where the rule of the view says so */
	struct cvq_tree tree;
	struct stat mountpoint; /* shown in place of the mounts of views */
	struct cvq_counters counters;
	struct cvq_decisions decisions;
};

/* ========================================================================== */
/*                                   Entries                                  */
/* ========================================================================== */

void cvq_entry_release(struct cvq_entry *entry)
{
	cvq_verdict_unref(entry->verdict);
	entry->verdict = NULL;
}

bool cvq_entry_converted(const struct cvq_entry *entry)
{
	return entry->verdict && entry->verdict->converted;
}

const char *cvq_entry_source_path(const struct cvq_entry *entry, const char *path)
{
	return entry->alias ? entry->alias->target : path;
}

static cvq_err failure_of(const struct cvq_entry *entry)
{
	return entry->verdict ? entry->verdict->failure : 0;
}

bool cvq_entry_same(const struct cvq_entry *a, const struct cvq_entry *b)
{
	if ((a->attributes.st_mode & S_IFMT) != (b->attributes.st_mode & S_IFMT) ||
	    a->hidden != b->hidden || a->followed != b->followed ||
	    cvq_entry_converted(a) != cvq_entry_converted(b) ||
	    failure_of(a) != failure_of(b))
		return false;
	if (S_ISDIR(a->attributes.st_mode)) /* its names come and go; it stays itself */
		return a->version.device == b->version.device &&
		       a->version.inode == b->version.inode;
	return cvq_version_same(&a->version, &b->version);
}

/* ========================================================================== */
/*                                  The view                                  */
/* ========================================================================== */

cvq_err cvq_view_open(const char *path, const struct cvq_policy *policy, bool for_all,
		      struct cvq_view **view)
{
	cleanup_fd int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	/* Better to learn now than at the first listing. */
	struct stat attributes;
	if (faccessat(root, ".", R_OK | X_OK, AT_EACCESS) || fstat(root, &attributes))
		return -errno;
	struct cvq_view *made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	cvq_err err = cvq_decisions_init(&made->decisions, policy, &made->counters);
	if (err) {
		cvq_decisions_release(&made->decisions);
		free(made);
		return err;
	}
	made->policy = policy;
	/* With root's rights a link planted in the source must not show any file to all. */
	made->follow = policy->symlinks == CVQ_SYMLINKS_FOLLOW ||
		       (policy->symlinks == CVQ_SYMLINKS_AUTO && !for_all);
	made->tree.device = attributes.st_dev;
	made->tree.root = steal_fd(root);
	*view = made;
	return 0;
}

void cvq_view_explain_path(cvq_err err, struct cvq_reason *reason)
{
	if (err == -ENOENT)
		cvq_explain(reason, err, "there is nothing of that name (check its path)");
	else if (err == -EACCES && geteuid() == 0)
		cvq_explain(reason, err,
			    "another user has mounted it (ask as that user, or mount with "
			    "-o allow_other)");
	else if (err == -EACCES)
		cvq_explain(reason, err,
			    "you may not read it (ask its owner, or run as root)");
	else if (err == -ENOTCONN || err == -ECONNABORTED)
		cvq_explain(reason, err,
			    "the file system there is dead, its program was killed (clear "
			    "it: fusermount3 -u MOUNTPOINT)");
	else
		cvq_explain(reason, err, "it cannot be opened: %s (check its path)",
			    strerror(-err));
}

void cvq_view_explain_open(cvq_err err, const char *path, struct cvq_reason *reason)
{
	const char *slash = strrchr(path, '/');
	if (err == -ENOENT)
		cvq_explain(reason, err,
			    "there is no such directory (give the one that holds the "
			    "checkpoints)");
	else if (err == -ENOTDIR)
		cvq_explain(reason, err,
			    "it is not a directory (give the one that holds it: %.*s)",
			    slash > path ? (int)(slash - path) : 1, slash ? path : ".");
	else
		cvq_view_explain_path(err, reason);
}

void cvq_view_close(struct cvq_view *view)
{
	if (!view)
		return;
	cvq_decisions_release(&view->decisions);
	close(view->tree.root);
	free(view);
}

const struct cvq_policy *cvq_view_policy(const struct cvq_view *view)
{
	return view->policy;
}

struct cvq_counters *cvq_view_counters(struct cvq_view *view)
{
	return &view->counters;
}

void cvq_view_set_mount(struct cvq_view *view, dev_t device, const struct stat *mountpoint)
{
	view->mountpoint = *mountpoint;
	/* A folder with the number of one above it would look like a loop. */
	struct stat root;
	if (!fstat(view->tree.root, &root) && root.st_dev == mountpoint->st_dev &&
	    root.st_ino == mountpoint->st_ino)
		view->mountpoint.st_ino ^= OTHER_INODE;
	view->mountpoint.st_ino =
		cvq_view_inode(view, mountpoint->st_dev, view->mountpoint.st_ino);
	view->tree.own_device = device;
	view->tree.mounted = true;
}

cvq_err cvq_view_statvfs(const struct cvq_view *view, struct statvfs *result)
{
	return fstatvfs(view->tree.root, result) ? -errno : 0;
}

/* ========================================================================== */
/*                                   Lookup                                   */
/* ========================================================================== */

/*
 * If the symlink that 'entry' is at 'path' is to be shown as the file it points to,
 * opens that file (O_PATH) and returns its descriptor; else -ENOLINK.
 */
static int follow_link(const struct cvq_view *view, const char *path,
		       const struct cvq_entry *entry)
{
	struct cvq_link_target target;
	cvq_err err =
		cvq_tree_follow(&view->tree, cvq_entry_source_path(entry, path), &target);
	if (err)
		return cvq_is_shortage(err) ? err : -ENOLINK;

	cleanup_fd int fd = target.fd;
	struct stat found;
	if (fstat(fd, &found) || !S_ISREG(found.st_mode))
		return -ENOLINK;
	/* From an alias's folder, a link may not lead where it leads from its own. */
	if (target.inside && !entry->alias &&
	    (!cvq_asks_for_conversion(view->policy, path, NULL) ||
	     cvq_asks_for_conversion(view->policy, target.path, NULL)))
		return -ENOLINK;
	return steal_fd(fd);
}

static void show_mountpoint(const struct cvq_view *view, struct cvq_entry *entry)
{
	*entry = (struct cvq_entry){.hidden = true, .attributes = view->mountpoint};
	entry->version = cvq_version_of(&entry->attributes);
}

/* Decides about a regular file and gives it the size that the decision implies. */
static cvq_err show_file(struct cvq_view *view, const char *path, int fd,
			 const struct cvq_known *known, struct cvq_entry *entry)
{
	struct stat *attributes = &entry->attributes;
	cvq_err err =
		cvq_decide(&view->decisions, path, fd, known, attributes, &entry->verdict);
	if (err)
		return err;
	entry->version = cvq_version_of(attributes);
	if (cvq_entry_converted(entry)) {
		uint64_t size = entry->verdict->summary.view_size;
		attributes->st_size = (off_t)size;
		attributes->st_blocks = (blkcnt_t)((size + 511) / 512);
	}
	return 0;
}

/*
 * Opens, as O_PATH, what 'entry' shows at 'path', and takes its attributes.  -EXDEV for
 * the mount of a view; -EAGAIN if 'patient' and it was changed just now.
 */
static int open_shown(const struct cvq_view *view, const char *path, bool patient,
		      struct cvq_entry *entry)
{
	cleanup_fd int fd =
		cvq_tree_open(&view->tree, cvq_entry_source_path(entry, path), O_PATH);
	if (fd < 0) /* an alias stands for a file, or for nothing */
		return entry->alias && !cvq_is_shortage(fd) ? -ENOENT : fd;
	cvq_err err = cvq_stat_settled(fd, patient, &entry->attributes);
	if (err)
		return err;
	mode_t mode = entry->attributes.st_mode;
	if (entry->alias && !(S_ISREG(mode) || S_ISLNK(mode)))
		return -ENOENT;
	if (!S_ISLNK(mode) || !view->follow)
		return steal_fd(fd);

	cleanup_fd int target = follow_link(view, path, entry);
	if (target == -ENOLINK)
		return steal_fd(fd);
	if (target < 0)
		return target;
	entry->followed = true;
	err = cvq_stat_settled(target, patient, &entry->attributes);
	return err ? err : steal_fd(target);
}

/* Where the kernel remembers what its server has replaced. */
static cvq_err look_anew(const struct cvq_view *view, const char *path, bool patient,
			 const struct cvq_entry *entry)
{
	cvq_tree_look_anew(&view->tree, cvq_entry_source_path(entry, path));
	return patient ? -EAGAIN : -ESTALE;
}

/* Returns as open_shown(), except for the mount of a view: 0. */
static cvq_err look_at(struct cvq_view *view, const char *path,
		       const struct cvq_known *known, bool patient, struct cvq_entry *entry)
{
	cleanup_fd int fd = open_shown(view, path, patient, entry);
	if (fd == -EXDEV) {
		show_mountpoint(view, entry);
		return 0;
	}
	if (fd == -ESTALE)
		return look_anew(view, path, patient, entry);
	if (fd < 0)
		return fd;
	struct cvq_version version = cvq_version_of(&entry->attributes);
	entry->version = version;
	if (!S_ISREG(entry->attributes.st_mode))
		return 0;
	cvq_err err = show_file(view, path, fd, known, entry);
	if (err == -ESTALE)
		return look_anew(view, path, patient, entry);
	if (!err && patient && !cvq_version_same(&version, &entry->version))
		return -EAGAIN; /* it was changed while it was decided about */
	return err;
}

ino_t cvq_view_inode(const struct cvq_view *view, dev_t device, ino_t inode)
{
	return inode ^ (device - view->tree.device) * UINT64_C(0x9e3779b97f4a7c15);
}

cvq_err cvq_view_lookup(struct cvq_view *view, const char *path, struct cvq_entry *entry)
{
	const struct cvq_entry nothing = {0};
	return cvq_view_look_again(view, path, &nothing, entry);
}

cvq_err cvq_view_look_again(struct cvq_view *view, const char *path,
			    const struct cvq_entry *before, struct cvq_entry *entry)
{
	const struct cvq_known known = {&before->version, before->verdict};
	cvq_err err;
	for (int waits = 0;; waits++) {
		*entry = (struct cvq_entry){
			.alias = cvq_policy_find_alias(view->policy, path)};
		err = look_at(view, path, before->verdict ? &known : NULL,
			      waits < CVQ_MOST_WAITS, entry);
		if (err != -EAGAIN || waits == CVQ_MOST_WAITS)
			break;
		cvq_entry_release(entry);
	}
	if (err || entry->hidden)
		return err;
	struct stat *attributes = &entry->attributes;
	attributes->st_ino = cvq_view_inode(view, attributes->st_dev, attributes->st_ino);
	/* By another name the same file may be shown otherwise. */
	bool by_another_name = entry->followed || entry->alias;
	if (cvq_entry_converted(entry) && (by_another_name || attributes->st_nlink > 1))
		attributes->st_ino ^= OTHER_INODE;
	else if (by_another_name)
		attributes->st_ino ^= OTHER_INODE >> 1;
	return 0;
}

/* ========================================================================== */
/*                                   Opening                                  */
/* ========================================================================== */

int cvq_view_open_path(struct cvq_view *view, const char *path,
		       const struct cvq_entry *entry)
{
	if (entry->hidden)
		return -EXDEV;
	if (!entry->followed)
		return cvq_tree_open(&view->tree, cvq_entry_source_path(entry, path),
				     O_PATH);
	int fd = follow_link(view, path, entry);
	return fd == -ENOLINK ? -ESTALE : fd;
}

cvq_err cvq_view_take_file(struct cvq_view *view, const struct cvq_entry *entry, int fd,
			   struct cvq_content *content)
{
	cvq_err err = 0;
	*content = (struct cvq_content){.fd = fd};
	if (cvq_entry_converted(entry))
		err = cvq_decisions_image(&view->decisions, fd, &entry->version,
					  &content->image);
	if (err)
		cvq_content_close(content);
	return err;
}

cvq_err cvq_view_open_file(struct cvq_view *view, const char *path,
			   const struct cvq_entry *entry, struct cvq_content *content)
{
	*content = CVQ_NO_CONTENT;
	if (failure_of(entry))
		return failure_of(entry);
	cleanup_fd int shown = cvq_view_open_path(view, path, entry);
	if (shown < 0)
		return shown == -EXDEV || shown == -ELOOP ? -ESTALE : shown;
	struct stat now;
	if (fstat(shown, &now))
		return -errno;
	struct cvq_version version = cvq_version_of(&now);
	if (!S_ISREG(now.st_mode) || !cvq_version_same(&version, &entry->version))
		return -ESTALE;
	int fd = cvq_tree_reopen(shown, O_RDONLY | O_NOCTTY);
	if (fd == -ESTALE)
		cvq_tree_look_anew(&view->tree, cvq_entry_source_path(entry, path));
	return fd < 0 ? fd : cvq_view_take_file(view, entry, fd, content);
}

int cvq_view_open_folder(struct cvq_view *view, const char *path)
{
	int fd = cvq_tree_open(&view->tree, path, O_RDONLY | O_DIRECTORY);
	return fd == -ENOTDIR || fd == -ELOOP ? -ESTALE : fd; /* it is no longer a folder */
}

cvq_err cvq_view_read_link(struct cvq_view *view, const char *path, char *target,
			   size_t size)
{
	const struct cvq_alias *alias = cvq_policy_find_alias(view->policy, path);
	cleanup_fd int fd =
		cvq_tree_open(&view->tree, alias ? alias->target : path, O_PATH);
	if (fd < 0)
		return fd;
	ssize_t length = readlinkat(fd, "", target, size);
	if (length < 0)
		return errno == ENOENT ? -ESTALE : -errno; /* it is no longer a symlink */
	if ((size_t)length >= size)
		return -ENAMETOOLONG;
	target[length] = '\0';
	return 0;
}

ssize_t cvq_view_read(struct cvq_view *view, const struct cvq_entry *entry,
		      const struct cvq_content *content, void *buffer, size_t length,
		      uint64_t offset, struct cvq_reason *reason)
{
	return cvq_content_read(content, &entry->version, &view->counters, buffer, length,
				offset, reason);
}

ssize_t cvq_view_read_quickly(struct cvq_view *view, const struct cvq_entry *entry,
			      const struct cvq_content *content, void *buffer,
			      size_t length, uint64_t offset)
{
	return cvq_content_read_quickly(content, &entry->version, &view->counters, buffer,
					length, offset);
}

char *cvq_view_describe(const struct cvq_view *view, const struct cvq_entry *entry)
{
	return cvq_verdict_describe(entry->verdict, view->policy, entry->version.size,
				    entry->alias ? entry->alias->target : NULL);
}
