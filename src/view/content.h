/* SPDX-License-Identifier: MIT */
/*
 * The content of a file of the view: the open source file, and what makes the view's bytes
 * of it
 */
#ifndef CVQ_VIEW_CONTENT_H
#define CVQ_VIEW_CONTENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/source.h"
#include "image/image.h"
#include "view/version.h"

struct cvq_content {
	int fd;                  /* -1: there is none */
	struct cvq_image *image; /* one reference; NULL: the view has the source's bytes */
};

#define CVQ_NO_CONTENT ((struct cvq_content){.fd = -1})

/* Another one of the same file.  Returns 0, or -EMFILE or -ENFILE. */
cvq_err cvq_content_copy(const struct cvq_content *content, struct cvq_content *copy);

/* Leaves CVQ_NO_CONTENT behind. */
void cvq_content_close(struct cvq_content *content);

#define cleanup_content cvq_cleanup(cvq_content_close)

/*
 * Reads of the file, which was opened as 'version'.  Returns the number of bytes, short
 * only at the end; or a negative errno with the reason: -EIO if the source cannot be read
 * or was modified in place since then, -ENOMEM.  'counters' and 'reason' may be NULL.
 * Thread-safe.
 */
ssize_t cvq_content_read(const struct cvq_content *content,
			 const struct cvq_version *version, struct cvq_counters *counters,
			 void *buffer, size_t length, uint64_t offset,
			 struct cvq_reason *reason);

/*
 * The same if all that is needed is in memory, and nothing beside that range has to be
 * converted for it; or -EAGAIN, which also stands for all errors.  Waits for nothing but
 * locks.  'counters' are not NULL.
 */
ssize_t cvq_content_read_quickly(const struct cvq_content *content,
				 const struct cvq_version *version,
				 struct cvq_counters *counters, void *buffer, size_t length,
				 uint64_t offset);

/* Whether to read that range is worth its while before somebody asks for it: all of the
 * work would be for its own bytes. */
bool cvq_content_is_at_hand(const struct cvq_content *content, size_t length,
			    uint64_t offset);

#endif
