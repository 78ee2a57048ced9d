/* SPDX-License-Identifier: MIT */
/*
 * A view of our own, served by a cvq-mount that ends with us: see mount/lifeline.h
 */
#ifndef CVQ_CLI_PRIVATE_VIEW_H
#define CVQ_CLI_PRIVATE_VIEW_H

#include <sys/types.h>

#include "cli/command.h"
#include "cli/signals.h"

struct cvq_private_view {
	char *path;    /* where it is: absolute, without symlinks */
	char *folder;  /* made for it, around it; NULL if it is in the source's place */
	char *program; /* cvq-mount */
	pid_t daemon;  /* 0: none, or none any more */
	int lifeline;  /* the end that we hold */
	int answers;   /* what the daemon says */
};

/*
 * Decides where the view of the source arguments->paths[0] will be, in a private folder
 * or with --in-place in the source's own place, and which program serves it: neither is
 * sure to be found once we are in a mount namespace of our own.  Returns 0; or an exit
 * code, after saying what is wrong.  End it in any case.
 */
int cvq_private_view_plan(struct cvq_private_view *view,
			  const struct cvq_arguments *arguments);

/* Mounts it, with the options that were given.  Returns as above, also 128 and the number
 * of a signal that came in between. */
int cvq_private_view_mount(struct cvq_private_view *view,
			   const struct cvq_arguments *arguments,
			   const struct cvq_signals *signals);

/* Says how it comes that the daemon has ended: 'status' is what waitpid(2) gave. */
void cvq_private_view_lost(struct cvq_private_view *view, int status);

/* Takes the view and its folder away.  What is open in it stays readable. */
void cvq_private_view_end(struct cvq_private_view *view);

#endif
