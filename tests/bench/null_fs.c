/* SPDX-License-Identifier: MIT */
/*
 * A file system with one file, "file", whose bytes cost nothing: every read is answered
 * from one buffer, by libfuse's own loop.  It is the limit of the transport; with SOURCE,
 * of which it reads two bytes for each and does nothing with them, that of converting.
 *
 *	null_fs SIZE [THREADS [SOURCE]] MOUNTPOINT
 */
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 12)
#include <fuse_lowlevel.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_INODE   2
#define BUFFER_BYTES (1u << 20)
#define PIECE_BYTES  (64u << 10) /* as cvq has them */
#define TIMEOUT      1.0
#define THREADS      16

static uint64_t size;
static char buffer[BUFFER_BYTES];
static int source = -1;

static struct stat attributes_of(fuse_ino_t inode)
{
	struct stat attributes = {.st_ino = inode, .st_nlink = 1};
	attributes.st_mode = inode == FILE_INODE ? S_IFREG | 0444 : S_IFDIR | 0555;
	attributes.st_size = inode == FILE_INODE ? (off_t)size : 0;
	return attributes;
}

static void null_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	(void)parent;
	struct fuse_entry_param entry = {
		.ino = FILE_INODE,
		.attr = attributes_of(FILE_INODE),
		.attr_timeout = TIMEOUT,
		.entry_timeout = TIMEOUT,
	};
	if (strcmp(name, "file") != 0)
		fuse_reply_err(request, ENOENT);
	else
		fuse_reply_entry(request, &entry);
}

static void null_getattr(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info)
{
	(void)info;
	struct stat attributes = attributes_of(inode);
	fuse_reply_attr(request, &attributes, TIMEOUT);
}

static void null_open(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info)
{
	(void)inode;
	info->keep_cache = 1;
	fuse_reply_open(request, info);
}

static void read_source(uint64_t offset, uint64_t length)
{
	char piece[PIECE_BYTES];
	while (length > 0) {
		size_t wanted = length < sizeof(piece) ? (size_t)length : sizeof(piece);
		ssize_t got = pread(source, piece, wanted, (off_t)offset);
		if (got <= 0)
			return;
		offset += (uint64_t)got;
		length -= (uint64_t)got;
	}
}

static void null_read(fuse_req_t request, fuse_ino_t inode, size_t length, off_t offset,
		      struct fuse_file_info *info)
{
	(void)inode;
	(void)info;
	uint64_t left = (uint64_t)offset < size ? size - (uint64_t)offset : 0;
	length = length < left ? length : left;
	length = length < BUFFER_BYTES ? length : BUFFER_BYTES;
	if (source >= 0)
		read_source(2 * (uint64_t)offset, 2 * length);
	fuse_reply_buf(request, buffer, length);
}

static const struct fuse_lowlevel_ops operations = {
	.lookup = null_lookup,
	.getattr = null_getattr,
	.open = null_open,
	.read = null_read,
};

int main(int argc, char *argv[])
{
	char options[] = "-oro,fsname=null_fs";
	char *words[] = {argv[0], options, NULL};
	struct fuse_args arguments = FUSE_ARGS_INIT(2, words);
	if (argc < 3 || argc > 5) {
		fprintf(stderr, "usage: null_fs SIZE [THREADS [SOURCE]] MOUNTPOINT\n");
		return 2;
	}
	size = strtoull(argv[1], NULL, 10);
	if (argc > 4 && (source = open(argv[3], O_RDONLY | O_CLOEXEC)) < 0) {
		perror(argv[3]);
		return 1;
	}
	struct fuse_session *session =
		fuse_session_new(&arguments, &operations, sizeof(operations), NULL);
	fuse_opt_free_args(&arguments);
	if (!session || fuse_set_signal_handlers(session) ||
	    fuse_session_mount(session, argv[argc - 1]))
		return 1;
	fuse_daemonize(1);
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	fuse_loop_cfg_set_clone_fd(config, 1);
	fuse_loop_cfg_set_max_threads(
		config, argc > 3 ? (unsigned)strtoul(argv[2], NULL, 10) : THREADS);
	int result = fuse_session_loop_mt(session, config);
	fuse_loop_cfg_destroy(config);
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	return result < 0;
}
