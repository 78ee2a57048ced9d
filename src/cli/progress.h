/* SPDX-License-Identifier: MIT */
/*
 * How far a long piece of work has come: a bar on a terminal, else a line a file
 */
#ifndef CVQ_CLI_PROGRESS_H
#define CVQ_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct cvq_progress {
	bool quiet;
	bool on_terminal;
	uint64_t total; /* bytes of all files */
	uint64_t done;  /* of those that are finished */
	double began, last_drawn;
	const char *path; /* of the file at work */
};

/* Begins the work on 'total' bytes.  The bar goes to stderr. */
void cvq_progress_begin(struct cvq_progress *progress, uint64_t total, bool quiet);

/* Begins a file; 'path' is borrowed until the next call. */
void cvq_progress_file(struct cvq_progress *progress, const char *path);

/* Says that 'bytes' of the current file are done. */
void cvq_progress_step(struct cvq_progress *progress, uint64_t bytes);

/* Ends the current file, of 'bytes' bytes, with a word about what was done with it. */
void cvq_progress_file_done(struct cvq_progress *progress, uint64_t bytes,
			    const char *what);

/* Takes the bar away.  Also to be called before any message. */
void cvq_progress_clear(struct cvq_progress *progress);

#endif
