/* SPDX-License-Identifier: MIT */
/*
 * cvq check: whether a directory is a complete CosyVoice package
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cosyvoice/package.h"
#include "view/view.h"

static const char usage[] =
	"usage: cvq check [options] DIR\n"
	"\n"
	"Says in a moment what CosyVoice's AutoModel would find out in minutes: whether "
	"DIR,\n"
	"a model directory or a view of one, has every file that it opens, and the "
	"weights\n"
	"that its yaml describes. No weights are read, nothing is executed or written.\n"
	"\n"
	"  --json                    print the findings as JSON\n"
	"\n"
	"Ends with 0 if DIR is complete, with 1 if it is not or if it has no yaml to "
	"check\n"
	"the weights by, with 3 if it cannot be read.\n"
	"\n"
	"  cvq check pretrained_models/CosyVoice2-0.5B\n";

/* ========================================================================== */
/*                                    Table                                   */
/* ========================================================================== */

/* How a finding is marked, on terminals that know the signs and on others. */
static const char *mark_of(enum cvq_mark mark, bool unicode)
{
	switch (mark) {
	case CVQ_MARK_OK:
		return unicode ? "\u2713" : "ok   ";
	case CVQ_MARK_FAULT:
		return unicode ? "\u2717" : "FAULT";
	case CVQ_MARK_NOTE:
		break;
	}
	return unicode ? "\u2022" : "note ";
}

static int width_of(const struct cvq_package_report *report, bool of_files)
{
	size_t width = 1;
	for (size_t i = 0; i < report->count; i++) {
		const struct cvq_finding *finding = &report->findings[i];
		size_t length = strlen(of_files ? finding->file : finding->check);
		width = length > width ? length : width;
	}
	return (int)width;
}

static void print_verdict(const struct cvq_package_report *report, const char *directory)
{
	size_t faults = 0;
	for (size_t i = 0; i < report->count; i++)
		faults += report->findings[i].mark == CVQ_MARK_FAULT;
	cvq_put_readable(stdout, directory);
	switch (report->state) {
	case CVQ_PACKAGE_COMPLETE:
		printf(" is a complete %s\n", report->kind);
		break;
	case CVQ_PACKAGE_FAULTY:
		printf(" is no complete %s: %zu fault%s\n",
		       report->kind ? report->kind : "package", faults,
		       faults == 1 ? "" : "s");
		break;
	case CVQ_PACKAGE_UNCHECKED:
		puts(" cannot be checked: it has weights but no yaml");
		break;
	}
}

static void print_table(const struct cvq_package_report *report, const char *directory)
{
	setlocale(LC_CTYPE, "");
	bool unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	int check_width = width_of(report, false);
	int file_width = width_of(report, true);
	for (size_t i = 0; i < report->count; i++) {
		const struct cvq_finding *finding = &report->findings[i];
		printf("%s %-*s  %-*s  %s%s%s%s\n", mark_of(finding->mark, unicode),
		       check_width, finding->check, file_width,
		       *finding->file ? finding->file : ".", finding->text.text,
		       finding->remedy ? " (" : "", finding->remedy ? finding->remedy : "",
		       finding->remedy ? ")" : "");
	}
	print_verdict(report, directory);
}

/* ========================================================================== */
/*                                    JSON                                    */
/* ========================================================================== */

/* As tests/schemas/check.json has it; NULL if memory ran out. */
static json_t *describe(const struct cvq_package_report *report, const char *directory)
{
	static const char *const states[] = {"complete", "faulty", "unchecked"};
	static const char *const results[] = {"ok", "fault", "note"};
	json_t *findings = json_array();
	int failed = findings ? 0 : -1;
	for (size_t i = 0; i < report->count && !failed; i++) {
		const struct cvq_finding *finding = &report->findings[i];
		failed = json_array_append_new(
			findings, json_pack("{s:s, s:s, s:s, s:s, s:s?}", "result",
					    results[finding->mark], "check", finding->check,
					    "file", finding->file, "text",
					    finding->text.text, "remedy", finding->remedy));
	}
	if (failed) {
		json_decref(findings);
		return NULL;
	}
	return json_pack("{s:o, s:s?, s:s, s:o}", "path", cvq_json_text(directory), "kind",
			 report->kind, "state", states[report->state], "findings",
			 findings);
}

/* ========================================================================== */
/*                                   Command                                  */
/* ========================================================================== */

static int run(const struct cvq_arguments *arguments)
{
	const char *directory = arguments->paths[0];
	cleanup_fd int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		struct cvq_reason reason;
		cvq_view_explain_open(-errno, directory, &reason);
		return cvq_fail(CVQ_EXIT_SOURCE, directory, &reason);
	}
	struct cvq_package_report report;
	const struct cvq_package_files files = {cvq_package_open_at, &fd};
	cvq_err err = cvq_package_check(&files, &report);
	int code = report.state == CVQ_PACKAGE_COMPLETE ? CVQ_EXIT_DONE : CVQ_EXIT_FAULT;
	if (err)
		code = cvq_fail_memory(CVQ_EXIT_SOURCE);
	else if (arguments->json)
		code = cvq_json_print(describe(&report, directory), code);
	else
		print_table(&report, directory);
	cvq_package_report_release(&report);
	return code;
}

const struct cvq_command cvq_check_command = {
	.name = "check",
	.summary = "is this a complete CosyVoice package?",
	.usage = usage,
	.takes = CVQ_TAKES_JSON,
	.paths = {"DIR"},
	.least_paths = 1,
	.most_paths = 1,
	.run = run,
};
