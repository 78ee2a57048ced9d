/* SPDX-License-Identifier: MIT */
/*
 * Everything that a view shows of a directory, in the order of the paths
 */
#ifndef CVQ_CLI_LISTING_H
#define CVQ_CLI_LISTING_H

#include "base/cleanup.h"
#include "view/view.h"

struct cvq_listed {
	char *path; /* relative to the source */
	struct cvq_entry entry;
};

struct cvq_listing {
	struct cvq_listed *items;
	size_t count;
	size_t capacity;
};

/* Whether the view shows a regular file there. */
static inline bool cvq_listed_is_file(const struct cvq_listed *listed)
{
	return S_ISREG(listed->entry.attributes.st_mode);
}

/*
 * Opens the directory as a view and lists it.  Says on stderr what is wrong and returns
 * an exit code, or 0; then the caller releases both.
 */
int cvq_listing_open(const char *directory, const struct cvq_policy *policy,
		     struct cvq_view **view, struct cvq_listing *listing);

/* Says on stderr that no file of the listing converts, why, and 'so' what.  Returns the
 * exit code. */
int cvq_listing_none_converts(const char *directory, const struct cvq_policy *policy,
			      const struct cvq_listing *listing, const char *so);

void cvq_listing_release(struct cvq_listing *listing);

/*
 * Opens the file that was listed, as cvq_view_open_file(); one that has only come to
 * rest since (see version.h) is looked at again before.
 */
cvq_err cvq_listed_open(struct cvq_view *view, struct cvq_listed *listed,
			struct cvq_content *content);

#endif
