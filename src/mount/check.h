/* SPDX-License-Identifier: MIT */
/*
 * Whether the source is a complete CosyVoice package, as the view will show it
 */
#ifndef CVQ_MOUNT_CHECK_H
#define CVQ_MOUNT_CHECK_H

#include "cosyvoice/package.h"
#include "policy/policy.h"

/*
 * Checks the directory under the names that the aliases of 'policy' give to its files.
 * Returns 0 with the report, or a negative errno.  Release the report in any case.
 */
cvq_err cvq_check_source(const char *directory, const struct cvq_policy *policy,
			 struct cvq_package_report *report);

#endif
