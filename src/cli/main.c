/* SPDX-License-Identifier: MIT */
/*
 * cvq: everything except mounting
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "cli/command.h"
#include "cvq/cvq.h"

static const struct cvq_command *const commands[] = {
	&cvq_check_command, &cvq_convert_command, &cvq_inspect_command,
	&cvq_run_command,   &cvq_status_command,  &cvq_verify_command,
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(*commands))

/* ========================================================================== */
/*                                  Messages                                  */
/* ========================================================================== */

static void say(enum cvq_level level, const char *path, const struct cvq_reason *reason)
{
	const struct cvq_log log = {.program = "cvq"};
	cvq_log(&log, level, "%s%s%s", path ? path : "", path ? ": " : "", reason->text);
}

int cvq_fail(enum cvq_exit code, const char *path, const struct cvq_reason *reason)
{
	say(CVQ_LOG_ERROR, path, reason);
	return code;
}

int cvq_fail_with(enum cvq_exit code, const char *path, const char *format, ...)
{
	struct cvq_reason reason;
	va_list arguments;
	va_start(arguments, format);
	cvq_explain_list(&reason, 0, format, arguments);
	va_end(arguments);
	return cvq_fail(code, path, &reason);
}

int cvq_fail_memory(enum cvq_exit code)
{
	return cvq_fail_with(code, NULL, "out of memory (end other programs)");
}

void cvq_remark(const char *path, const char *format, ...)
{
	struct cvq_reason reason;
	va_list arguments;
	va_start(arguments, format);
	cvq_explain_list(&reason, 0, format, arguments);
	va_end(arguments);
	say(CVQ_LOG_WARNING, path, &reason);
}

static void print_help(void)
{
	printf("usage: cvq SUBCOMMAND [options] ...\n\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
	printf("\n  -h, --help     print this help\n"
	       "  -V, --version  print the version\n\n"
	       "cvq SUBCOMMAND --help says more, with an example.  To mount a view, see\n"
	       "cvq-mount --help.\n");
}

/* ========================================================================== */
/*                                Subcommands                                 */
/* ========================================================================== */

static const struct cvq_command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static int run_command(const struct cvq_command *command, int argc, char *argv[])
{
	struct cvq_arguments arguments;
	struct cvq_reason reason = {""};
	int code = CVQ_EXIT_DONE;
	cleanup_free char *place = NULL;
	cvq_err err = cvq_arguments_parse(command, argc, argv, &arguments, &place, &reason);
	if (err == -ENOMEM)
		cvq_explain(&reason, err, "out of memory (end other programs)");
	if (err)
		code = cvq_fail(CVQ_EXIT_USAGE, place, &reason);
	else if (arguments.help)
		fputs(command->usage, stdout);
	else
		code = command->run(&arguments);
	cvq_arguments_release(&arguments);
	return code;
}

/* What was printed may have been lost long before, or only now. */
static int close_output(int code)
{
	bool lost = fflush(stdout) || ferror(stdout);
	if (!lost)
		return code;
	cvq_fail_with(CVQ_EXIT_OUTPUT, NULL,
		      "standard output cannot be written (make room, or write elsewhere)");
	return code ? code : CVQ_EXIT_OUTPUT;
}

int main(int argc, char *argv[])
{
	cvq_fill_standard_descriptors();
	if (argc < 2)
		return cvq_fail_with(CVQ_EXIT_USAGE, NULL,
				     "a subcommand is missing (see cvq --help)");
	const char *name = argv[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		print_help();
		return close_output(CVQ_EXIT_DONE);
	}
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		printf("cvq %s\n", CVQ_VERSION_STRING);
		return close_output(CVQ_EXIT_DONE);
	}
	const struct cvq_command *command = find_command(name);
	if (!command)
		return cvq_fail_with(CVQ_EXIT_USAGE, NULL,
				     "%.80s: there is no such subcommand (see cvq --help)",
				     name);
	return close_output(run_command(command, argc - 1, argv + 1));
}
