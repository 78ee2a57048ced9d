/* SPDX-License-Identifier: MIT */
/*
 * What was decided about a regular file
 *
 * A verdict is small: whoever knows the file holds it.  The image, which may be large, is
 * held by who has the file open (see content.h).
 */
#ifndef CVQ_VIEW_VERDICT_H
#define CVQ_VIEW_VERDICT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "image/image.h"
#include "policy/policy.h"

/* What becomes of a regular file.  Shared by all who look at it; never changed. */
struct cvq_verdict {
	_Atomic uint32_t references;
	bool converted;
	struct cvq_image_summary summary; /* of the image, if converted ... */
	char *reason;                     /* ... else why it is passed through */
	bool unfit;   /* it should convert, but is damaged, not understood or unreadable */
	bool for_now; /* a later look at the same version may come to another */
	cvq_err failure; /* -EIO: it could not be read, so opening fails; else 0 */
};

/* A verdict with one reference: converted, or passed through for 'reason', which is copied.
 * One of the two is NULL. */
cvq_err cvq_verdict_create(const struct cvq_image_summary *summary, const char *reason,
			   struct cvq_verdict **verdict);

/* Thread-safe.  The last cvq_verdict_unref() frees; NULL is allowed there. */
struct cvq_verdict *cvq_verdict_ref(struct cvq_verdict *verdict);
void cvq_verdict_unref(struct cvq_verdict *verdict);

/*
 * The JSON of "user.cvq.info"; NULL if memory ran out.  'alias_of' is the path of the
 * file that is shown under an alias, else NULL.
 */
char *cvq_verdict_describe(const struct cvq_verdict *verdict,
			   const struct cvq_policy *policy, uint64_t source_size,
			   const char *alias_of);

#endif
