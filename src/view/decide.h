/* SPDX-License-Identifier: MIT */
/*
 * The decision about one file: converted, or passed through and why
 */
#ifndef CVQ_VIEW_DECIDE_H
#define CVQ_VIEW_DECIDE_H

#include <pthread.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/source.h"
#include "image/image.h"
#include "policy/policy.h"
#include "view/verdict.h"
#include "view/version.h"

/* As many images as a directory of models has checkpoints, and then some. */
#define CVQ_REMEMBERED 256

/* Of those, as many that hold much memory, or a file with what was compressed. */
#define CVQ_REMEMBERED_LARGE 16

/* What was decided about one version of a file, under whatever name. */
struct cvq_remembered {
	struct cvq_version version;
	struct cvq_verdict *verdict; /* one reference; NULL: a free place */
	struct cvq_image *image;     /* one reference; NULL if it is passed through */
	uint64_t last_used;
};

struct cvq_decisions {
	const struct cvq_policy *policy;
	struct cvq_counters *counters;
	struct cvq_verdict *unasked; /* shared by all files that do not ask */
	pthread_mutex_t mutex;       /* guards what follows; not held across I/O */
	uint64_t clock;
	struct cvq_remembered remembered[CVQ_REMEMBERED];
};

/* 'policy' and 'counters' are borrowed.  Returns 0 or -ENOMEM; release in any case. */
cvq_err cvq_decisions_init(struct cvq_decisions *decisions, const struct cvq_policy *policy,
			   struct cvq_counters *counters);
void cvq_decisions_release(struct cvq_decisions *decisions);

/* Whether the name asks for conversion and no pattern keeps it; if not, says why (unless
 * 'reason' is NULL). */
bool cvq_asks_for_conversion(const struct cvq_policy *policy, const char *path,
			     struct cvq_reason *reason);

/* A version of a file that somebody has a verdict of, decided under the same name. */
struct cvq_known {
	const struct cvq_version *version;
	struct cvq_verdict *verdict;
};

/*
 * Decides about the regular file that 'path_fd' (O_PATH) stands for, under the
 * name 'path'.  'attributes' is what fstat(2) said about it; they are refreshed
 * if the file has to be opened.  'known' spares that if it is of this version; or NULL.
 *
 * Returns 0 and a verdict with one reference, also if the file cannot be read;
 * -ESTALE if there is another one by now, as of cvq_tree_reopen(); -ENOMEM, -EMFILE or
 * -ENFILE if no verdict could be reached.
 */
cvq_err cvq_decide(struct cvq_decisions *decisions, const char *path, int path_fd,
		   const struct cvq_known *known, struct stat *attributes,
		   struct cvq_verdict **verdict);

/*
 * The image of the open file 'fd', whose 'version' converts: the one that is remembered, or
 * planned anew.  Returns 0 and one reference; -ESTALE if the file is no longer that
 * version; or what reading it failed with.
 */
cvq_err cvq_decisions_image(struct cvq_decisions *decisions, int fd,
			    const struct cvq_version *version, struct cvq_image **image);

/*
 * Decides about the open file by its content alone, whatever its name is.
 * 'attributes' is what fstat(2) said about it, and is refreshed.  Returns 0, a verdict
 * and, if it converts, the image (else NULL), with one reference each; -ESTALE if the file
 * was modified since then; or what reading it failed with.
 */
cvq_err cvq_decide_content(const struct cvq_source *source, const struct cvq_policy *policy,
			   struct stat *attributes, struct cvq_verdict **verdict,
			   struct cvq_image **image);

#endif
