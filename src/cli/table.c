/* SPDX-License-Identifier: MIT */
#include "cli/table.h"

#include <langinfo.h>
#include <libsmartcols.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "base/buffer.h"
#include "cli/terminal.h"

#define SEPARATOR " "

/* No column is cut to less. */
#define LEAST_WIDTH 12

struct cvq_table {
	const struct cvq_column *columns;
	size_t column_count;
	char **cells; /* row by row; NULL for nothing */
	size_t cell_count, capacity;
	cvq_err error; /* 0 or -ENOMEM */
};

struct cvq_table *cvq_table_create(const struct cvq_column *columns, size_t count)
{
	struct cvq_table *table = calloc(1, sizeof(*table));
	if (table) {
		table->columns = columns;
		table->column_count = count;
	}
	return table;
}

void cvq_table_free(struct cvq_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}

void cvq_table_add(struct cvq_table *table, const char *const *cells)
{
	for (size_t i = 0; i < table->column_count && !table->error; i++) {
		table->error = cvq_grow((void **)&table->cells, &table->capacity,
					table->cell_count, sizeof(*table->cells));
		if (table->error)
			return;
		char *copy = cells[i] ? strdup(cells[i]) : NULL;
		table->cells[table->cell_count++] = copy;
		if (cells[i] && !copy)
			table->error = -ENOMEM;
	}
}

/* ========================================================================== */
/*                                 Characters                                 */
/* ========================================================================== */

/* The character at 'text' in the thread's locale, and how many bytes it has; false if
 * there is none that can be shown. */
static bool read_character(const char *text, wchar_t *character, size_t *length)
{
	mbstate_t state = {0};
	*length = mbrtowc(character, text, strnlen(text, MB_LEN_MAX), &state);
	if (*length != (size_t)-1 && *length != (size_t)-2 &&
	    iswprint((wint_t)*character) && wcwidth(*character) >= 0)
		return true;
	*length = 1;
	return false;
}

/* A copy in which what cannot be shown is "\xNN". */
static char *make_printable(const char *text)
{
	cleanup_buffer struct cvq_buffer out = {0};
	wchar_t character;
	size_t length;
	for (; *text; text += length) {
		char escape[5];
		bool shown = read_character(text, &character, &length);
		if (!shown)
			snprintf(escape, sizeof(escape), "\\x%02x", (uint8_t)*text);
		cvq_buffer_append(&out, shown ? text : escape, shown ? length : 4);
	}
	cvq_buffer_append(&out, "", 1);
	return out.error ? NULL : (char *)steal_pointer(out.data);
}

/* How many columns of a terminal the character at 'text' takes. */
static size_t character_width(const char *text, size_t *length)
{
	wchar_t character;
	return read_character(text, &character, length) ? (size_t)wcwidth(character) : 1;
}

/* How many of them the text takes. */
static size_t width_of(const char *text)
{
	size_t width = 0;
	for (size_t length; *text; text += length)
		width += character_width(text, &length);
	return width;
}

/* How many bytes at the start of 'text' take 'width' columns at most. */
static size_t bytes_within(const char *text, size_t width)
{
	const char *at = text;
	size_t taken = 0;
	for (size_t length; *at; at += length) {
		taken += character_width(at, &length);
		if (taken > width)
			break;
	}
	return (size_t)(at - text);
}

/* A copy that takes 'width' columns at most. */
static char *cut_text(const char *text, size_t width, enum cvq_cut cut)
{
	bool is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	const char *ellipsis = is_utf8 ? "\u2026" : "...";
	size_t kept = width - width_of(ellipsis);
	/* The end of a name says more than its beginning. */
	size_t before = cut == CVQ_CUT_MIDDLE ? kept / 3 : kept;
	const char *tail = text;
	size_t length;
	for (size_t left = width_of(text); left > kept - before; tail += length)
		left -= character_width(tail, &length);
	char *result;
	if (asprintf(&result, "%.*s%s%s", (int)bytes_within(text, before), text, ellipsis,
		     tail) < 0)
		return NULL;
	return result;
}

/* ========================================================================== */
/*                                   Widths                                   */
/* ========================================================================== */

