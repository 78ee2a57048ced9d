/* SPDX-License-Identifier: MIT */
/*
 * Whether a directory is a complete CosyVoice package
 *
 * Finds out in a moment, without PyTorch, what AutoModel's constructors would find out
 * in minutes: whether every file that they open is there, readable and what it should
 * be, and whether the weights are those of the networks that the yaml describes.  No
 * weights are read and nothing is executed.
 *
 * Facts: FunAudioLLM/CosyVoice, cosyvoice/cli/cosyvoice.py, frontend.py and model.py.
 */
#ifndef CVQ_COSYVOICE_PACKAGE_H
#define CVQ_COSYVOICE_PACKAGE_H

#include <stddef.h>

#include "base/error.h"

/* How to open the files of a package. */
struct cvq_package_files {
	/* Opens 'path', relative to the package, to be read; never waits.  Returns a
	 * descriptor or a negative errno. */
	int (*open)(void *context, const char *path);
	void *context;
};

/* The files of a directory: 'context' points to its descriptor. */
int cvq_package_open_at(void *context, const char *path);

enum cvq_mark {
	CVQ_MARK_OK,
	CVQ_MARK_FAULT,
	CVQ_MARK_NOTE, /* worth knowing, and no fault */
};

/* What one check found out about one file. */
struct cvq_finding {
	enum cvq_mark mark;
	const char *check;      /* its name; a constant */
	const char *file;       /* relative to the package; a constant; "" for all of it */
	struct cvq_reason text; /* a sentence about the file, without its name */
	const char *remedy;     /* what to do; a constant, or NULL */
};

enum cvq_package_state {
	CVQ_PACKAGE_COMPLETE,
	CVQ_PACKAGE_FAULTY,
	CVQ_PACKAGE_UNCHECKED, /* there is no yaml to hold the weights against */
};

struct cvq_package_report {
	const char *kind; /* "CosyVoice", "CosyVoice2", "CosyVoice3"; NULL without a yaml */
	enum cvq_package_state state;
	struct cvq_finding *findings;
	size_t count, capacity;
};

/*
 * Checks the package.  Returns 0 with the report, whatever is found; or -ENOMEM.
 * Release the report in any case.
 */
cvq_err cvq_package_check(const struct cvq_package_files *files,
			  struct cvq_package_report *report);
void cvq_package_report_release(struct cvq_package_report *report);

/* The first finding that keeps the package from being complete; NULL if it is. */
const struct cvq_finding *cvq_package_obstacle(const struct cvq_package_report *report);

#endif
