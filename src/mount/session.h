/* SPDX-License-Identifier: MIT */
/*
 * The libfuse session: mounting, serving, unmounting
 */
#ifndef CVQ_MOUNT_SESSION_H
#define CVQ_MOUNT_SESSION_H

#include "base/error.h"
#include "mount/context.h"
#include "mount/fuse.h"

/*
 * Makes a session and mounts it at context->mountpoint.  Returns 0, or a negative
 * errno with the reason and what to do; then nothing is mounted.
 */
cvq_err cvq_session_mount(struct cvq_context *context, struct fuse_session **session,
			  struct cvq_reason *reason);

/*
 * Answers requests until the view is unmounted or a signal asks for the end.
 * Returns 0 or a negative errno.
 */
cvq_err cvq_session_serve(struct cvq_context *context, struct fuse_session *session);

/* Unmounts what is still mounted, also under open files, and releases the session. */
void cvq_session_end(struct fuse_session *session);

#endif
