/* SPDX-License-Identifier: MIT */
#include "cli/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "cli/json.h"

/* Tensors that are named on stderr, of each file. */
#define MOST_MESSAGES 10

/* The columns of both tables: a name, measures and counts, and a word. */
enum {
	NAME,
	MAX_ERROR,
	MAX_RELATIVE,
	RMS_ERROR,
	SNR,
	OVERFLOW,
	SUBNORMAL,
	UNDERFLOW,
	NANS
};
enum { RESULT = NANS + 1, COLUMNS };

#define DEFINE_COLUMNS(variable, first)                                                    \
	static const struct cvq_column variable[COLUMNS] = {                               \
		{first, false, CVQ_CUT_MIDDLE},   {"MAX ERR", true, CVQ_CUT_NEVER},        \
		{"MAX REL", true, CVQ_CUT_NEVER}, {"RMS ERR", true, CVQ_CUT_NEVER},        \
		{"SNR dB", true, CVQ_CUT_NEVER},  {"OVER", true, CVQ_CUT_NEVER},           \
		{"SUBN", true, CVQ_CUT_NEVER},    {"ZERO", true, CVQ_CUT_NEVER},           \
		{"NAN", true, CVQ_CUT_NEVER},     {"RESULT", false, CVQ_CUT_NEVER},        \
	}
DEFINE_COLUMNS(file_columns, "FILE");
DEFINE_COLUMNS(tensor_columns, "TENSOR");

/* A row of them. */
struct row {
	char texts[COLUMNS][24];
	const char *cells[COLUMNS];
};

static void set_count(struct row *row, unsigned column, uint64_t count)
{
	snprintf(row->texts[column], sizeof(row->texts[column]), "%" PRIu64, count);
	row->cells[column] = row->texts[column];
}

static void set_measure(struct row *row, unsigned column, double value, const char *format)
{
	if (isnan(value))
		return;
	snprintf(row->texts[column], sizeof(row->texts[column]), format, value);
	row->cells[column] = row->texts[column];
}

/* Without 'accuracy', nothing was converted that could be measured. */
static void fill_row(struct row *row, const char *name, const struct cvq_accuracy *accuracy,
		     const char *result)
{
	for (unsigned i = 0; i < COLUMNS; i++)
		row->cells[i] = NULL;
	row->cells[NAME] = name;
	row->cells[RESULT] = result;
	if (!accuracy || accuracy->count == 0)
		return;
	set_measure(row, MAX_ERROR, accuracy->largest_error, "%.2e");
	set_measure(row, MAX_RELATIVE, accuracy->largest_relative_error, "%.2e");
	set_measure(row, RMS_ERROR, cvq_accuracy_rms_error(accuracy), "%.2e");
	set_measure(row, SNR, cvq_accuracy_snr(accuracy), "%.1f");
	set_count(row, OVERFLOW, accuracy->overflow);
	set_count(row, SUBNORMAL, accuracy->subnormal);
	set_count(row, UNDERFLOW, accuracy->underflow);
	set_count(row, NANS, accuracy->nan);
}

/* That of all converted tensors of a file. */
static struct cvq_accuracy sum_up(const struct cvq_comparison *comparison,
				  uint64_t *other_nans)
{
	struct cvq_accuracy sum = {0};
	*other_nans = 0;
	for (size_t i = 0; comparison && i < comparison->count; i++) {
		cvq_accuracy_merge(&sum, &comparison->tensors[i].accuracy);
		*other_nans += comparison->tensors[i].other_nans;
	}
	return sum;
}

static bool is_faulty_as_whole(const struct cvq_verified *verified)
{
	return verified->fault.text[0] != '\0';
}

/* Faulty tensors, and the file as a whole. */
static uint64_t count_faults(const struct cvq_verified *verified)
{
	return (verified->comparison ? verified->comparison->faults : 0) +
	       is_faulty_as_whole(verified);
}

