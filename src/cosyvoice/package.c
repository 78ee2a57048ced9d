/* SPDX-License-Identifier: MIT */
#include "cosyvoice/package.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "cosyvoice/check.h"

const char *const cvq_part_files[CVQ_PARTS] = {"llm.pt", "flow.pt", "hift.pt"};

const char *cvq_kind_name(unsigned kind)
{
	static const char *const names[] = {"CosyVoice", "CosyVoice2", "CosyVoice3"};
	return names[kind - 1];
}

/* ========================================================================== */
/*                                 The report                                 */
/* ========================================================================== */

void cvq_found(struct cvq_check *check, enum cvq_mark mark, const char *name,
	       const char *file, const char *remedy, const char *format, ...)
{
	struct cvq_package_report *report = check->report;
	if (check->error)
		return;
	check->error = cvq_grow((void **)&report->findings, &report->capacity,
				report->count, sizeof(*report->findings));
	if (check->error)
		return;
	struct cvq_finding *finding = &report->findings[report->count++];
	*finding = (struct cvq_finding){
		.mark = mark, .check = name, .file = file, .remedy = remedy};
	va_list arguments;
	va_start(arguments, format);
	cvq_explain_list(&finding->text, 0, format, arguments);
	va_end(arguments);
}

void cvq_package_report_release(struct cvq_package_report *report)
{
	free(report->findings);
	*report = (struct cvq_package_report){0};
}

const struct cvq_finding *cvq_package_obstacle(const struct cvq_package_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		if (report->findings[i].mark == CVQ_MARK_FAULT)
			return &report->findings[i];
	/* Without a yaml, the first finding says so. */
	return report->state == CVQ_PACKAGE_UNCHECKED ? &report->findings[0] : NULL;
}

/* ========================================================================== */
/*                                  The check                                 */
/* ========================================================================== */

static bool has_weights(const struct cvq_check *check)
{
	for (enum cvq_part part = 0; part < CVQ_PARTS; part++)
		if (cvq_package_has(check, cvq_part_files[part]))
			return true;
	return false;
}

/* Weights without a yaml are no broken package: there is nothing to hold them against. */
static void check_without_yaml(struct cvq_check *check)
{
	if (!has_weights(check)) {
		cvq_found(check, CVQ_MARK_FAULT, "kind", "",
			  "give the directory that AutoModel is given",
			  "there is neither a yaml nor llm.pt, flow.pt or hift.pt");
		return;
	}
	cvq_found(
		check, CVQ_MARK_NOTE, "kind", "",
		"to load it with AutoModel, add the yaml; to mount or convert it, none is "
		"needed",
		"there is no cosyvoice.yaml, cosyvoice2.yaml or cosyvoice3.yaml, so the "
		"weights cannot be checked");
	cvq_check_weights_alone(check);
	for (enum cvq_part part = 0; part < CVQ_PARTS; part++) {
		unsigned kind =
			check->parts[part] ? cvq_kind_of_part(part, check->parts[part]) : 0;
		if (kind)
			cvq_found(check, CVQ_MARK_NOTE, "names", cvq_part_files[part], NULL,
				  "has the names of a %s's tensors", cvq_kind_name(kind));
	}
}

static void run(struct cvq_check *check)
{
	cvq_check_yaml(check);
	if (check->kind == 0) {
		check_without_yaml(check);
		return;
	}
	if (check->yaml)
		cvq_check_model(check);
	cvq_check_files(check);
	if (check->yaml) {
		cvq_check_parts(check);
		cvq_check_rules(check);
	}
	cvq_check_writes(check);
}

static void release(struct cvq_check *check)
{
	for (enum cvq_part part = 0; part < CVQ_PARTS; part++)
		cvq_weights_close(check->parts[part]);
	cvq_weights_close(check->speakers);
	cvq_weights_close(check->pretrained);
	json_decref(check->qwen);
	cvq_yaml_free(check->yaml);
}

static enum cvq_package_state find_state(const struct cvq_check *check)
{
	for (size_t i = 0; i < check->report->count; i++)
		if (check->report->findings[i].mark == CVQ_MARK_FAULT)
			return CVQ_PACKAGE_FAULTY;
	return check->kind ? CVQ_PACKAGE_COMPLETE : CVQ_PACKAGE_UNCHECKED;
}

cvq_err cvq_package_check(const struct cvq_package_files *files,
			  struct cvq_package_report *report)
{
	*report = (struct cvq_package_report){0};
	struct cvq_check check = {.files = files, .report = report};
	run(&check);
	report->kind = check.kind ? cvq_kind_name(check.kind) : NULL;
	report->state = find_state(&check);
	release(&check);
	return check.error;
}
