/* SPDX-License-Identifier: MIT */
/*
 * cvq inspect: the tensors of a checkpoint, or the files of a directory, and what becomes
 * of them
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/descriptors.h"
#include "base/human.h"
#include "base/json.h"
#include "cli/element.h"
#include "cli/json.h"
#include "cli/listing.h"
#include "cli/path.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "image/selection.h"
#include "view/decide.h"

static const char usage[] = "usage: cvq inspect [options] PATH\n"
			    "\n"
			    "Lists the tensors of the checkpoint PATH, or the files of the "
			    "directory PATH, and\n"
			    "says what cvq-mount would make of each and why. Nothing but "
			    "the description of the\n"
			    "tensors is read. A file is looked at whatever its name is.\n"
			    "\n"
			    "  --json                    the same as JSON, with exact "
			    "numbers\n" CVQ_POLICY_USAGE "\n"
			    "  cvq inspect pretrained_models/CosyVoice2-0.5B\n"
			    "  cvq inspect pretrained_models/CosyVoice2-0.5B/flow.pt\n";

static const char *count_files(uint64_t count, char text[64])
{
	snprintf(text, 64, "%" PRIu64 " file%s", count, count == 1 ? "" : "s");
	return text;
}

/* ========================================================================== */
/*                                 A directory                                */
/* ========================================================================== */

/* What the files of a directory come to. */
struct tally {
	uint64_t converted, passed;
	uint64_t source_bytes, view_bytes; /* of the converted ones */
};

static void count(struct tally *tally, const struct cvq_entry *entry)
{
	if (!cvq_entry_converted(entry)) {
		tally->passed++;
		return;
	}
	tally->converted++;
	tally->source_bytes += entry->version.size;
	tally->view_bytes += (uint64_t)entry->attributes.st_size;
}

static void add_file(struct cvq_table *table, const struct cvq_listed *listed)
{
	const struct cvq_entry *entry = &listed->entry;
	const bool converted = cvq_entry_converted(entry);
	char before[CVQ_HUMAN_SIZE], after[CVQ_HUMAN_SIZE], storages[64] = "-";
	if (converted) {
		const struct cvq_image_summary *summary = &entry->verdict->summary;
		snprintf(storages, sizeof(storages), "%" PRIu64 "/%" PRIu64,
			 summary->converted_storages, summary->storages);
	}
	const char *cells[] = {
		listed->path,
		converted ? "converted" : "passed",
		cvq_human_size(entry->version.size, before),
		cvq_human_size((uint64_t)entry->attributes.st_size, after),
		storages,
		converted ? NULL : entry->verdict->reason,
	};
	cvq_table_add(table, cells);
}

static int print_files(const struct cvq_listing *listing)
{
	static const struct cvq_column columns[] = {
		{"FILE", false, CVQ_CUT_MIDDLE},   {"STATE", false, CVQ_CUT_NEVER},
		{"SIZE", true, CVQ_CUT_NEVER},     {"IN VIEW", true, CVQ_CUT_NEVER},
		{"STORAGES", true, CVQ_CUT_NEVER}, {"REASON", false, CVQ_CUT_END},
	};
	cleanup_table struct cvq_table *table =
		cvq_table_create(columns, sizeof(columns) / sizeof(*columns));
	struct tally tally = {0};
	for (size_t i = 0; i < listing->count && table; i++) {
		if (!cvq_listed_is_file(&listing->items[i]))
			continue;
		count(&tally, &listing->items[i].entry);
		add_file(table, &listing->items[i]);
	}
	if (!table || cvq_table_print(table))
		return cvq_fail_memory(CVQ_EXIT_OUTPUT);
	char before[CVQ_HUMAN_SIZE], after[CVQ_HUMAN_SIZE], files[64];
	printf("%s converted (%s -> %s), %" PRIu64 " passed through\n",
	       count_files(tally.converted, files),
	       cvq_human_size(tally.source_bytes, before),
	       cvq_human_size(tally.view_bytes, after), tally.passed);
	return CVQ_EXIT_DONE;
}

