/* SPDX-License-Identifier: MIT */
/*
 * Messages for people: one line each, "PROGRAM: PATH: what is wrong (what to do)"
 */
#ifndef CVQ_BASE_LOG_H
#define CVQ_BASE_LOG_H

#include <stdbool.h>

enum cvq_level {
	CVQ_LOG_ERROR,
	CVQ_LOG_WARNING,
};

/* Where messages go.  Set up before threads start, then only read. */
struct cvq_log {
	const char *program;
	bool to_syslog; /* else to stderr */
};

/* Thread-safe: a message is written whole. */
void cvq_log(const struct cvq_log *log, enum cvq_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
