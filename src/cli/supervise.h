/* SPDX-License-Identifier: MIT */
/*
 * Standing in for another program: its signals, its stops, its exit code
 */
#ifndef CVQ_CLI_SUPERVISE_H
#define CVQ_CLI_SUPERVISE_H

#include "cli/private_view.h"
#include "cli/signals.h"

/*
 * Runs the program words[0] in 'folder' (unless NULL) until it ends, and returns the exit
 * code that a shell would give it.  Says if the view is lost meanwhile.
 */
int cvq_supervise(char *const *words, const char *folder, const struct cvq_signals *signals,
		  struct cvq_private_view *view);

#endif
