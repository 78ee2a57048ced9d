/* SPDX-License-Identifier: MIT */
/*
 * The command line of cvq-mount
 */
#ifndef CVQ_MOUNT_OPTIONS_H
#define CVQ_MOUNT_OPTIONS_H

#include <stdbool.h>

#include "base/error.h"
#include "policy/policy.h"

struct cvq_mount_options {
	const char *source;     /* as given, or NULL */
	const char *mountpoint; /* as given, or NULL */
	char *config;           /* the configuration that was read, or NULL */
	struct cvq_policy policy;
	bool help;
	bool version;
	bool foreground;
	bool debug;
	bool allow_other;
	bool allow_root;
	bool default_permissions;
	bool auto_unmount;
	bool nonempty;
	bool noexec;
	bool direct_io;         /* no page cache of the view ... */
	bool drop_source_cache; /* ... or of the source, once it is converted */
	bool check;             /* mount complete packages only */
	char *fsname;           /* shown in place of the source's path, or NULL */
	unsigned max_threads;   /* 0: as the machine has processors */
	/* Of "cvq run", see lifeline.h; no others should need them, so --help is silent: */
	int lifeline; /* a descriptor, or -1 */
	bool remove_mountpoint;
};

/*
 * Reads the command line, and the configuration below it.  Returns 0, also when
 * --help or --version make the rest superfluous; -ENOMEM; or another negative errno
 * with the reason, and in '*place' what it is about: "/etc/cvq.ini:7", to be freed,
 * or NULL for the command line.  Release in any case.
 */
cvq_err cvq_mount_options_parse(struct cvq_mount_options *options, int argc,
				char *const argv[], char **place,
				struct cvq_reason *reason);
void cvq_mount_options_release(struct cvq_mount_options *options);

/* Whether the kernel judges by the attributes who may do what: allow_other without that
 * would let everybody read everything. */
static inline bool cvq_mount_checks_permissions(const struct cvq_mount_options *options)
{
	return options->default_permissions || options->allow_other || options->allow_root;
}

/* What --help prints. */
extern const char cvq_mount_usage[];

#endif
