/* SPDX-License-Identifier: MIT */
/*
 * The subcommands of cvq, and what all of them share
 */
#ifndef CVQ_CLI_COMMAND_H
#define CVQ_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "policy/policy.h"

enum cvq_exit {
	CVQ_EXIT_DONE = 0,
	CVQ_EXIT_FAULT = 1,  /* verify or check found one */
	CVQ_EXIT_USAGE = 2,  /* wrong usage or configuration */
	CVQ_EXIT_SOURCE = 3, /* missing, unreadable, not a directory, without checkpoints */
	CVQ_EXIT_MOUNT = 4,
	CVQ_EXIT_OUTPUT = 5, /* could not be written */
	/* Of run, as a shell has them: */
	CVQ_EXIT_NOT_EXECUTABLE = 126,
	CVQ_EXIT_NOT_FOUND = 127,
};

/* Options that a subcommand may take. */
enum cvq_takes {
	CVQ_TAKES_POLICY = 1 << 0, /* those of cvq_policy_set() but --timeout; --config */
	CVQ_TAKES_FORCE = 1 << 1,
	CVQ_TAKES_QUIET = 1 << 2,
	CVQ_TAKES_JSON = 1 << 3,
	CVQ_TAKES_IN_PLACE = 1 << 4,
	CVQ_TAKES_WORDS = 1 << 5, /* any number of words behind the paths: a command */
	CVQ_TAKES_TIMEOUT = 1 << 6,
};

/* What follows the subcommand on the command line. */
struct cvq_arguments {
	struct cvq_policy policy;
	const char *config;
	bool help, force, quiet, json, in_place;
	char **given; /* the policy's options, each as one word for cvq-mount */
	size_t given_count, given_capacity;
	char *const *paths; /* 'path_count' of them ... */
	size_t path_count;
	char *const *words; /* ... then these, up to a NULL */
};

#define CVQ_MOST_PATHS 2

struct cvq_command {
	const char *name;
	const char *summary;        /* one line for the list of subcommands */
	const char *usage;          /* what --help prints: synopsis, options, example */
	unsigned takes;             /* enum cvq_takes */
	enum cvq_checksum checksum; /* the default */
	const char *paths[CVQ_MOST_PATHS]; /* what they are called in the usage */
	size_t least_paths, most_paths;
	/* Returns an exit code. */
	int (*run)(const struct cvq_arguments *arguments);
};

extern const struct cvq_command cvq_check_command;
extern const struct cvq_command cvq_convert_command;
extern const struct cvq_command cvq_inspect_command;
extern const struct cvq_command cvq_run_command;
extern const struct cvq_command cvq_status_command;
extern const struct cvq_command cvq_verify_command;

/*
 * Reads the command line behind the subcommand; 'argv[0]' is its name.  May move the
 * elements of 'argv', which is borrowed.  Returns 0, or a negative errno with the reason
 * and the place that it is about: "FILE:LINE" of a configuration, to be freed, or NULL.
 * Release in any case.
 */
cvq_err cvq_arguments_parse(const struct cvq_command *command, int argc, char *argv[],
			    struct cvq_arguments *arguments, char **place,
			    struct cvq_reason *reason);
void cvq_arguments_release(struct cvq_arguments *arguments);

/* Prints "cvq: PATH: REASON" to stderr and returns 'code'.  'path' may be NULL. */
int cvq_fail(enum cvq_exit code, const char *path, const struct cvq_reason *reason);

/* The same for a sentence of its own. */
int cvq_fail_with(enum cvq_exit code, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same where memory ran out. */
int cvq_fail_memory(enum cvq_exit code);

/* Prints what is no failure in the same form. */
void cvq_remark(const char *path, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