static cvq_err make_all_printable(struct cvq_table *table)
{
	for (size_t i = 0; i < table->cell_count; i++) {
		if (!table->cells[i])
			continue;
		char *printable = make_printable(table->cells[i]);
		if (!printable)
			return -ENOMEM;
		free(table->cells[i]);
		table->cells[i] = printable;
	}
	return 0;
}

static void measure_columns(const struct cvq_table *table, size_t *widths)
{
	size_t count = table->column_count;
	for (size_t i = 0; i < count; i++)
		widths[i] = width_of(table->columns[i].name);
	for (size_t i = 0; i < table->cell_count; i++) {
		size_t width = table->cells[i] ? width_of(table->cells[i]) : 0;
		if (width > widths[i % count])
			widths[i % count] = width;
	}
}

/* Makes the widest of the columns that may be cut narrower, until all fit or none can. */
static void fit_columns(const struct cvq_table *table, size_t *widths, size_t terminal)
{
	size_t count = table->column_count;
	size_t total = (count - 1) * strlen(SEPARATOR);
	for (size_t i = 0; i < count; i++)
		total += widths[i];
	for (; total > terminal; total--) {
		size_t widest = count;
		for (size_t i = 0; i < count; i++)
			if (table->columns[i].cut != CVQ_CUT_NEVER &&
			    widths[i] > LEAST_WIDTH &&
			    (widest == count || widths[i] > widths[widest]))
				widest = i;
		if (widest == count)
			return;
		widths[widest]--;
	}
}

static cvq_err cut_cells(struct cvq_table *table, const size_t *widths)
{
	for (size_t i = 0; i < table->cell_count; i++) {
		size_t column = i % table->column_count;
		if (!table->cells[i] || width_of(table->cells[i]) <= widths[column])
			continue;
		char *cut = cut_text(table->cells[i], widths[column],
				     table->columns[column].cut);
		if (!cut)
			return -ENOMEM;
		free(table->cells[i]);
		table->cells[i] = cut;
	}
	return 0;
}

static cvq_err fit_terminal(struct cvq_table *table)
{
	if (!isatty(STDOUT_FILENO))
		return 0;
	cleanup_free size_t *widths = calloc(table->column_count, sizeof(*widths));
	if (!widths)
		return -ENOMEM;
	measure_columns(table, widths);
	fit_columns(table, widths, cvq_terminal_width(STDOUT_FILENO));
	return cut_cells(table, widths);
}

/* ========================================================================== */
/*                                  Printing                                  */
/* ========================================================================== */

static int fill(struct libscols_table *drawing, const struct cvq_table *table)
{
	size_t count = table->column_count;
	int failed = 0;
	for (size_t i = 0; i < count; i++)
		failed |= !scols_table_new_column(drawing, table->columns[i].name, 0,
						  table->columns[i].right ? SCOLS_FL_RIGHT
									  : 0);
	for (size_t i = 0; i < table->cell_count && !failed; i += count) {
		struct libscols_line *line = scols_table_new_line(drawing, NULL);
		failed = !line;
		for (size_t j = 0; j < count && !failed; j++)
			failed = scols_line_refer_data(line, j,
						       steal_pointer(table->cells[i + j]));
	}
	return failed;
}

/* The cells are fitted and printable already: all that is left is to line them up. */
static cvq_err draw(struct cvq_table *table)
{
	struct libscols_table *drawing = scols_new_table();
	int failed = !drawing || scols_table_enable_noencoding(drawing, 1) ||
		     scols_table_set_termforce(drawing, SCOLS_TERMFORCE_NEVER) ||
		     scols_table_set_column_separator(drawing, SEPARATOR) ||
		     fill(drawing, table) || scols_print_table(drawing);
	scols_unref_table(drawing);
	return failed ? -ENOMEM : 0;
}

cvq_err cvq_table_print(struct cvq_table *table)
{
	if (table->error || table->cell_count == 0)
		return table->error;
	/* Of this thread and until the table is printed: patterns are matched as
	 * cvq-mount matches them, which knows no locale. */
	locale_t ours = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	locale_t before = ours ? uselocale(ours) : (locale_t)0;
	cvq_err err = make_all_printable(table);
	if (!err)
		err = fit_terminal(table);
	if (!err)
		err = draw(table);
	if (ours) {
		uselocale(before);
		freelocale(ours);
	}
	return err;
}
