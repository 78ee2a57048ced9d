/* SPDX-License-Identifier: MIT */
/*
 * The file system operations, as libfuse wants them; the session's userdata is
 * the struct cvq_context
 */
#ifndef CVQ_MOUNT_OPERATIONS_H
#define CVQ_MOUNT_OPERATIONS_H

#include "mount/fuse.h"

extern const struct fuse_lowlevel_ops cvq_operations;

/* Those of folders: folders.c */
void cvq_op_opendir(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info);
void cvq_op_readdir(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset,
		    struct fuse_file_info *info);
void cvq_op_readdirplus(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset,
			struct fuse_file_info *info);
void cvq_op_releasedir(fuse_req_t request, fuse_ino_t id, struct fuse_file_info *info);

/* Those of extended attributes: xattrs.c */
void cvq_op_getxattr(fuse_req_t request, fuse_ino_t id, const char *name, size_t size);
void cvq_op_listxattr(fuse_req_t request, fuse_ino_t id, size_t size);

#endif
