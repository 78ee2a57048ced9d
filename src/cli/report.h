/* SPDX-License-Identifier: MIT */
/*
 * What cvq verify says: a table for each checkpoint and one of all files, or JSON, and on
 * stderr what is wrong
 */
#ifndef CVQ_CLI_REPORT_H
#define CVQ_CLI_REPORT_H

#include <jansson.h>

#include "cli/compare.h"
#include "cli/table.h"

/* What was found of one file. */
struct cvq_verified {
	const char *path;  /* relative to both sides; of a single file its name */
	const char *where; /* the path of the view's side, for messages */
	/* NULL: its tensors were not compared, as it is passed through or at fault. */
	const struct cvq_comparison *comparison;
	bool converted;          /* or would be, were it not at fault */
	bool unfit;              /* as a verdict is */
	const char *reason;      /* why it is passed through; else NULL */
	struct cvq_reason fault; /* of the file as a whole; "": none */
};

struct cvq_report {
	const char *source, *view; /* as given; 'view' is NULL if the image was verified */
	const struct cvq_policy *policy;
	bool json, quiet;
	struct cvq_table *table;
	json_t *files;
	uint64_t converted, passed, faulty; /* files */
	uint64_t tensors, faults;           /* faults: tensors, and files as a whole */
	uint64_t waived;                    /* tensors, see struct cvq_compared */
};

/* Begins a report whose head (up to 'quiet') is filled.  Returns 0 or -ENOMEM; release in
 * either case. */
cvq_err cvq_report_begin(struct cvq_report *report);
void cvq_report_release(struct cvq_report *report);

/* Reports one file.  Returns 0 or -ENOMEM. */
cvq_err cvq_report_file(struct cvq_report *report, const struct cvq_verified *verified);

/* Reports the whole.  Returns the exit code. */
int cvq_report_end(struct cvq_report *report);

#endif
