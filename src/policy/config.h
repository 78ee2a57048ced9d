/* SPDX-License-Identifier: MIT */
/*
 * The configuration: the policy's rules from an INI file
 */
#ifndef CVQ_POLICY_CONFIG_H
#define CVQ_POLICY_CONFIG_H

#include "base/error.h"
#include "policy/policy.h"

/*
 * Finds the configuration of who has named none: $XDG_CONFIG_HOME/cvq/cvq.ini (by
 * default below ~/.config), else /etc/cvq.ini.  Returns 0 and a path to be freed,
 * NULL if there is neither; or -ENOMEM.
 */
cvq_err cvq_config_find(char **path);

/*
 * Reads the configuration at 'path' over what the policy holds.  A list replaces
 * the policy's; only cvq_policy_set() will add to it, or, with "convert", replace
 * it in turn.
 *
 * Returns 0, or a negative errno with the reason and the number of the line that it
 * is about: 0 if it is about the file as a whole.  The policy is then half filled.
 */
cvq_err cvq_config_read(struct cvq_policy *policy, const char *path, unsigned *line,
			struct cvq_reason *reason);

/* The same, but the place is a text to be freed, "FILE" or "FILE:LINE". */
cvq_err cvq_config_load(struct cvq_policy *policy, const char *path, char **place,
			struct cvq_reason *reason);

#endif
