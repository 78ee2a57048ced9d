/* SPDX-License-Identifier: MIT */
/*
 * A mount namespace of our own: what is mounted in it, nobody else sees
 */
#ifndef CVQ_CLI_NAMESPACE_H
#define CVQ_CLI_NAMESPACE_H

#include "base/error.h"

/*
 * Moves this process, which must have no other threads, into a new mount namespace:
 * for an ordinary user, in a new user namespace that knows nobody else.  What others
 * mount and unmount still shows in it.  Returns 0, or a negative errno with the reason
 * and what to do.
 */
cvq_err cvq_namespace_enter(struct cvq_reason *reason);

#endif
