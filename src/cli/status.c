/* SPDX-License-Identifier: MIT */
/*
 * cvq status: how mounted views fare, in their own words
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/human.h"
#include "base/json.h"
#include "base/mountinfo.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/status_attribute.h"
#include "cli/table.h"

static const char usage[] =
	"usage: cvq status [options] [MOUNTPOINT]\n"
	"\n"
	"Says how the view at MOUNTPOINT fares: its source and options, what was read so\n"
	"far, how long that took, and errors. Without MOUNTPOINT it lists all views that\n"
	"are mounted on this machine.\n"
	"\n"
	"  --json                    the same as JSON\n"
	"\n"
	"  cvq status\n"
	"  cvq status /mnt/quantized\n";

/* ========================================================================== */
/*                                  The views                                 */
/* ========================================================================== */

struct places {
	char **paths;
	size_t count, capacity;
};

static void release_places(struct places *places)
{
	for (size_t i = 0; i < places->count; i++)
		free(places->paths[i]);
	free(places->paths);
}

/* What is mounted at a path hides what was mounted there before. */
static void forget(struct places *places, const char *path)
{
	for (size_t i = 0; i < places->count; i++)
		if (strcmp(places->paths[i], path) == 0) {
			free(places->paths[i]);
			places->count--;
			memmove(places->paths + i, places->paths + i + 1,
				(places->count - i) * sizeof(*places->paths));
			return;
		}
}

static cvq_err add(struct places *places, const char *path)
{
	cvq_err err = cvq_grow((void **)&places->paths, &places->capacity, places->count,
			       sizeof(*places->paths));
	char *copy = err ? NULL : strdup(path);
	if (!copy)
		return -ENOMEM;
	places->paths[places->count++] = copy;
	return 0;
}

static cvq_err find_views(struct places *places)
{
	cleanup_mounts struct cvq_mounts mounts;
	cvq_err err = cvq_mounts_open(&mounts);
	struct cvq_mounted mounted;
	const char *path;
	while (!err && (path = cvq_mounts_next(&mounts, &mounted))) {
		forget(places, path);
		if (cvq_mounted_is_view(&mounted) && mounted.whole)
			err = add(places, path);
	}
	return err;
}

/* Why cvq_status_read() fails at 'path'. */
static void explain(cvq_err err, const char *path, struct cvq_reason *reason)
{
	switch (err) {
	case -ENODATA:
		cvq_explain(reason, err,
			    "no view is mounted there (cvq status lists those that are)");
		return;
	case -ENOTCONN:
	case -ECONNABORTED:
		cvq_explain(reason, err,
			    "the view is dead, its cvq-mount was killed (clear it: "
			    "fusermount3 -u %s)",
			    strlen(path) <= 100 ? path : "MOUNTPOINT");
		return;
	case -EACCES:
		cvq_explain(
			reason, err,
			"only the user who has mounted it can look into it (ask as that "
			"user)");
		return;
	default:
		cvq_explain(reason, err, "%s (give a directory where a view is mounted)",
			    strerror(-err));
	}
}

/* ========================================================================== */
/*                                   Values                                   */
/* ========================================================================== */

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : "";
}

static uint64_t count_of(const json_t *object, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(object, name));
	return value > 0 ? (uint64_t)value : 0;
}

static void append(struct cvq_buffer *buffer, const char *text)
{
	cvq_buffer_append(buffer, text, text ? strlen(text) : 0);
}

/* "*.pt *.pth"; or of an object, "llm.pt=llm.rl.pt".  To be freed; NULL: out of memory. */
static char *join(json_t *list)
{
	cleanup_buffer struct cvq_buffer text = {0};
	size_t index;
	const char *key;
	json_t *item;
	json_array_foreach(list, index, item)
	{
		append(&text, text.length ? " " : "");
		append(&text, json_string_value(item));
	}
	json_object_foreach(list, key, item)
	{
		append(&text, text.length ? " " : "");
		append(&text, key);
		append(&text, "=");
		append(&text, json_string_value(item));
	}
	cvq_buffer_append(&text, "", 1);
	return text.error ? NULL : (char *)steal_pointer(text.data);
}

/* "2.3 GiB -> 1.2 GiB" */
static const char *describe_sizes(const json_t *status, char text[80])
{
	char before[CVQ_HUMAN_SIZE], after[CVQ_HUMAN_SIZE];
	snprintf(text, 80, "%s -> %s",
		 cvq_human_size(count_of(status, "source_bytes"), before),
		 cvq_human_size(count_of(status, "view_bytes"), after));
	return text;
}