static const char *name_of(const struct cvq_compared *tensor)
{
	return tensor->source ? tensor->source->name : tensor->view->name;
}

/* ========================================================================== */
/*                                   As text                                  */
/* ========================================================================== */

static cvq_err print_tensors(const struct cvq_verified *verified)
{
	const struct cvq_comparison *comparison = verified->comparison;
	cleanup_table struct cvq_table *table = cvq_table_create(tensor_columns, COLUMNS);
	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i < comparison->count; i++) {
		const struct cvq_compared *tensor = &comparison->tensors[i];
		struct row row;
		fill_row(&row, name_of(tensor), &tensor->accuracy,
			 tensor->fault       ? "FAULT"
			 : tensor->waived    ? "waived"
			 : tensor->converted ? "equal"
					     : "kept");
		cvq_table_add(table, row.cells);
	}
	cvq_put_readable(stdout, verified->path);
	putchar('\n');
	cvq_err err = cvq_table_print(table);
	putchar('\n');
	return err;
}

static bool is_waived(const struct cvq_compared *tensor)
{
	return tensor->waived && !tensor->fault;
}

static uint64_t count_waived(const struct cvq_comparison *comparison)
{
	uint64_t count = 0;
	for (size_t i = 0; comparison && i < comparison->count; i++)
		count += is_waived(&comparison->tensors[i]);
	return count;
}

/* What is no fault, but other than a view would have it. */
static void print_waived(const struct cvq_verified *verified)
{
	const struct cvq_comparison *comparison = verified->comparison;
	uint64_t named = 0;
	for (size_t i = 0; comparison && i < comparison->count; i++) {
		const struct cvq_compared *tensor = &comparison->tensors[i];
		if (is_waived(tensor) && named++ < MOST_MESSAGES)
			cvq_remark(verified->where,
				   "'%.100s' is converted, exactly, though the pattern "
				   "'%.40s' keeps it (a view has it in FP32)",
				   name_of(tensor), tensor->waived);
	}
	if (named > MOST_MESSAGES)
		cvq_remark(verified->where,
			   "%" PRIu64 " more of its tensors are converted so (--json "
			   "names them)",
			   named - MOST_MESSAGES);
}

/* Equal as it is, such a file is not what its reader hopes for. */
static void print_unfit(const struct cvq_verified *verified)
{
	if (verified->unfit)
		cvq_remark(verified->where,
			   "it cannot be converted and is passed through: %s",
			   verified->reason);
}

static void print_faults(const struct cvq_verified *verified)
{
	const struct cvq_comparison *comparison = verified->comparison;
	uint64_t named = 0;
	if (is_faulty_as_whole(verified))
		cvq_fail(CVQ_EXIT_FAULT, verified->where, &verified->fault);
	for (size_t i = 0; comparison && i < comparison->count; i++) {
		const struct cvq_compared *tensor = &comparison->tensors[i];
		if (tensor->fault && named++ < MOST_MESSAGES)
			cvq_fail_with(CVQ_EXIT_FAULT, verified->where, "'%.100s' %s",
				      name_of(tensor), tensor->fault);
	}
	if (named > MOST_MESSAGES)
		cvq_fail_with(CVQ_EXIT_FAULT, verified->where,
			      "%" PRIu64 " more of its tensors are not equal (--json names "
			      "them)",
			      named - MOST_MESSAGES);
}

static cvq_err print_file(struct cvq_report *report, const struct cvq_verified *verified)
{
	uint64_t other_nans;
	bool faulty = count_faults(verified) > 0;
	struct cvq_accuracy sum = sum_up(verified->comparison, &other_nans);
	struct row row;
	fill_row(&row, verified->path, &sum,
		 faulty                ? "FAULT"
		 : verified->converted ? "equal"
				       : "passed");
	cvq_table_add(report->table, row.cells);
	if (verified->comparison && !report->quiet)
		return print_tensors(verified);
	return 0;
}

