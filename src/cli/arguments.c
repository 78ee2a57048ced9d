/* SPDX-License-Identifier: MIT */
/*
 * The command line behind a subcommand, read with getopt_long(3)
 *
 * It is read twice, as the configuration that it may name lies under its options.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "cli/command.h"
#include "policy/config.h"

/* Values of struct option.val; what is below is a letter. */
enum {
	OPTION_POLICY = 256,
	OPTION_CONFIG,
	OPTION_FORCE,
	OPTION_QUIET,
	OPTION_JSON,
	OPTION_IN_PLACE,
};

static const struct own_option {
	struct option option;
	unsigned takes; /* what the subcommand must take for it; 0: nothing */
} own_options[] = {
	{{"help", no_argument, NULL, 'h'}, 0},
	{{"config", required_argument, NULL, OPTION_CONFIG}, CVQ_TAKES_POLICY},
	{{"force", no_argument, NULL, OPTION_FORCE}, CVQ_TAKES_FORCE},
	{{"quiet", no_argument, NULL, OPTION_QUIET}, CVQ_TAKES_QUIET},
	{{"json", no_argument, NULL, OPTION_JSON}, CVQ_TAKES_JSON},
	{{"in-place", no_argument, NULL, OPTION_IN_PLACE}, CVQ_TAKES_IN_PLACE},
};

#define OWN_COUNT (sizeof(own_options) / sizeof(*own_options))

/* The options of the subcommand for getopt_long(), to be freed; NULL if memory ran out. */
static struct option *list_options(const struct cvq_command *command)
{
	size_t policy_count = 0, count = 0;
	while (cvq_policy_option_name(policy_count, NULL))
		policy_count++;
	struct option *list = calloc(OWN_COUNT + policy_count + 1, sizeof(*list));
	if (!list)
		return NULL;
	for (size_t i = 0; i < OWN_COUNT; i++)
		if ((own_options[i].takes & ~command->takes) == 0)
			list[count++] = own_options[i].option;
	for (size_t i = 0; command->takes & CVQ_TAKES_POLICY && i < policy_count; i++) {
		bool takes_value;
		const char *name = cvq_policy_option_name(i, &takes_value);
		/* Nothing to who mounts nothing. */
		if (strcmp(name, "timeout") == 0 && !(command->takes & CVQ_TAKES_TIMEOUT))
			continue;
		list[count++] =
			(struct option){name, takes_value ? required_argument : no_argument,
					NULL, OPTION_POLICY};
	}
	return list;
}

static cvq_err set_flag(struct cvq_arguments *arguments, int letter)
{
	switch (letter) {
	case 'h':
		arguments->help = true;
		return 0;
	case OPTION_CONFIG:
		arguments->config = optarg;
		return 0;
	case OPTION_FORCE:
		arguments->force = true;
		return 0;
	case OPTION_QUIET:
		arguments->quiet = true;
		return 0;
	case OPTION_JSON:
		arguments->json = true;
		return 0;
	case OPTION_IN_PLACE:
		arguments->in_place = true;
		return 0;
	default:
		return -EINVAL;
	}
}

/* Names what getopt_long() stumbled over: 'argument', or a letter of the one behind it. */
static cvq_err refuse_option(const struct cvq_command *command, const char *argument,
			     bool missing_value, struct cvq_reason *reason)
{
	const char *what = "there is no such option";
	char letter[] = {'-', (char)optopt, '\0'};
	if (missing_value)
		what = "a value is missing";
	else if (optopt == 'h' || optopt >= OPTION_POLICY)
		what = "it takes no value";
	else if (optopt)
		argument = letter;
	return cvq_explain(reason, -EINVAL, "%.80s: %s (see cvq %s --help)", argument, what,
			   command->name);
}

static void forget_given(struct cvq_arguments *arguments)
{
	while (arguments->given_count > 0)
		free(arguments->given[--arguments->given_count]);
}

/* Remembers the policy's option, which has been read, if it is one. */
static cvq_err remember(struct cvq_arguments *arguments, int letter, const char *name)
{
	if (letter != OPTION_POLICY && letter != OPTION_CONFIG)
		return 0;
	char *word;
	cvq_err err = cvq_grow((void **)&arguments->given, &arguments->given_capacity,
			       arguments->given_count, sizeof(*arguments->given));
	if (err ||
	    asprintf(&word, "--%s%s%s", name, optarg ? "=" : "", optarg ? optarg : "") < 0)
		return -ENOMEM;
	arguments->given[arguments->given_count++] = word;
	return 0;
}

