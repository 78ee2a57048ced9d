/* SPDX-License-Identifier: MIT */
/*
 * What was decided about a regular file, and reading it accordingly
 */
#ifndef CVQ_VIEW_VERDICT_H
#define CVQ_VIEW_VERDICT_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/source.h"
#include "image/image.h"
#include "policy/policy.h"
#include "view/version.h"

/* What becomes of a regular file.  Shared by all who look at it; never changed. */
struct cvq_verdict {
	_Atomic uint32_t references;
	struct cvq_image *image; /* NULL if the file is passed through ... */
	char *reason;            /* ... and then this says why */
	cvq_err failure;         /* -EIO: it could not be read, so opening fails; else 0 */
};

/* A verdict with one reference.  Takes 'image' over in any case; copies 'reason'. */
cvq_err cvq_verdict_create(struct cvq_image *image, const char *reason,
			   struct cvq_verdict **verdict);

/* Thread-safe.  The last cvq_verdict_unref() frees; NULL is allowed there. */
struct cvq_verdict *cvq_verdict_ref(struct cvq_verdict *verdict);
void cvq_verdict_unref(struct cvq_verdict *verdict);

/* Reads what the verdict makes of the open file 'source'; as cvq_view_read(). */
ssize_t cvq_verdict_read(const struct cvq_verdict *verdict,
			 const struct cvq_version *version, const struct cvq_source *source,
			 void *buffer, size_t length, uint64_t offset,
			 struct cvq_reason *reason);

/*
 * The JSON of "user.cvq.info"; NULL if memory ran out.  'alias_of' is the path of the
 * file that is shown under an alias, else NULL.
 */
char *cvq_verdict_describe(const struct cvq_verdict *verdict,
			   const struct cvq_policy *policy, uint64_t source_size,
			   const char *alias_of);

#endif
