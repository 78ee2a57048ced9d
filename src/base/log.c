/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

#include "base/error.h"

void cvq_log(const struct cvq_log *log, enum cvq_level level, const char *format, ...)
{
	char message[8192];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);

	/* A path may hold line breaks and what a terminal obeys; a message is one line. */
	cvq_make_readable(message);
	if (log->to_syslog)
		syslog(LOG_DAEMON | (level == CVQ_LOG_ERROR ? LOG_ERR : LOG_WARNING), "%s",
		       message);
	else
		fprintf(stderr, "%s: %s\n", log->program, message);
}