/* The JSON of the file's attribute in a view, and its path. */
static json_t *describe_file(const struct cvq_view *view, const struct cvq_listed *listed)
{
	cleanup_free char *text = cvq_view_describe(view, &listed->entry);
	json_t *file = text ? json_loads(text, 0, NULL) : NULL;
	json_object_set_new(file, "path", cvq_json_text(listed->path));
	return file;
}

static json_t *describe_directory(const char *path, const struct cvq_view *view,
				  const struct cvq_listing *listing)
{
	struct tally tally = {0};
	json_t *files = json_array();
	for (size_t i = 0; i < listing->count; i++) {
		const struct cvq_listed *listed = &listing->items[i];
		if (!cvq_listed_is_file(listed))
			continue;
		count(&tally, &listed->entry);
		json_array_append_new(files, describe_file(view, listed));
	}
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "kind", "directory", "path",
			 cvq_json_text(path), "files_converted",
			 cvq_json_count(tally.converted), "files_passed",
			 cvq_json_count(tally.passed), "source_bytes",
			 cvq_json_count(tally.source_bytes), "view_bytes",
			 cvq_json_count(tally.view_bytes), "files", files);
}

static int inspect_directory(const struct cvq_arguments *arguments)
{
	const char *path = arguments->paths[0];
	struct cvq_listing listing;
	struct cvq_view *view;
	int code = cvq_listing_open(path, &arguments->policy, &view, &listing);
	if (code)
		return code;
	code = arguments->json ? cvq_json_print(describe_directory(path, view, &listing),
						CVQ_EXIT_DONE)
			       : print_files(&listing);
	cvq_listing_release(&listing);
	cvq_view_close(view);
	return code;
}

/* ========================================================================== */
/*                                   A file                                   */
/* ========================================================================== */

struct inspection {
	const char *path;
	const struct cvq_policy *policy;
	uint64_t size;
	struct cvq_checkpoint *checkpoint; /* NULL: it is none ... */
	struct cvq_selection selection;
	struct cvq_image *image;       /* NULL: it is passed through ... */
	struct cvq_reason reason;      /* ... and then this says why */
	struct cvq_reason name_reason; /* why its name keeps it; "" if it does not */
};

/* Returns as cvq_image_plan(). */
static cvq_err look(struct inspection *inspection, const struct cvq_source *source)
{
	const struct cvq_policy *policy = inspection->policy;
	cvq_err err = cvq_checkpoint_open(source, inspection->size, &inspection->checkpoint,
					  &inspection->reason);
	if (!err)
		err = cvq_selection_make(inspection->checkpoint, policy,
					 &inspection->selection);
	if (!err)
		err = cvq_image_plan_selected(inspection->checkpoint, inspection->size,
					      &inspection->selection, policy,
					      &inspection->image, &inspection->reason);
	return err;
}

static uint64_t tensor_bytes(const struct cvq_checkpoint *checkpoint,
			     const struct cvq_tensor *tensor)
{
	/* There its elements may be smaller than a byte. */
	if (checkpoint->format == CVQ_FORMAT_SAFETENSORS)
		return checkpoint->records[checkpoint->storage_records[tensor->storage]]
			.size;
	uint64_t bytes = checkpoint->storages[tensor->storage].item_size;
	bool overflow = false;
	for (uint32_t i = 0; i < tensor->dimensions; i++)
		overflow |= __builtin_mul_overflow(bytes, tensor->shape[i], &bytes);
	return overflow ? UINT64_MAX : bytes;
}

/* What becomes of the tensor: its bytes in the view, and why it is kept ("" if not). */
static uint64_t look_at_tensor(const struct inspection *inspection, size_t index,
			       struct cvq_reason *reason)
{
	const struct cvq_checkpoint *checkpoint = inspection->checkpoint;
	uint64_t bytes = tensor_bytes(checkpoint, &checkpoint->tensors[index]);
	reason->text[0] = '\0';
	if (!cvq_selection_converts(&inspection->selection, checkpoint, index, reason))
		return bytes;
	if (!inspection->image) {
		cvq_explain(reason, 0, "the whole file is passed through");
		return bytes;
	}
	return bytes / 2;
}

