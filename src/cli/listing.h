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

/*
 * Opens the directory as a view and lists it.  Says on stderr what is wrong and returns
 * an exit code, or 0; then the caller releases both.
 */
int cvq_listing_open(const char *directory, const struct cvq_policy *policy,
		     struct cvq_view **view, struct cvq_listing *listing);
void cvq_listing_release(struct cvq_listing *listing);

#endif
