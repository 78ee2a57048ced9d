/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

/* How long the character at 'text' is in UTF-8; 0 if it is none, or a control character. */
static unsigned character_length(const uint8_t *text)
{
	if (text[0] < ' ' || text[0] == 0x7F || (text[0] == 0xC2 && text[1] < 0xA0))
		return 0;
	unsigned length = text[0] < 0x80   ? 1
			  : text[0] < 0xC2 ? 0
			  : text[0] < 0xE0 ? 2
			  : text[0] < 0xF0 ? 3
			  : text[0] < 0xF5 ? 4
					   : 0;
	for (unsigned i = 1; i < length; i++)
		if ((text[i] & 0xC0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, and what lies beyond Unicode. */
	if ((text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xED && text[1] > 0x9F) ||
	    (text[0] == 0xF0 && text[1] < 0x90) || (text[0] == 0xF4 && text[1] > 0x8F))
		return 0;
	return length;
}

void cvq_make_readable(char *text)
{
	uint8_t *at = (uint8_t *)text;
	while (*at) {
		unsigned length = character_length(at);
		if (length == 0)
			*at = '?';
		at += length ? length : 1;
	}
}

void cvq_put_readable(FILE *out, const char *text)
{
	const uint8_t *at = (const uint8_t *)text;
	while (*at) {
		unsigned length = character_length(at);
		if (length == 0)
			fputc('?', out);
		else
			fwrite(at, 1, length, out);
		at += length ? length : 1;
	}
}

bool cvq_is_of_content(cvq_err err)
{
	return err == CVQ_ERR_CONTENT || err == CVQ_ERR_NOTHING;
}

bool cvq_is_shortage(cvq_err err)
{
	return err == -ENOMEM || err == -EMFILE || err == -ENFILE;
}

cvq_err cvq_explain_list(struct cvq_reason *reason, cvq_err code, const char *format,
			 va_list arguments)
{
	if (!reason)
		return code;
	vsnprintf(reason->text, sizeof(reason->text), format, arguments);
	/* Names come from files, and may have been cut: anything may be in them. */
	cvq_make_readable(reason->text);
	return code;
}

cvq_err cvq_explain(struct cvq_reason *reason, cvq_err code, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	cvq_explain_list(reason, code, format, arguments);
	va_end(arguments);
	return code;
}

void cvq_list_names(const char *const *names, char *text, size_t size)
{
	size_t length = 0;

	text[0] = '\0';
	for (size_t i = 0; names[i] && length < size; i++) {
		const char *separator = i == 0 ? "" : names[i + 1] ? ", " : " or ";
		length += (size_t)snprintf(text + length, size - length, "%s%s", separator,
					   names[i]);
	}
}
