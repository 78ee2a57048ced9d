/* SPDX-License-Identifier: MIT */
/*
 * One version of a source file, told from any other without reading it
 */
#ifndef CVQ_VIEW_VERSION_H
#define CVQ_VIEW_VERSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "base/error.h"

struct cvq_version {
	dev_t device;
	ino_t inode;
	uint64_t size;
	struct timespec modified;
	struct timespec changed; /* the inode: also moves when the file is renamed */
	bool at_rest;            /* that was more than two seconds ago */
};

/*
 * The version that has these attributes.  A file is stamped when somebody begins to
 * write, so what is seen of it shortly after may be half of what there will be.  Once
 * that time is over, it is another version, of which nothing is known yet.
 */
struct cvq_version cvq_version_of(const struct stat *attributes);

static inline bool cvq_same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static inline bool cvq_version_same(const struct cvq_version *a,
				    const struct cvq_version *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       cvq_same_time(a->modified, b->modified) &&
	       cvq_same_time(a->changed, b->changed) && a->at_rest == b->at_rest;
}

/*
 * Takes the attributes of what 'fd' stands for.  Times have steps of some
 * milliseconds, so a file that was changed just now can change again without a
 * trace; with 'patient', such a step is then waited for.
 *
 * Returns 0; -EAGAIN after having waited: look again, 'patient' some times at most;
 * or another negative errno.
 */
cvq_err cvq_stat_settled(int fd, bool patient, struct stat *attributes);

/* Upper bound on these waits, for a file that is written all the time. */
#define CVQ_MOST_WAITS 10

/*
 * Whether an open file still holds the bytes it held as 'version'.  Unlike the
 * above, a file that was only renamed, linked or removed meanwhile does.
 */
static inline bool cvq_version_unmodified(const struct cvq_version *version,
					  const struct stat *now)
{
	return version->size == (uint64_t)now->st_size &&
	       cvq_same_time(version->modified, now->st_mtim);
}

#endif
