/* SPDX-License-Identifier: MIT */
#include "mount/handles.h"

#include <stdlib.h>

static void close_files(struct cvq_content *content, struct cvq_folder *folder)
{
	if (folder)
		cvq_folder_close(folder);
	cvq_content_close(content);
}

static void free_handle(struct cvq_handle *handle)
{
	close_files(&handle->content, handle->folder);
	cvq_node_unref(handle->node);
	pthread_mutex_destroy(&handle->mutex);
	free(handle);
}

struct cvq_handle *cvq_handle_open(struct cvq_handles *handles, struct cvq_node *node,
				   struct cvq_content content, struct cvq_folder *folder)
{
	struct cvq_handle *handle = calloc(1, sizeof(*handle));
	if (!handle) {
		close_files(&content, folder);
		return NULL;
	}
	cvq_node_ref(node);
	handle->node = node;
	handle->content = content;
	handle->folder = folder;
	pthread_mutex_init(&handle->mutex, NULL);

	pthread_mutex_lock(&handles->mutex);
	LIST_INSERT_HEAD(&handles->list, handle, link);
	pthread_mutex_unlock(&handles->mutex);
	return handle;
}

void cvq_handle_close(struct cvq_handles *handles, struct cvq_handle *handle)
{
	pthread_mutex_lock(&handles->mutex);
	LIST_REMOVE(handle, link);
	pthread_mutex_unlock(&handles->mutex);
	free_handle(handle);
}

void cvq_handles_init(struct cvq_handles *handles)
{
	pthread_mutex_init(&handles->mutex, NULL);
	LIST_INIT(&handles->list);
}

void cvq_handles_release(struct cvq_handles *handles)
{
	while (!LIST_EMPTY(&handles->list))
		cvq_handle_close(handles, LIST_FIRST(&handles->list));
	pthread_mutex_destroy(&handles->mutex);
}
