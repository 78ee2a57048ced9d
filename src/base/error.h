/* SPDX-License-Identifier: MIT */
/*
 * Errors: a code that says 0 or -errno, and a sentence for people
 */
#ifndef CVQ_BASE_ERROR_H
#define CVQ_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The type name is the contract: 0, a negative errno value, or one of the codes below. */
typedef int cvq_err;

/*
 * Why something failed, for a person to read.  Filled only on failure; the text
 * is UTF-8, names neither the program nor the file's path, and has no full stop.
 */
struct cvq_reason {
	char text[256];
};

/*
 * The codes for a file's *content*.  Such a file is passed through unchanged; every other
 * code means that cvq could not find out.  They are no errno, so no system call fails with
 * them.
 */
#define CVQ_ERR_CONTENT (-4096) /* something is wrong with it, or it is not understood */
#define CVQ_ERR_NOTHING (-4097) /* it is in order, and nothing in it is to be converted */

bool cvq_is_of_content(cvq_err err);

/* Whether 'err' is a lack of memory or descriptors, which says nothing about a file. */
bool cvq_is_shortage(cvq_err err);

/* Writes the sentence (if 'reason' is not NULL) and returns 'code'. */
cvq_err cvq_explain(struct cvq_reason *reason, cvq_err code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
cvq_err cvq_explain_list(struct cvq_reason *reason, cvq_err code, const char *format,
			 va_list arguments) __attribute__((format(printf, 3, 0)));

/* Makes '?' of all that is no UTF-8, and of control characters (C0, DEL and C1). */
void cvq_make_readable(char *text);

/* Writes 'text' made readable so. */
void cvq_put_readable(FILE *out, const char *text);

/* Writes names, of which the last is NULL, as a reason lists them: "a, b or c". */
void cvq_list_names(const char *const *names, char *text, size_t size);

#endif