static void add_tensor(struct cvq_table *table, const struct inspection *inspection,
		       size_t index)
{
	const struct cvq_checkpoint *checkpoint = inspection->checkpoint;
	const struct cvq_tensor *tensor = &checkpoint->tensors[index];
	char before[CVQ_HUMAN_SIZE], after[CVQ_HUMAN_SIZE], decision[300];
	struct cvq_reason reason;
	uint64_t in_view = look_at_tensor(inspection, index, &reason);
	cleanup_free char *shape = cvq_shape_print(tensor->shape, tensor->dimensions);
	snprintf(decision, sizeof(decision), reason.text[0] ? "keep: %s" : "convert",
		 reason.text);
	const char *cells[] = {
		tensor->name,
		shape ? shape : "?",
		cvq_element_type_name(checkpoint->storages[tensor->storage].type),
		cvq_human_size(tensor_bytes(checkpoint, tensor), before),
		cvq_human_size(in_view, after),
		decision,
	};
	cvq_table_add(table, cells);
}

static cvq_err print_tensors(const struct inspection *inspection)
{
	static const struct cvq_column columns[] = {
		{"TENSOR", false, CVQ_CUT_MIDDLE}, {"SHAPE", false, CVQ_CUT_MIDDLE},
		{"DTYPE", false, CVQ_CUT_NEVER},   {"SIZE", true, CVQ_CUT_NEVER},
		{"IN VIEW", true, CVQ_CUT_NEVER},  {"DECISION", false, CVQ_CUT_END},
	};
	cleanup_table struct cvq_table *table =
		cvq_table_create(columns, sizeof(columns) / sizeof(*columns));
	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i < inspection->checkpoint->tensor_count; i++)
		add_tensor(table, inspection, i);
	return cvq_table_print(table);
}

/* Begins a line about the file. */
static void put_path(const struct inspection *inspection)
{
	cvq_put_readable(stdout, inspection->path);
	fputs(": ", stdout);
}

static int print_file(const struct inspection *inspection)
{
	char before[CVQ_HUMAN_SIZE], after[CVQ_HUMAN_SIZE];
	if (inspection->checkpoint && print_tensors(inspection))
		return cvq_fail_memory(CVQ_EXIT_OUTPUT);
	cvq_human_size(inspection->size, before);
	put_path(inspection);
	if (inspection->image) {
		const struct cvq_image_summary *summary =
			cvq_image_summary(inspection->image);
		printf("%" PRIu64 " of %" PRIu64 " storages convert to %s (%s -> %s)\n",
		       summary->converted_storages, summary->storages,
		       cvq_dtype_name(inspection->policy->dtype), before,
		       cvq_human_size(summary->view_size, after));
	} else {
		printf("passed through: %s (%s)\n", inspection->reason.text, before);
	}
	if (inspection->name_reason.text[0]) {
		put_path(inspection);
		printf("in a directory it is passed through: %s\n",
		       inspection->name_reason.text);
	}
	return CVQ_EXIT_DONE;
}

static json_t *describe_tensor(const struct inspection *inspection, size_t index)
{
	const struct cvq_checkpoint *checkpoint = inspection->checkpoint;
	const struct cvq_tensor *tensor = &checkpoint->tensors[index];
	struct cvq_reason reason;
	uint64_t in_view = look_at_tensor(inspection, index, &reason);
	json_t *shape = json_array();
	for (uint32_t i = 0; i < tensor->dimensions; i++)
		json_array_append_new(shape, cvq_json_count(tensor->shape[i]));
	return json_pack("{s:o, s:o, s:s, s:o, s:o, s:i, s:s, s:s?}", "name",
			 cvq_json_text(tensor->name), "shape", shape, "dtype",
			 cvq_element_type_name(checkpoint->storages[tensor->storage].type),
			 "bytes", cvq_json_count(tensor_bytes(checkpoint, tensor)),
			 "view_bytes", cvq_json_count(in_view), "storage",
			 (int)tensor->storage, "decision",
			 reason.text[0] ? "keep" : "convert", "reason",
			 reason.text[0] ? reason.text : NULL);
}

