/* SPDX-License-Identifier: MIT */
/*
 * Listing folders
 *
 * READDIRPLUS also looks every name up, as many times as it returns it: so it must
 * not look up what does not fit any more, which is easy as an entry's size depends
 * on its name alone.
 */
#include "mount/operations.h"

#include <dirent.h>
#include <errno.h>

#include "mount/request.h"

static cvq_err open_folder(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
	struct cvq_context *context = cvq_request_context(request);
	cleanup_target struct cvq_target target;
	cvq_err err = cvq_request_target(request, id, NULL, &target);
	cleanup_folder struct cvq_folder *folder = NULL; /* which a hidden one has not */
	if (!err && !target.node->entry.hidden)
		err = cvq_folder_open(context->view, target.path, &folder);
	/* The kernel has judged who may list the node's own folder, no other. */
	if (folder && !cvq_folder_is(folder, &target.node->entry))
		err = -ESTALE;
	if (err)
		return err;
	struct cvq_handle *handle = cvq_handle_open(&context->handles, target.node,
						    CVQ_NO_CONTENT, steal_pointer(folder));
	if (!handle)
		return -ENOMEM;
	info->fh = (uintptr_t)handle;
	return 0;
}

void cvq_op_opendir(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
	cvq_err err = open_folder(request, id, info);
	if (err)
		fuse_reply_err(request, -err);
	else /* it fails if the connection is lost, and all with it */
		fuse_reply_open(request, info);
}

void cvq_op_releasedir(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info)
{
	(void)id;
	cvq_handle_close(&cvq_request_context(request)->handles, cvq_request_handle(info));
	fuse_reply_err(request, 0);
}

/* ========================================================================== */
/*                                   Listing                                  */
/* ========================================================================== */

/* An answer being filled. */
struct listing {
	fuse_req_t request;
	struct cvq_context *context;
	struct cvq_handle *handle;
	char *buffer;
	size_t size;
	size_t used;
};

static bool is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Adds the name alone.  Returns false if it does not fit. */
static bool add_name(struct listing *listing, const struct cvq_name *name)
{
	struct stat attributes = {.st_ino = name->inode, .st_mode = DTTOIF(name->type)};

	/* A symlink may be shown as a file, and an unknown type is worth a look. */
	char path[PATH_MAX];
	if ((name->type == DT_LNK || name->type == DT_UNKNOWN) && !is_dots(name->text) &&
	    !cvq_node_path(listing->handle->node, name->text, path)) {
		cleanup_entry struct cvq_entry entry;
		if (!cvq_view_lookup(listing->context->view, path, &entry))
			attributes = entry.attributes;
	}
	size_t left = listing->size - listing->used;
	size_t needed = fuse_add_direntry(listing->request, listing->buffer + listing->used,
					  left, name->text, &attributes, name->next);
	if (needed > left)
		return false;
	listing->used += needed;
	return true;
}

/* Adds the name and what it is.  Returns false if it does not fit. */
static bool add_name_plus(struct listing *listing, const struct cvq_name *name)
{
	struct cvq_node *node = listing->handle->node;
	size_t left = listing->size - listing->used;
	if (fuse_add_direntry_plus(listing->request, NULL, 0, name->text, NULL, 0) > left)
		return false;

	/* Node 0 tells the kernel to look up by itself, should it want to know. */
	struct fuse_entry_param answer;
	char path[PATH_MAX];
	if (is_dots(name->text) || cvq_node_path(node, name->text, path) ||
	    cvq_request_enter(listing->context, node, name->text, path, &answer))
		answer = (struct fuse_entry_param){
			.attr = {.st_ino = name->inode, .st_mode = DTTOIF(name->type)}};
	listing->used +=
		fuse_add_direntry_plus(listing->request, listing->buffer + listing->used,
				       left, name->text, &answer, name->next);
	return true;
}

static cvq_err list(struct listing *listing, off_t offset,
		    bool (*add)(struct listing *, const struct cvq_name *))
{
	struct cvq_handle *handle = listing->handle;
	cvq_err err = 0;

	if (!handle->folder)
		return 0;
	pthread_mutex_lock(&handle->mutex);
	cvq_folder_seek(handle->folder, offset);
	for (const struct cvq_name *name; (name = cvq_folder_peek(handle->folder, &err));) {
		if (!add(listing, name))
			break;
		cvq_folder_take(handle->folder);
	}
	pthread_mutex_unlock(&handle->mutex);
	/* An error after some names will come again, after them. */
	return listing->used ? 0 : err;
}

static void reply_listing(fuse_req_t request, size_t size, off_t offset,
			  const struct fuse_file_info *info,
			  bool (*add)(struct listing *, const struct cvq_name *))
{
	struct cvq_context *context = cvq_request_context(request);
	cleanup_answer struct cvq_answer *answer = cvq_answer_take(&context->buffers, size);
	if (!answer) {
		fuse_reply_err(request, ENOMEM);
		return;
	}
	struct listing listing = {
		.request = request,
		.context = context,
		.handle = cvq_request_handle(info),
		.buffer = cvq_answer_bytes(answer),
		.size = size,
	};
	cvq_err err = list(&listing, offset, add);
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
