/* SPDX-License-Identifier: MIT */
/*
 * Tables on standard output, drawn by libsmartcols
 *
 * Columns line up whatever the script of the text in them, in UTF-8 or in ASCII as the
 * locale has it.  On a terminal that is too narrow, columns that may be cut are cut;
 * into a pipe or a file everything is written whole.
 */
#ifndef CVQ_CLI_TABLE_H
#define CVQ_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum cvq_cut {
	CVQ_CUT_NEVER,
	CVQ_CUT_MIDDLE, /* for names, which differ at both ends */
	CVQ_CUT_END,
};

struct cvq_column {
	const char *name;
	bool right; /* aligned, as numbers are */
	enum cvq_cut cut;
};

struct cvq_table;

/* A table of 'count' columns, which are borrowed; NULL if memory ran out. */
struct cvq_table *cvq_table_create(const struct cvq_column *columns, size_t count);
void cvq_table_free(struct cvq_table *table);

/* Adds a row: a text for each column, or NULL for nothing.  They are copied; should memory
 * run out, cvq_table_print() will say so. */
void cvq_table_add(struct cvq_table *table, const char *const *cells);

/* Prints the table with its heading, once; nothing if it has no rows.  Returns 0 or
 * -ENOMEM. */
cvq_err cvq_table_print(struct cvq_table *table);

static inline void cvq_table_cleanup(struct cvq_table **table)
{
	cvq_table_free(*table);
}

#define cleanup_table cvq_cleanup(cvq_table_cleanup)

#endif
