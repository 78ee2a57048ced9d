/* SPDX-License-Identifier: MIT */
#include "checkpoint/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buffer.h"
#include "checkpoint/archive.h"

enum state {
	AWAITED, /* nobody has asked for it, or it has failed for another reason */
	READY,   /* the record lies there */
	DAMAGED, /* it never will */
};

/* A record's place in the spill file. */
struct place {
	uint64_t start; /* in the file */
	uint64_t size;
	size_t index; /* of the entry */
	_Atomic enum state state;
};

struct cvq_spill {
	struct place *places; /* all of them before the first reading */
	size_t count, capacity;
	uint64_t size;
	pthread_mutex_t mutex; /* guards the archive, and writing */
	struct cvq_archive *archive;
	int fd; /* set before any place is ready; -1: there is no file yet */
};

cvq_err cvq_spill_create(struct cvq_archive *archive, struct cvq_spill **spill)
{
	struct cvq_spill *made = calloc(1, sizeof(*made));
	if (!made) {
		cvq_archive_close(archive);
		return -ENOMEM;
	}
	/* The archive outlives the descriptor that it was opened with. */
	cvq_archive_rebind(archive, NULL);
	made->archive = archive;
	made->fd = -1;
	pthread_mutex_init(&made->mutex, NULL);
	*spill = made;
	return 0;
}

void cvq_spill_free(struct cvq_spill *spill)
{
	if (!spill)
		return;
	cvq_archive_close(spill->archive);
	if (spill->fd >= 0)
		close(spill->fd);
	pthread_mutex_destroy(&spill->mutex);
	free(spill->places);
	free(spill);
}

cvq_err cvq_spill_add(struct cvq_spill *spill, size_t index, struct cvq_record *record,
		      struct cvq_reason *reason)
{
	if (record->size > CVQ_SPILL_MAX_BYTES - spill->size)
		return cvq_explain(reason, CVQ_ERR_CONTENT,
				   "its compressed records come to more than %u GiB",
				   (unsigned)(CVQ_SPILL_MAX_BYTES >> 30));
	if (cvq_grow((void **)&spill->places, &spill->capacity, spill->count,
		     sizeof(*spill->places)))
		return -ENOMEM;
	struct place *place = &spill->places[spill->count++];
	place->start = spill->size;
	place->size = record->size;
	place->index = index;
	atomic_init(&place->state, AWAITED);
	record->offset = CVQ_SPILL_START + spill->size;
	spill->size += record->size;
	return 0;
}

/* ========================================================================== */
/*                                  Inflating                                 */
/* ========================================================================== */

/* Opens a file without a name.  Returns a descriptor or a negative errno. */
static int open_unnamed(const char *folder)
{
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	/* Not every file system has such files. */
	char path[4096];
	if (snprintf(path, sizeof(path), "%s/cvq-XXXXXX", folder) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

static int open_spill_file(void)
{
	const char *const folders[] = {secure_getenv("TMPDIR"), "/var/tmp", "/tmp"};
	int fd = -ENOENT;
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders) && fd < 0; i++)
		if (folders[i] && *folders[i])
			fd = open_unnamed(folders[i]);
	return fd;
}

/* Asks for the room first: what is inflated until it runs out fills a disk for others. */
static cvq_err reserve(int fd, const struct place *place)
{
	if (place->size == 0 ||
	    fallocate(fd, 0, (off_t)place->start, (off_t)place->size) == 0)
		return 0;
	/* Not every file system can be asked; then writing will tell. */
	return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? -errno : 0;
}

static cvq_err inflate(struct cvq_spill *spill, const struct cvq_source *source,
		       const struct place *place)
{
	if (spill->fd < 0)
		spill->fd = open_spill_file();
	if (spill->fd < 0)
		return spill->fd;
	cvq_err err = reserve(spill->fd, place);
	if (!err)
		err = cvq_archive_inflate(spill->archive, source, place->index, place->size,
					  spill->fd, place->start);
	if (err && place->size > 0)
		fallocate(spill->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  (off_t)place->start, (off_t)place->size);
	return err;
}

/* Inflates the record unless somebody else has done so meanwhile, or found it damaged. */
static cvq_err attempt(struct cvq_spill *spill, const struct cvq_source *source,
		       struct place *place)
{
	cvq_err err = 0;
	pthread_mutex_lock(&spill->mutex);
	if (atomic_load(&place->state) == AWAITED) {
		err = inflate(spill, source, place);
		if (!err || err == -EBADMSG)
			atomic_store(&place->state, err ? DAMAGED : READY);
	}
	pthread_mutex_unlock(&spill->mutex);
	return err;
}

/* The place that holds the byte at 'offset' of the file. */
static struct place *find_place(struct cvq_spill *spill, uint64_t offset)
{
	size_t low = 0, high = spill->count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (spill->places[middle].start <= offset)
			low = middle;
		else
			high = middle;
	}
	return &spill->places[low];
}

cvq_err cvq_spill_read(struct cvq_spill *spill, const struct cvq_source *source,
		       void *buffer, size_t length, uint64_t offset)
{
	if (offset < CVQ_SPILL_START)
		return cvq_source_read(source, buffer, length, offset);
	offset -= CVQ_SPILL_START;
	struct place *place = find_place(spill, offset);
	cvq_err err = 0;
	if (atomic_load(&place->state) == AWAITED)
		err = source->quickly ? -EAGAIN : attempt(spill, source, place);
	if (!err && atomic_load(&place->state) == DAMAGED)
		err = -EBADMSG;
	if (err)
		return err;
	const struct cvq_source file = {.fd = spill->fd, .quickly = source->quickly};
	return cvq_source_read(&file, buffer, length, offset);
}
