/* SPDX-License-Identifier: MIT */
/*
 * The view: the source tree as a reader sees it, without any FUSE
 *
 * Paths are relative to the source, without a leading slash or ".."; the root is "".
 * Every path is resolved below the root descriptor that cvq_view_open() took, so
 * the view cannot leave the source, nor run into a file system that is mounted
 * over it later.  Where a view is mounted inside the source, this one or another,
 * there is an empty folder: daemons that read each other's views could wait for each
 * other forever.  All functions are thread-safe.
 */
#ifndef CVQ_VIEW_VIEW_H
#define CVQ_VIEW_VIEW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/source.h"
#include "policy/policy.h"
#include "view/content.h"
#include "view/verdict.h"
#include "view/version.h"

/* ========================================================================== */
/*                                   Entries                                  */
/* ========================================================================== */

/*
 * What the view shows at a path, as of one moment.  An entry is a value: it is
 * made by cvq_view_lookup(), not changed afterwards, and released by
 * cvq_entry_release().
 */
struct cvq_entry {
	struct stat attributes;      /* as shown: size and blocks are the view's */
	struct cvq_version version;  /* of the source */
	struct cvq_verdict *verdict; /* one reference; regular files only, else NULL */
	bool followed;               /* a symlink that is shown as the file it points to */
	bool hidden;                 /* the mount of a view, shown as an empty folder */
	const struct cvq_alias *alias; /* the name is that of an alias; else NULL */
};

/* --- view.c --- */

void cvq_entry_release(struct cvq_entry *entry);

#define cleanup_entry cvq_cleanup(cvq_entry_release)

/* Whether the entry is a file whose content cvq converts. */
bool cvq_entry_converted(const struct cvq_entry *entry);

/* Where in the source that is which was looked up at 'path'. */
const char *cvq_entry_source_path(const struct cvq_entry *entry, const char *path);

/* Whether both describe the same version of the same file, or the same folder. */
bool cvq_entry_same(const struct cvq_entry *a, const struct cvq_entry *b);

/* ========================================================================== */
/*                                  The view                                  */
/* ========================================================================== */

struct cvq_view;

/*
 * Opens the source directory.  'policy' is borrowed for the view's life.
 * 'for_all' says that root mounts for all users (decides symlinks = auto).
 * Returns 0, or -ENOENT, -ENOTDIR, -EACCES, ... for 'path'.
 */
cvq_err cvq_view_open(const char *path, const struct cvq_policy *policy, bool for_all,
		      struct cvq_view **view);
void cvq_view_close(struct cvq_view *view);

/* Says why a path that somebody has given cannot be opened, and what to do. */
void cvq_view_explain_path(cvq_err err, struct cvq_reason *reason);

/* The same of cvq_view_open(), which needs a directory. */
void cvq_view_explain_open(cvq_err err, const char *path, struct cvq_reason *reason);

const struct cvq_policy *cvq_view_policy(const struct cvq_view *view);

/* The counters that all reading through this view adds to. */
struct cvq_counters *cvq_view_counters(struct cvq_view *view);

/*
 * Says that the view itself is mounted as the file system 'device', and what its
 * mountpoint looked like before, which is how mounts of views are shown.  Called
 * once, before lookups from other threads.
 */
void cvq_view_set_mount(struct cvq_view *view, dev_t device, const struct stat *mountpoint);

/* Finds what the view shows at 'path'.  Returns 0, or a negative errno and an entry that
 * holds nothing. */
cvq_err cvq_view_lookup(struct cvq_view *view, const char *path, struct cvq_entry *entry);

/* The same where something was found at 'path' before: if that is unchanged, nothing of the
 * file is read. */
cvq_err cvq_view_look_again(struct cvq_view *view, const char *path,
			    const struct cvq_entry *before, struct cvq_entry *entry);

/*
 * The number that is shown for an inode of the source.  Whoever sees equal ones takes
 * them for the same file or folder, so those of different file systems are kept apart;
 * on the root's own they are the source's.
 */
ino_t cvq_view_inode(const struct cvq_view *view, dev_t device, ino_t inode);