static json_t *describe_inspection(const struct inspection *inspection)
{
	static const char *const formats[] = {
		[CVQ_FORMAT_ZIP] = "zip",
		[CVQ_FORMAT_LEGACY] = "legacy",
		[CVQ_FORMAT_SAFETENSORS] = "safetensors",
	};
	const struct cvq_checkpoint *checkpoint = inspection->checkpoint;
	const struct cvq_image *image = inspection->image;
	const struct cvq_image_summary *summary = image ? cvq_image_summary(image) : NULL;
	json_t *tensors = json_array();
	for (size_t i = 0; checkpoint && i < checkpoint->tensor_count; i++)
		json_array_append_new(tensors, describe_tensor(inspection, i));
	return json_pack(
		"{s:s, s:o, s:s, s:s?, s:s?, s:s?, s:s?, s:o, s:o, s:o?, s:o, s:o}", "kind",
		"file", "path", cvq_json_text(inspection->path), "state",
		image ? "converted" : "passthrough", "reason",
		image ? NULL : inspection->reason.text, "name_reason",
		inspection->name_reason.text[0] ? inspection->name_reason.text : NULL,
		"format", checkpoint ? formats[checkpoint->format] : NULL, "dtype",
		image ? cvq_dtype_name(inspection->policy->dtype) : NULL, "source_size",
		cvq_json_count(inspection->size), "view_size",
		cvq_json_count(summary ? summary->view_size : inspection->size), "storages",
		checkpoint ? cvq_json_count(checkpoint->storage_count) : NULL,
		"converted_storages",
		cvq_json_count(summary ? summary->converted_storages : 0), "tensors",
		tensors);
}

static int inspect_file(const struct cvq_arguments *arguments,
			const struct cvq_source *source, uint64_t size)
{
	const char *path = arguments->paths[0];
	struct inspection inspection = {
		.path = path, .policy = &arguments->policy, .size = size};
	cvq_asks_for_conversion(&arguments->policy, cvq_path_name(path),
				&inspection.name_reason);
	cvq_err err = look(&inspection, source);
	int code;
	if (err && !cvq_is_of_content(err))
		code = cvq_fail_with(CVQ_EXIT_SOURCE, path,
				     "it cannot be read: %s (check it)", strerror(-err));
	else
		code = arguments->json ? cvq_json_print(describe_inspection(&inspection),
							CVQ_EXIT_DONE)
				       : print_file(&inspection);
	cvq_image_unref(inspection.image);
	cvq_selection_release(&inspection.selection);
	cvq_checkpoint_free(inspection.checkpoint);
	return code;
}

/* ========================================================================== */
/*                                 The command                                */
/* ========================================================================== */

static int run(const struct cvq_arguments *arguments)
{
	const char *path = arguments->paths[0];
	cleanup_fd int fd = cvq_open_any(AT_FDCWD, path);
	struct stat attributes;
	if (fd < 0 || fstat(fd, &attributes)) {
		struct cvq_reason reason;
		cvq_view_explain_path(-errno, &reason);
		return cvq_fail(CVQ_EXIT_SOURCE, path, &reason);
	}
	if (S_ISDIR(attributes.st_mode))
		return inspect_directory(arguments);
	if (!S_ISREG(attributes.st_mode))
		return cvq_fail_with(CVQ_EXIT_SOURCE, path,
				     "it is neither a file nor a directory (give a "
				     "checkpoint, or the directory that holds it)");
	const struct cvq_source source = {.fd = fd};
	return inspect_file(arguments, &source, (uint64_t)attributes.st_size);
}

const struct cvq_command cvq_inspect_command = {
	.name = "inspect",
	.summary = "list the tensors of a file, or the files of a directory",
	.usage = usage,
	.takes = CVQ_TAKES_POLICY | CVQ_TAKES_JSON,
	.checksum = CVQ_CHECKSUM_SEAL,
	.paths = {"PATH"},
	.least_paths = 1,
	.most_paths = 1,
	.run = run,
};
