/* SPDX-License-Identifier: MIT */
/*
 * The directory that cvq convert writes to
 *
 * It is no part of the source, nor the source of it, by whatever paths the two are given:
 * folders are told apart by what they are, so bind mounts do not matter.
 */
#ifndef CVQ_CLI_DESTINATION_H
#define CVQ_CLI_DESTINATION_H

#include "cli/listing.h"

struct cvq_destination {
	const char *path; /* as given */
	int folder;       /* -1: it is not open */
	bool made;        /* it was not there before */
};

/*
 * The functions say on stderr what is wrong and return an exit code, or 0.
 */

/*
 * Looks whether the directory may be written to, before anything is; with 'force' also if
 * it exists.  'root' is the source's own folder, at 'source'.
 */
int cvq_destination_check(const struct cvq_destination *destination, const char *source,
			  const struct cvq_entry *root, const struct cvq_listing *listing,
			  bool force);

/*
 * Opens the directory, which is made with the mode of 'root' if there is none, and sees
 * whether all of the listing fits.  Close it in any case.
 */
int cvq_destination_open(struct cvq_destination *destination, const struct cvq_entry *root,
			 const struct cvq_listing *listing);
void cvq_destination_close(struct cvq_destination *destination);

/* Takes the directory away again if it was made and nothing is in it.  Returns whether. */
bool cvq_destination_abandon(const struct cvq_destination *destination);

/* Says that the file at 'path' in it cannot be written. */
int cvq_destination_fail(const struct cvq_destination *destination, const char *path,
			 int error);

#endif
