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
 * Makes a session, mounts it at context->mountpoint and sets context->device.  Returns 0,
 * or a negative errno with the reason and what to do; then nothing is mounted.
 */
cvq_err cvq_session_mount(struct cvq_context *context, struct fuse_session **session,
			  struct cvq_reason *reason);

/*
 * Answers requests until the view is unmounted or a signal asks for the end.
 * Returns 0 or a negative errno.
 */
cvq_err cvq_session_serve(struct cvq_context *context, struct fuse_session *session);

/*
 * Releases the session, and unmounts its view if that is still on top at the mountpoint,
 * also under open files.  What others have mounted there stays.
 */
void cvq_session_end(const struct cvq_context *context, struct fuse_session *session);

#endif