static void print_sum(const struct cvq_report *report)
{
	cvq_put_readable(stdout, report->view ? report->view : report->source);
	printf(": %" PRIu64 " file%s converted with %" PRIu64 " tensors, %" PRIu64
	       " passed through, ",
	       report->converted, report->converted == 1 ? "" : "s", report->tensors,
	       report->passed);
	if (report->faults == 0 && report->waived > 0)
		printf("all exact, %" PRIu64 " tensor%s converted though a pattern keeps "
		       "%s\n",
		       report->waived, report->waived == 1 ? "" : "s",
		       report->waived == 1 ? "it" : "them");
	else if (report->faults == 0)
		printf("all as they must be\n");
	else
		printf("%" PRIu64 " fault%s in %" PRIu64 " file%s\n", report->faults,
		       report->faults == 1 ? "" : "s", report->faulty,
		       report->faulty == 1 ? "" : "s");
}

/* ========================================================================== */
/*                                   As JSON                                  */
/* ========================================================================== */

/* A measure; null if there is none, or if it is infinite. */
static json_t *describe_measure(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *describe_accuracy(const struct cvq_accuracy *accuracy, uint64_t other_nans)
{
	if (accuracy->count == 0)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "elements", cvq_json_count(accuracy->count), "overflow",
			 cvq_json_count(accuracy->overflow), "subnormal",
			 cvq_json_count(accuracy->subnormal), "underflow",
			 cvq_json_count(accuracy->underflow), "infinite",
			 cvq_json_count(accuracy->infinite), "nan",
			 cvq_json_count(accuracy->nan), "other_nan",
			 cvq_json_count(other_nans), "max_error",
			 describe_measure(accuracy->largest_error), "max_relative_error",
			 describe_measure(accuracy->largest_relative_error), "rms_error",
			 describe_measure(cvq_accuracy_rms_error(accuracy)), "snr_db",
			 describe_measure(cvq_accuracy_snr(accuracy)));
}

static json_t *describe_shape(const uint64_t *numbers, size_t count)
{
	json_t *array = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, cvq_json_count(numbers[i]));
	return array;
}

static void describe_difference(const struct cvq_comparison *comparison,
				const struct cvq_compared *tensor, json_t *fault)
{
	char expected[CVQ_ELEMENT_TEXT], found[CVQ_ELEMENT_TEXT];
	cleanup_free uint64_t *index = NULL;
	size_t count = cvq_compared_index(comparison, tensor, &index);
	cvq_element_print(tensor->expected_type, tensor->differences.expected,
			  tensor->expected_size, expected);
	cvq_element_print(tensor->expected_type, tensor->differences.found,
			  tensor->expected_size, found);
	json_object_set_new(fault, "index", describe_shape(index, count));
	json_object_set_new(fault, "expected", json_string(expected));
	json_object_set_new(fault, "found", json_string(found));
	json_object_set_new(fault, "differing", cvq_json_count(tensor->differences.count));
}

static json_t *describe_fault(const struct cvq_comparison *comparison,
			      const struct cvq_compared *tensor)
{
	static const char *const kinds[] = {
		[CVQ_OUTCOME_VALUES] = "values",   [CVQ_OUTCOME_DTYPE] = "dtype",
		[CVQ_OUTCOME_SHAPE] = "shape",     [CVQ_OUTCOME_MISSING] = "missing",
		[CVQ_OUTCOME_SURPLUS] = "surplus", [CVQ_OUTCOME_UNREADABLE] = "unreadable",
	};
	if (!tensor->fault)
		return json_null();
	json_t *fault = json_pack("{s:s, s:o}", "kind", kinds[tensor->outcome], "text",
				  cvq_json_text(tensor->fault));
	if (tensor->outcome == CVQ_OUTCOME_VALUES)
		describe_difference(comparison, tensor, fault);
	return fault;
}

