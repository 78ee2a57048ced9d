/* SPDX-License-Identifier: MIT */
/*
 * Listing folders
 *
 * Names come from the source's own folder, positions are the source's cookies.
 * READDIRPLUS also looks every name up, as many times as it returns it: so it must
 * not look up what does not fit any more, which is easy as an entry's size depends
 * on its name alone.
 */
#include "mount/operations.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "mount/request.h"

/* A hidden folder has no stream, and lists as empty. */
static DIR *open_stream(struct cvq_context *context, const struct cvq_target *target,
			cvq_err *err)
{
	*err = 0;
	if (target->node->entry.hidden)
		return NULL;
	int fd = cvq_view_open_folder(context->view, target->path);
	if (fd < 0) {
		*err = fd;
		return NULL;
	}
	DIR *stream = fdopendir(fd);
	if (!stream) {
		*err = -errno;
		close(fd);
	}
	return stream;
}

static cvq_err open_folder(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
	struct cvq_context *context = cvq_request_context(request);
	cleanup_target struct cvq_target target;
	cvq_err err = cvq_request_target(request, id, NULL, &target);
	if (err)
		return err;
	DIR *stream = open_stream(context, &target, &err);
	if (err)
		return err;
	struct cvq_handle *folder =
		cvq_handle_open(&context->handles, target.node, -1, stream);
	if (!folder)
		return -ENOMEM;
	info->fh = (uintptr_t)folder;
	return 0;
}

static void close_folder(fuse_req_t request, const struct fuse_file_info *info)
{
	cvq_handle_close(&cvq_request_context(request)->handles, cvq_request_handle(info));
}

void cvq_op_opendir(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
	cvq_err err = open_folder(request, id, info);
	if (err)
		fuse_reply_err(request, -err);
	else if (fuse_reply_open(request, info) == -ENOENT)
		close_folder(request, info); /* interrupted: there will be no release */
}

void cvq_op_releasedir(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
	(void)id;
	close_folder(request, info);
	fuse_reply_err(request, 0);
}

/* ========================================================================== */
/*                                   Listing                                  */
/* ========================================================================== */

/* An answer being filled. */
struct listing {
	fuse_req_t request;
	struct cvq_context *context;
	struct cvq_handle *folder;
	char *buffer;
	size_t size;
	size_t used;
};

static bool is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Moves the stream to 'offset' if it is not there. */
static void seek_to(struct cvq_handle *folder, off_t offset)
{
	if (offset == folder->offset)
		return;
	seekdir(folder->stream, offset);
	folder->offset = offset;
	folder->next = NULL;
}

/* The next name, which stays the next one until take_name().  NULL at the end. */
static struct dirent *peek_name(struct cvq_handle *folder, cvq_err *err)
{
	errno = 0;
	if (!folder->next)
		folder->next = readdir(folder->stream);
	*err = folder->next ? 0 : -errno;
	return folder->next;
}

static void take_name(struct cvq_handle *folder)
{
	folder->offset = folder->next->d_off;
	folder->next = NULL;
}

/* What the folder itself says about a name: its number and its kind. */
static struct stat known_of(const struct listing *listing, const struct dirent *name)
{
	dev_t device = listing->folder->node->entry.version.device;
	return (struct stat){
		.st_ino = cvq_view_inode(listing->context->view, device, name->d_ino),
		.st_mode = DTTOIF(name->d_type),
	};
}

/* Adds the name alone.  Returns false if it does not fit. */
static bool add_name(struct listing *listing, const struct dirent *name)
{
	struct stat attributes = known_of(listing, name);

	/* A symlink may be shown as a file, and an unknown type is worth a look. */
	char path[PATH_MAX];
	if ((name->d_type == DT_LNK || name->d_type == DT_UNKNOWN) &&
	    !is_dots(name->d_name) &&
	    !cvq_node_path(listing->folder->node, name->d_name, path)) {
		cleanup_entry struct cvq_entry entry;
		if (!cvq_view_lookup(listing->context->view, path, &entry))
			attributes = entry.attributes;
	}
	size_t left = listing->size - listing->used;
	size_t needed = fuse_add_direntry(listing->request, listing->buffer + listing->used,
					  left, name->d_name, &attributes, name->d_off);
	if (needed > left)
		return false;
	listing->used += needed;
	return true;
}

/* Adds the name and what it is.  Returns false if it does not fit. */
static bool add_name_plus(struct listing *listing, const struct dirent *name)
{
	struct cvq_node *node = listing->folder->node;
	size_t left = listing->size - listing->used;
	if (fuse_add_direntry_plus(listing->request, NULL, 0, name->d_name, NULL, 0) > left)
		return false;

	/* Node 0 tells the kernel to look up by itself, should it want to know. */
	struct fuse_entry_param answer;
	char path[PATH_MAX];
	if (is_dots(name->d_name) || cvq_node_path(node, name->d_name, path) ||
	    cvq_request_enter(listing->context, node, name->d_name, path, &answer))
		answer = (struct fuse_entry_param){.attr = known_of(listing, name)};
	listing->used +=
		fuse_add_direntry_plus(listing->request, listing->buffer + listing->used,
				       left, name->d_name, &answer, name->d_off);
	return true;
}

static cvq_err list(struct listing *listing, off_t offset,
		    bool (*add)(struct listing *, const struct dirent *))
{
	struct cvq_handle *folder = listing->folder;
	cvq_err err = 0;

	if (!folder->stream)
		return 0;
	pthread_mutex_lock(&folder->mutex);
	seek_to(folder, offset);
	for (struct dirent *name; (name = peek_name(folder, &err));) {
		if (!add(listing, name))
			break;
		take_name(folder);
	}
	pthread_mutex_unlock(&folder->mutex);
	/* An error after some names will come again, after them. */
	return listing->used ? 0 : err;
}

static void reply_listing(fuse_req_t request, size_t size, off_t offset,
			  const struct fuse_file_info *info,
			  bool (*add)(struct listing *, const struct dirent *))
{
	struct cvq_context *context = cvq_request_context(request);
	struct listing listing = {
		.request = request,
		.context = context,
		.folder = cvq_request_handle(info),
		.buffer = cvq_request_buffer(context, size),
		.size = size,
	};
	cvq_err err = listing.buffer ? list(&listing, offset, add) : -ENOMEM;
	if (err)
		fuse_reply_err(request, -err);
	else
		fuse_reply_buf(request, listing.buffer, listing.used);
}

void cvq_op_readdir(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset,
		    struct fuse_file_info *info)
{
	(void)id;
	reply_listing(request, size, offset, info, add_name);
}

void cvq_op_readdirplus(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset,
			struct fuse_file_info *info)
{
	(void)id;
	reply_listing(request, size, offset, info, add_name_plus);
}
