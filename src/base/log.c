/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

#include "base/error.h"

static int syslog_priority(enum cvq_level level)
{
	switch (level) {
	case CVQ_LOG_ERROR:
		return LOG_ERR;
	case CVQ_LOG_WARNING:
		return LOG_WARNING;
	case CVQ_LOG_INFO:
		return LOG_INFO;
	case CVQ_LOG_DEBUG:
		break;
	}
	return LOG_DEBUG;
}

void cvq_log(const struct cvq_log *log, enum cvq_level level, const char *format, ...)
{
	if (level > log->most)
		return;
	char message[8192];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);

	/* A path may hold line breaks and what a terminal obeys; a message is one line. */
	cvq_make_readable(message);
	if (log->to_syslog)
		syslog(LOG_DAEMON | syslog_priority(level), "%s", message);
	else
		fprintf(stderr, "%s: %s\n", log->program, message);
}