static const char *describe_count(const json_t *status, const char *name, char text[32])
{
	/* The census of a large source ends before it is complete. */
	bool complete = json_is_true(json_object_get(status, "census_complete"));
	snprintf(text, 32, "%s%" PRIu64, complete ? "" : ">= ", count_of(status, name));
	return text;
}

/* ========================================================================== */
/*                                  One view                                  */
/* ========================================================================== */

/* The status, which is taken over, with the place of the view. */
static json_t *describe(const char *path, json_t *status)
{
	json_t *object = json_pack("{s:o}", "mountpoint", cvq_json_text(path));
	json_object_update(object, status);
	json_decref(status);
	return object;
}

static void add_line(struct cvq_table *table, const char *name, const char *value)
{
	const char *cells[] = {name, value};
	if (*value)
		cvq_table_add(table, cells);
}

static void add_list(struct cvq_table *table, const char *name, json_t *list)
{
	cleanup_free char *text = join(list);
	add_line(table, name, text ? text : "");
}

static void add_options(struct cvq_table *table, json_t *options)
{
	static const char *const single[] = {"config",   "dtype", "overflow",
					     "checksum", "align", "symlinks"};
	for (size_t i = 0; i < sizeof(single) / sizeof(*single); i++)
		add_line(table, single[i], text_of(options, single[i]));
	add_list(table, "convert", json_object_get(options, "convert"));
	add_list(table, "keep", json_object_get(options, "keep"));
	add_list(table, "keep tensors", json_object_get(options, "keep_tensor"));
	add_list(table, "aliases", json_object_get(options, "alias"));
}

static void add_activity(struct cvq_table *table, const json_t *status)
{
	char text[160], read[CVQ_HUMAN_SIZE], converted[CVQ_HUMAN_SIZE],
		ahead[CVQ_HUMAN_SIZE];
	snprintf(text, sizeof(text),
		 "%" PRIu64 " (%s read from the source, %s converted, %s ahead of readers)",
		 count_of(status, "reads"),
		 cvq_human_size(count_of(status, "bytes_read"), read),
		 cvq_human_size(count_of(status, "bytes_converted"), converted),
		 cvq_human_size(count_of(status, "bytes_ahead"), ahead));
	add_line(table, "reads", text);
	snprintf(text, sizeof(text), "50 %% within %.0f us, 90 %% %.0f us, 99 %% %.0f us",
		 json_number_value(json_object_get(status, "read_p50_us")),
		 json_number_value(json_object_get(status, "read_p90_us")),
		 json_number_value(json_object_get(status, "read_p99_us")));
	add_line(table, "time", count_of(status, "reads") > 0 ? text : "");
	snprintf(text, sizeof(text), "%" PRIu64, count_of(status, "errors"));
	add_line(table, "errors", text);
	add_line(table, "last error", text_of(status, "last_error"));
}

static int print_view(const char *path, const json_t *status)
{
	static const struct cvq_column columns[] = {
		{"FIELD", false, CVQ_CUT_NEVER},
		{"VALUE", false, CVQ_CUT_NEVER},
	};
	cleanup_table struct cvq_table *table = cvq_table_create(columns, 2);
	if (!table)
		return cvq_fail_memory(CVQ_EXIT_OUTPUT);
	char text[192], number[32], other[32], sizes[80];
	add_line(table, "view", path);
	add_line(table, "source", text_of(status, "source"));
	snprintf(text, sizeof(text), "%s converted (%s), %s passed through",
		 describe_count(status, "files_converted", number),
		 describe_sizes(status, sizes),
		 describe_count(status, "files_passed", other));
	add_line(table, "files", text);
	add_options(table, json_object_get(status, "options"));
	snprintf(text, sizeof(text), "cvq-mount %s, process %" PRIu64,
		 text_of(status, "version"), count_of(status, "pid"));
	add_line(table, "served by", text);
	add_line(table, "for", cvq_human_time((double)count_of(status, "uptime_s"), text));
	add_activity(table, status);
	if (cvq_table_print(table))
		return cvq_fail_memory(CVQ_EXIT_OUTPUT);
	return CVQ_EXIT_DONE;
}

