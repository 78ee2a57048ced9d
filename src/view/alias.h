/* SPDX-License-Identifier: MIT */
/*
 * Aliases as folders see them
 */
#ifndef CVQ_VIEW_ALIAS_H
#define CVQ_VIEW_ALIAS_H

#include <stdbool.h>

#include "policy/policy.h"

/* The last name of the alias's path if it lies right in the folder, else NULL. */
const char *cvq_alias_name_in(const struct cvq_alias *alias, const char *folder);

/* Whether 'name' in the folder is an alias's, and not the source's own. */
bool cvq_alias_hides(const struct cvq_policy *policy, const char *folder, const char *name);

#endif
