/* SPDX-License-Identifier: MIT */
/*
 * cvq verify: one file
 */
#ifndef CVQ_CLI_VERIFY_FILE_H
#define CVQ_CLI_VERIFY_FILE_H

#include "cli/progress.h"
#include "cli/report.h"
#include "view/content.h"
#include "view/verdict.h"

struct cvq_verification {
	struct cvq_rules rules;
	const char *source, *view; /* paths; 'view' may be NULL */
	struct cvq_report report;
	struct cvq_progress progress;
};

/* A file of the source, and what is expected of it. */
struct cvq_subject {
	const char *path;        /* relative to both sides; of a single file its name */
	const char *source_path; /* the file's own ... */
	const char *view_path;   /* ... and its counterpart's; NULL: there is no view */
	const struct cvq_content *content;
	const struct cvq_version *version;
	const struct cvq_verdict *verdict;
};

/* The functions verify and report.  They return an exit code, which is 0 also if the view
 * is at fault. */

int cvq_verify_subject(struct cvq_verification *verification,
		       const struct cvq_subject *subject);

/*
 * The same for a file of which only the paths are known; follows symlinks.  A 'single' file
 * is expected to be converted unless a pattern keeps it, whatever else its name is.
 */
int cvq_verify_path(struct cvq_verification *verification, struct cvq_subject *subject,
		    bool is_single);

/* Reports what is wrong with the view of the subject as a whole. */
int cvq_verify_fault(struct cvq_verification *verification,
		     const struct cvq_subject *subject, const char *fault);

/* Says on stderr why the source cannot be verified, and returns the exit code. */
int cvq_verify_fail(const char *path, cvq_err err);

#endif