static int show_view(const char *path, bool json)
{
	json_t *status;
	struct cvq_reason reason;
	cvq_err err = cvq_status_read(path, &status);
	if (err) {
		explain(err, path, &reason);
		return cvq_fail(CVQ_EXIT_SOURCE, path, &reason);
	}
	if (json)
		return cvq_json_print(describe(path, status), CVQ_EXIT_DONE);
	int code = print_view(path, status);
	json_decref(status);
	return code;
}

/* ========================================================================== */
/*                                  All views                                 */
/* ========================================================================== */

static void add_view(struct cvq_table *table, const char *path, const json_t *status)
{
	char converted[32], passed[32], sizes[80], errors[32];
	char read[CVQ_HUMAN_SIZE], uptime[CVQ_HUMAN_SIZE];
	snprintf(errors, sizeof(errors), "%" PRIu64, count_of(status, "errors"));
	const char *cells[] = {
		path,
		text_of(status, "source"),
		describe_count(status, "files_converted", converted),
		describe_count(status, "files_passed", passed),
		describe_sizes(status, sizes),
		cvq_human_size(count_of(status, "bytes_read"), read),
		errors,
		cvq_human_time((double)count_of(status, "uptime_s"), uptime),
	};
	cvq_table_add(table, cells);
}

/* A row for each that can be read, and then a line on stderr for each that cannot. */
static int print_views(const struct places *places)
{
	static const struct cvq_column columns[] = {
		{"VIEW", false, CVQ_CUT_MIDDLE},    {"SOURCE", false, CVQ_CUT_MIDDLE},
		{"CONVERTED", true, CVQ_CUT_NEVER}, {"PASSED", true, CVQ_CUT_NEVER},
		{"SIZE", true, CVQ_CUT_NEVER},      {"READ", true, CVQ_CUT_NEVER},
		{"ERRORS", true, CVQ_CUT_NEVER},    {"TIME", true, CVQ_CUT_NEVER},
	};
	cleanup_table struct cvq_table *table =
		cvq_table_create(columns, sizeof(columns) / sizeof(*columns));
	cleanup_free cvq_err *errors = calloc(places->count + 1, sizeof(*errors));
	for (size_t i = 0; i < places->count && table && errors; i++) {
		json_t *status;
		errors[i] = cvq_status_read(places->paths[i], &status);
		if (!errors[i])
			add_view(table, places->paths[i], status);
		json_decref(status);
	}
	if (!table || !errors || cvq_table_print(table))
		return cvq_fail_memory(CVQ_EXIT_OUTPUT);
	fflush(stdout);
	for (size_t i = 0; i < places->count; i++) {
		struct cvq_reason reason;
		if (!errors[i])
			continue;
		explain(errors[i], places->paths[i], &reason);
		cvq_remark(places->paths[i], "%s", reason.text);
	}
	return CVQ_EXIT_DONE;
}

static int print_views_as_json(const struct places *places)
{
	json_t *views = json_array();
	for (size_t i = 0; i < places->count; i++) {
		const char *path = places->paths[i];
		struct cvq_reason reason;
		json_t *status;
		cvq_err err = cvq_status_read(path, &status);
		if (err) {
			explain(err, path, &reason);
			status = json_pack("{s:o}", "error", cvq_json_text(reason.text));
		}
		json_array_append_new(views, describe(path, status));
	}
	return cvq_json_print(views, CVQ_EXIT_DONE);
}

static int show_views(bool json)
{
	cvq_cleanup(release_places) struct places places = {0};
	cvq_err err = find_views(&places);
	if (err)
		return cvq_fail_with(CVQ_EXIT_SOURCE, "/proc/self/mountinfo",
				     "%s (is /proc mounted?)", strerror(-err));
	if (json)
		return print_views_as_json(&places);
	if (places.count == 0)
		puts("no view is mounted");
	return print_views(&places);
}

static int run(const struct cvq_arguments *arguments)
{
	if (arguments->path_count > 0)
		return show_view(arguments->paths[0], arguments->json);
	return show_views(arguments->json);
}

const struct cvq_command cvq_status_command = {
	.name = "status",
	.summary = "say how mounted views fare",
	.usage = usage,
	.takes = CVQ_TAKES_JSON,
	.paths = {"MOUNTPOINT"},
	.least_paths = 0,
	.most_paths = 1,
	.run = run,
};