static cvq_err parse_options(const struct cvq_command *command, int argc, char *argv[],
			     const struct option *list, struct cvq_arguments *arguments,
			     struct cvq_reason *reason)
{
	int letter, index = 0;
	opterr = 0;
	optind = 0; /* from the start, also of what getopt_long() keeps in mind */
	forget_given(arguments);
	while ((letter = getopt_long(argc, argv, ":h", list, &index)) != -1) {
		if (letter == '?' || letter == ':')
			return refuse_option(command, argv[optind - 1], letter == ':',
					     reason);
		struct cvq_reason detail = {""};
		cvq_err err = letter == OPTION_POLICY
				      ? cvq_policy_set(&arguments->policy, list[index].name,
						       optarg, &detail)
				      : set_flag(arguments, letter);
		err = err ? err : remember(arguments, letter, list[index].name);
		if (err == -EINVAL)
			return cvq_explain(reason, err, "--%s: %s", list[index].name,
					   detail.text);
		if (err)
			return err;
	}
	return 0;
}

static cvq_err take_paths(const struct cvq_command *command, char *argv[], size_t count,
			  struct cvq_arguments *arguments, struct cvq_reason *reason)
{
	if (count < command->least_paths)
		return cvq_explain(reason, -EINVAL, "%s is missing (see cvq %s --help)",
				   command->paths[count], command->name);
	if (count > command->most_paths)
		return cvq_explain(reason, -EINVAL,
				   "%.80s: there is one argument too many (see cvq %s "
				   "--help)",
				   argv[command->most_paths], command->name);
	arguments->paths = argv;
	arguments->path_count = count;
	return 0;
}

/* Takes a command and its arguments off the end: what lies behind "--". */
static cvq_err take_words(const struct cvq_command *command, int *argc, char *argv[],
			  struct cvq_arguments *arguments, struct cvq_reason *reason)
{
	for (int i = 1; i < *argc && !arguments->words; i++)
		if (strcmp(argv[i], "--") == 0) {
			arguments->words = argv + i + 1;
			*argc = i;
		}
	if (arguments->words && *arguments->words)
		return 0;
	return cvq_explain(reason, -EINVAL,
			   "a command is missing (put -- before it; see cvq %s --help)",
			   command->name);
}

static cvq_err set_defaults(const struct cvq_command *command, struct cvq_policy *policy)
{
	cvq_err err = cvq_policy_init(policy);
	policy->checksum = command->checksum;
	return err;
}

/* Reads the options, over the configuration that they name or that is found. */
static cvq_err parse_over_config(const struct cvq_command *command, int argc, char *argv[],
				 const struct option *list, struct cvq_arguments *arguments,
				 char **place, struct cvq_reason *reason)
{
	cvq_err err = parse_options(command, argc, argv, list, arguments, reason);
	if (err || arguments->help || !(command->takes & CVQ_TAKES_POLICY))
		return err;
	cleanup_free char *config = NULL;
	err = arguments->config ? 0 : cvq_config_find(&config);
	const char *path = arguments->config ? arguments->config : config;
	if (err || !path)
		return err;

	cvq_policy_release(&arguments->policy);
	err = set_defaults(command, &arguments->policy);
	err = err ? err : cvq_config_load(&arguments->policy, path, place, reason);
	return err ? err : parse_options(command, argc, argv, list, arguments, reason);
}

cvq_err cvq_arguments_parse(const struct cvq_command *command, int argc, char *argv[],
			    struct cvq_arguments *arguments, char **place,
			    struct cvq_reason *reason)
{
	*arguments = (struct cvq_arguments){0};
	*place = NULL;
	struct cvq_reason no_words = {""};
	cvq_err words = command->takes & CVQ_TAKES_WORDS
				? take_words(command, &argc, argv, arguments, &no_words)
				: 0;
	cleanup_free struct option *list = list_options(command);
	cvq_err err = list ? set_defaults(command, &arguments->policy) : -ENOMEM;
	if (!err)
		err = parse_over_config(command, argc, argv, list, arguments, place,
					reason);
	if (err || arguments->help)
		return err;
	if (words)
		return cvq_explain(reason, words, "%s", no_words.text);
	return take_paths(command, argv + optind, (size_t)(argc - optind), arguments,
			  reason);
}

void cvq_arguments_release(struct cvq_arguments *arguments)
{
	cvq_policy_release(&arguments->policy);
	forget_given(arguments);
	free(arguments->given);
}
