/* SPDX-License-Identifier: MIT */
/*
 * cvq run: a program, on a view that is mounted for it and taken away after it
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "cli/command.h"
#include "cli/namespace.h"
#include "cli/private_view.h"
#include "cli/signals.h"
#include "cli/supervise.h"
#include "cli/usage.h"

static const char usage[] =
	"usage: cvq run [options] SOURCE -- COMMAND...\n"
	"\n"
	"Mounts a view of SOURCE that is only COMMAND's, runs COMMAND, and takes the view\n"
	"away again, whatever happens. Each {} in COMMAND becomes the path of the view;\n"
	"it is in the environment as CVQ_MODEL_DIR, too. The exit code is COMMAND's: 127\n"
	"if there is no such program, 126 if it cannot be executed, 128 and the number of\n"
	"the signal that killed it.\n"
	"\n"
	"  --timeout SECONDS         how long names and sizes may be cached\n"
	"  --in-place                COMMAND, and nobody else, sees the view at SOURCE\n"
	"                            itself: no path needs changing\n" CVQ_POLICY_USAGE "\n"
	"  cvq run pretrained_models/CosyVoice2-0.5B -- python3 webui.py --model_dir {}\n";

/* The word with the path in place of each {}, to be freed; NULL if memory ran out. */
static char *fill_in(const char *word, const char *path)
{
	cleanup_buffer struct cvq_buffer text = {0};
	for (const char *hole; (hole = strstr(word, "{}")); word = hole + 2) {
		cvq_buffer_append(&text, word, (size_t)(hole - word));
		cvq_buffer_append(&text, path, strlen(path));
	}
	cvq_buffer_append(&text, word, strlen(word) + 1);
	return text.error ? NULL : (char *)steal_pointer(text.data);
}

static void free_words(char ***words)
{
	for (char **word = *words; word && *word; word++)
		free(*word);
	free(*words);
}

/* NULL if memory ran out. */
static char **fill_in_all(char *const *words, const char *path)
{
	size_t count = 0;
	while (words[count])
		count++;
	char **filled = calloc(count + 1, sizeof(*filled));
	for (size_t i = 0; filled && i < count; i++)
		if (!(filled[i] = fill_in(words[i], path))) {
			free_words(&filled);
			return NULL;
		}
	return filled;
}

static int run_program(const struct cvq_arguments *arguments, const char *folder,
		       const struct cvq_signals *signals, struct cvq_private_view *view)
{
	cvq_cleanup(free_words) char **words = fill_in_all(arguments->words, view->path);
	if (!words || setenv("CVQ_MODEL_DIR", view->path, 1))
		return cvq_fail_memory(CVQ_EXIT_NOT_EXECUTABLE);
	return cvq_supervise(words, folder, signals, view);
}

/* Where the view is to be is known. */
static int mount_and_run(const struct cvq_arguments *arguments,
			 struct cvq_private_view *view)
{
	struct cvq_signals signals;
	struct cvq_reason reason;
	cleanup_free char *folder = arguments->in_place ? getcwd(NULL, 0) : NULL;
	if (arguments->in_place && cvq_namespace_enter(&reason))
		return cvq_fail(CVQ_EXIT_MOUNT, "--in-place", &reason);
	cvq_err err = cvq_signals_take(&signals);
	if (err)
		return cvq_fail_with(CVQ_EXIT_MOUNT, NULL,
				     "signals cannot be read: %s (end other programs)",
				     strerror(-err));
	int code = cvq_private_view_mount(view, arguments, &signals);
	if (!code)
		code = run_program(arguments, folder, &signals, view);
	cvq_signals_release(&signals);
	return code;
}

static int run(const struct cvq_arguments *arguments)
{
	struct cvq_private_view view;
	int code = cvq_private_view_plan(&view, arguments);
	if (!code)
		code = mount_and_run(arguments, &view);
	cvq_private_view_end(&view);
	return code;
}

const struct cvq_command cvq_run_command = {
	.name = "run",
	.summary = "run a program on a view of its own",
	.usage = usage,
	.takes =
		CVQ_TAKES_POLICY | CVQ_TAKES_TIMEOUT | CVQ_TAKES_IN_PLACE | CVQ_TAKES_WORDS,
	.checksum = CVQ_CHECKSUM_SEAL,
	.paths = {"SOURCE"},
	.least_paths = 1,
	.most_paths = 1,
	.run = run,
};
