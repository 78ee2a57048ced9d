/* SPDX-License-Identifier: MIT */
/*
 * The rules that a mounted view was given
 */
#ifndef CVQ_CLI_MOUNT_RULES_H
#define CVQ_CLI_MOUNT_RULES_H

#include <stdbool.h>

#include "base/error.h"
#include "policy/policy.h"

/*
 * Whether the files at 'path' are expected as the policy says: true also if they are in
 * no view of cvq-mount, which '*is_mount' tells.  If not, 'reason' says which of the
 * mount's rules is another.
 */
bool cvq_mount_has_rules(const char *path, const struct cvq_policy *policy, bool *is_mount,
			 struct cvq_reason *reason);

#endif