/*
 * Opens, as O_PATH, what 'entry' stands for, which was looked up at 'path'.
 * Returns a descriptor or a negative errno; -EXDEV if the entry is hidden.
 */
int cvq_view_open_path(struct cvq_view *view, const char *path,
		       const struct cvq_entry *entry);

/*
 * Opens the file behind 'entry', which was looked up at 'path'.  Returns 0 and its content,
 * which the caller closes; -ESTALE if the file there is no longer that version; or another
 * negative errno.  On an error there is no content.
 */
cvq_err cvq_view_open_file(struct cvq_view *view, const char *path,
			   const struct cvq_entry *entry, struct cvq_content *content);

/* The same of a file that is open already: 'fd', which is taken over in any case. */
cvq_err cvq_view_take_file(struct cvq_view *view, const struct cvq_entry *entry, int fd,
			   struct cvq_content *content);

/*
 * Opens the source's folder at 'path' to list it (see folder.h).  Returns a descriptor;
 * -ESTALE if it is no longer a folder; -EXDEV if it is hidden; or another negative errno.
 */
int cvq_view_open_folder(struct cvq_view *view, const char *path);

/*
 * Reads a symlink's target into 'target' (NUL-terminated).  Returns 0; -ESTALE if it is
 * no longer a symlink; or another negative errno.
 */
cvq_err cvq_view_read_link(struct cvq_view *view, const char *path, char *target,
			   size_t size);

/* Reads the content of what 'entry' stands for, as cvq_content_read(). */
ssize_t cvq_view_read(struct cvq_view *view, const struct cvq_entry *entry,
		      const struct cvq_content *content, void *buffer, size_t length,
		      uint64_t offset, struct cvq_reason *reason);

/* The same, as cvq_content_read_quickly(). */
ssize_t cvq_view_read_quickly(struct cvq_view *view, const struct cvq_entry *entry,
			      const struct cvq_content *content, void *buffer,
			      size_t length, uint64_t offset);

/* The file system that holds the source.  Returns 0 or a negative errno. */
cvq_err cvq_view_statvfs(const struct cvq_view *view, struct statvfs *result);

/* The JSON of "user.cvq.info", to be freed by the caller; NULL if memory ran out. */
char *cvq_view_describe(const struct cvq_view *view, const struct cvq_entry *entry);

/* --- attributes.c --- */

/* Whether this process may access the entry so (as access(2), for its effective ids). */
cvq_err cvq_view_access(struct cvq_view *view, const char *path,
			const struct cvq_entry *entry, int mode);

/* What POSIX calls the access control list of a file. */
#define CVQ_ACCESS_LIST "system.posix_acl_access"

/*
 * The source's own user.* attributes, and the value of its access control list; results
 * as of getxattr(2) and listxattr(2).  -ESTALE if something else has taken its place.
 */
ssize_t cvq_view_get_xattr(struct cvq_view *view, const char *path,
			   const struct cvq_entry *entry, const char *name, void *value,
			   size_t size);
ssize_t cvq_view_list_xattrs(struct cvq_view *view, const char *path,
			     const struct cvq_entry *entry, char *names, size_t size);

/* --- alias.c --- */

/* Whether the alias shows a file.  Returns 0, or a negative errno with the reason. */
cvq_err cvq_view_check_alias(struct cvq_view *view, const struct cvq_alias *alias,
			     struct cvq_reason *reason);

/* --- census.c --- */

/* What the whole tree comes to. */
struct cvq_census {
	uint64_t converted; /* files */
	uint64_t passed;
	uint64_t source_bytes; /* of the converted files */
	uint64_t view_bytes;
	bool complete;  /* false if time ran out, or a folder could not be read */
	uint64_t unfit; /* of those passed, as a verdict is */
	/* One that asks for conversion and is passed through, and why; an unfit one if
	 * there are any.  "": none. */
	struct cvq_reason left;
};

/* Walks the tree and counts, for at most 'seconds' (and the file it is at). */
void cvq_view_count(struct cvq_view *view, double seconds, struct cvq_census *census);

#endif