static json_t *describe_tensor(const struct cvq_comparison *comparison,
			       const struct cvq_compared *tensor)
{
	const struct cvq_tensor *form = tensor->source ? tensor->source : tensor->view;
	return json_pack(
		"{s:o, s:o, s:s?, s:b, s:o, s:b, s:o, s:o}", "name",
		cvq_json_text(name_of(tensor)), "shape",
		describe_shape(form->shape, form->dimensions), "dtype",
		tensor->expected_type ? cvq_element_type_name(tensor->expected_type) : NULL,
		"converted", (int)tensor->converted, "waived",
		is_waived(tensor) ? cvq_json_text(tensor->waived) : json_null(), "equal",
		tensor->fault == NULL, "fault", describe_fault(comparison, tensor),
		"accuracy", describe_accuracy(&tensor->accuracy, tensor->other_nans));
}

static cvq_err describe_file(struct cvq_report *report, const struct cvq_verified *verified)
{
	const struct cvq_comparison *comparison = verified->comparison;
	uint64_t other_nans;
	struct cvq_accuracy sum = sum_up(comparison, &other_nans);
	json_t *tensors = json_array();
	for (size_t i = 0; comparison && i < comparison->count; i++)
		json_array_append_new(tensors,
				      describe_tensor(comparison, &comparison->tensors[i]));
	const char *fault = verified->fault.text;
	json_t *file =
		json_pack("{s:o, s:s, s:s?, s:b, s:o, s:o, s:o}", "path",
			  cvq_json_text(verified->path), "state",
			  verified->converted ? "converted" : "passthrough", "reason",
			  verified->reason, "equal", count_faults(verified) == 0, "fault",
			  *fault ? cvq_json_text(fault) : json_null(), "accuracy",
			  describe_accuracy(&sum, other_nans), "tensors", tensors);
	return json_array_append_new(report->files, file) ? -ENOMEM : 0;
}

static json_t *describe_whole(struct cvq_report *report)
{
	const struct cvq_policy *policy = report->policy;
	return json_pack("{s:o, s:o, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:O}",
			 "source", cvq_json_text(report->source), "view",
			 report->view ? cvq_json_text(report->view) : json_null(), "dtype",
			 cvq_dtype_name(policy->dtype), "overflow",
			 cvq_overflow_name(policy->overflow), "equal", report->faults == 0,
			 "files_converted", cvq_json_count(report->converted),
			 "files_passed", cvq_json_count(report->passed), "tensors",
			 cvq_json_count(report->tensors), "faults",
			 cvq_json_count(report->faults), "waived",
			 cvq_json_count(report->waived), "files", report->files);
}

/* ========================================================================== */
/*                                  The report                                */
/* ========================================================================== */

cvq_err cvq_report_begin(struct cvq_report *report)
{
	report->table = cvq_table_create(file_columns, COLUMNS);
	report->files = json_array();
	return report->table && report->files ? 0 : -ENOMEM;
}

void cvq_report_release(struct cvq_report *report)
{
	cvq_table_free(report->table);
	json_decref(report->files);
}

cvq_err cvq_report_file(struct cvq_report *report, const struct cvq_verified *verified)
{
	const struct cvq_comparison *comparison = verified->comparison;
	uint64_t faults = count_faults(verified);
	report->converted += verified->converted;
	report->passed += !verified->converted;
	report->tensors += comparison ? comparison->count : 0;
	report->faults += faults;
	report->faulty += faults > 0;
	report->waived += count_waived(comparison);
	cvq_err err = report->json ? describe_file(report, verified)
				   : print_file(report, verified);
	fflush(stdout); /* before what stderr says of it */
	print_unfit(verified);
	print_faults(verified);
	print_waived(verified);
	return err;
}

int cvq_report_end(struct cvq_report *report)
{
	int code = report->faults ? CVQ_EXIT_FAULT : CVQ_EXIT_DONE;
	if (report->json)
		return cvq_json_print(describe_whole(report), code);
	if (cvq_table_print(report->table))
		return cvq_fail_memory(CVQ_EXIT_OUTPUT);
	print_sum(report);
	return code;
}
