/* SPDX-License-Identifier: MIT */
/*
 * Listing a folder of the view: the names that the source has there, and aliases
 *
 * A folder that is being listed belongs to one thread at a time.
 */
#ifndef CVQ_VIEW_FOLDER_H
#define CVQ_VIEW_FOLDER_H

#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "view/view.h"

struct cvq_folder;

/* One name of it. */
struct cvq_name {
	const char *text; /* until the next call */
	ino_t inode;
	unsigned char type; /* DT_REG, ...; DT_UNKNOWN; DT_LNK also of what is followed */
	off_t next;         /* the position after it */
};

/* Opens the folder at 'path'.  Returns 0 or a negative errno; -EXDEV for the own mount. */
cvq_err cvq_folder_open(struct cvq_view *view, const char *path,
			struct cvq_folder **folder);
void cvq_folder_close(struct cvq_folder *folder);

/* Whether it is the very folder that was found as 'entry'. */
bool cvq_folder_is(const struct cvq_folder *folder, const struct cvq_entry *entry);

/* Goes to a position that was the 'next' of a name; 0 is the beginning. */
void cvq_folder_seek(struct cvq_folder *folder, off_t position);

/*
 * The name at the position, which is moved only by cvq_folder_take().  NULL at the
 * end, with 0 in '*err', or after an error.
 */
const struct cvq_name *cvq_folder_peek(struct cvq_folder *folder, cvq_err *err);
void cvq_folder_take(struct cvq_folder *folder);

static inline void cvq_folder_cleanup(struct cvq_folder **folder)
{
	if (*folder)
		cvq_folder_close(*folder);
}

#define cleanup_folder cvq_cleanup(cvq_folder_cleanup)

#endif
