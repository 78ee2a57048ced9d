/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

cvq_err cvq_explain(struct cvq_reason *reason, cvq_err code, const char *format, ...)
{
	if (!reason)
		return code;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(reason->text, sizeof(reason->text), format, arguments);
	va_end(arguments);
	return code;
}
