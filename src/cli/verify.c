/* SPDX-License-Identifier: MIT */
/*
 * cvq verify: whether a view, a converted directory, or what a mount would show, is what
 * it must be
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/listing.h"
#include "cli/mount_rules.h"
#include "cli/path.h"
#include "cli/usage.h"
#include "cli/verify_file.h"

static const char usage[] =
	"usage: cvq verify [options] SOURCE [VIEW]\n"
	"\n"
	"Reads every tensor of VIEW back, be it a mount or a directory that cvq convert "
	"or\n"
	"another program wrote, and proves it bit for bit against its own conversion of\n"
	"SOURCE; what is kept or passed through must be SOURCE's own bits. Without VIEW "
	"it\n"
	"verifies what a mount would show. Both may also be single files, which are "
	"compared\n"
	"whatever their names are, unless a pattern keeps SOURCE's. What is no tensor is "
	"not\n"
	"compared.\n"
	"\n"
	"For each tensor and file it measures what the conversion costs, over the numbers\n"
	"that are finite before and after: the largest absolute and relative error, the "
	"root\n"
	"of the mean square error, the signal-to-noise ratio; and it counts numbers that "
	"are\n"
	"too large for the type (OVER), subnormal in it (SUBN), that become zero (ZERO), "
	"and\n"
	"NaNs.\n"
	"\n"
	"  --json                    the same as JSON, with exact numbers\n"
	"  --quiet                   only the files, not their tensors\n" CVQ_POLICY_USAGE
	"\n"
	"  cvq verify pretrained_models/CosyVoice2-0.5B /mnt/quantized\n"
	"\n"
	"Exit codes: 0 equal, 1 a fault was found, 3 SOURCE or VIEW is missing.\n";

/* ========================================================================== */
/*                                 A directory                                */
/* ========================================================================== */

static int verify_file(struct cvq_verification *verification, struct cvq_view *view,
		       struct cvq_listed *listed, struct cvq_subject *subject)
{
	cleanup_content struct cvq_content content;
	cvq_err err = cvq_listed_open(view, listed, &content);
	if (err)
		return cvq_verify_fail(subject->source_path, err);
	subject->content = &content;
	subject->version = &listed->entry.version;
	subject->verdict = listed->entry.verdict;
	return cvq_verify_subject(verification, subject);
}

/* Whether the view's symlink leads where the source's does; if not, says so. */
static bool same_link(struct cvq_view *view, const struct cvq_subject *subject,
		      struct cvq_reason *fault)
{
	char wanted[PATH_MAX], found[PATH_MAX] = "";
	cvq_err err = cvq_view_read_link(view, subject->path, wanted, sizeof(wanted));
	ssize_t length = readlink(subject->view_path, found, sizeof(found) - 1);
	if (!err && length >= 0 && strcmp(found, wanted) == 0)
		return true;
	cvq_explain(fault, 0, "it leads to '%.100s', not to '%.100s'", found,
		    err ? "?" : wanted);
	return false;
}

/* What is a symlink in the source: the same one, or what other programs make of it, a copy
 * of what it leads to. */
static int verify_link(struct cvq_verification *verification, struct cvq_view *view,
		       struct cvq_subject *subject)
{
	struct stat there, target;
	struct cvq_reason fault;
	if (lstat(subject->view_path, &there))
		return cvq_verify_fault(verification, subject, "it is missing");
	if (S_ISLNK(there.st_mode))
		return same_link(view, subject, &fault)
			       ? CVQ_EXIT_DONE
			       : cvq_verify_fault(verification, subject, fault.text);
	if (stat(subject->source_path, &target) ||
	    ((there.st_mode ^ target.st_mode) & S_IFMT) != 0)
		return cvq_verify_fault(verification, subject,
					"it is neither a symlink nor a copy of what the "
					"source's leads to");
	return S_ISREG(target.st_mode) ? cvq_verify_path(verification, subject, false)
				       : CVQ_EXIT_DONE;
}

static int verify_folder(struct cvq_verification *verification,
			 const struct cvq_subject *subject)
{
	struct stat there;
	if (stat(subject->view_path, &there))
		return cvq_verify_fault(verification, subject, "it is missing");
	if (!S_ISDIR(there.st_mode))
		return cvq_verify_fault(verification, subject, "it is no directory");
	return CVQ_EXIT_DONE;
}

static int verify_listed(struct cvq_verification *verification, struct cvq_view *view,
			 struct cvq_listed *listed)
{
	cleanup_free char *source_path = NULL, *view_path = NULL;
	if (asprintf(&source_path, "%s/%s", verification->source,
		     cvq_entry_source_path(&listed->entry, listed->path)) < 0 ||
	    (verification->view &&
	     asprintf(&view_path, "%s/%s", verification->view, listed->path) < 0))
		return cvq_verify_fail(verification->source, -ENOMEM);
	struct cvq_subject subject = {
		.path = listed->path, .source_path = source_path, .view_path = view_path};
	switch (listed->entry.attributes.st_mode & S_IFMT) {
	case S_IFREG:
		return verify_file(verification, view, listed, &subject);
	case S_IFLNK:
		return view_path ? verify_link(verification, view, &subject)
				 : CVQ_EXIT_DONE;
	case S_IFDIR:
		return view_path ? verify_folder(verification, &subject) : CVQ_EXIT_DONE;
	default: /* sockets and the like have no content */
		return CVQ_EXIT_DONE;
	}
}

/* Takes what lies in VIEW off the listing, if VIEW lies in SOURCE. */
static void leave_view_out(const struct cvq_verification *verification,
			   struct cvq_listing *listing)
{
	cleanup_free char *source = realpath(verification->source, NULL);
	cleanup_free char *view =
		verification->view ? realpath(verification->view, NULL) : NULL;
	if (!source || !view || strcmp(source, view) == 0 ||
	    !cvq_path_lies_in(view, source))
		return;
	const char *inside = view + strlen(source) + (strcmp(source, "/") != 0);
	size_t kept = 0;
	for (size_t i = 0; i < listing->count; i++) {
		struct cvq_listed listed = listing->items[i];
		if (cvq_path_lies_in(listed.path, inside)) {
			cvq_entry_release(&listed.entry);
			free(listed.path);
		} else {
			listing->items[kept++] = listed;
		}
	}
	listing->count = kept;
}

static int verify_listing(struct cvq_verification *verification, struct cvq_view *view,
			  const struct cvq_listing *listing, bool shows_bar)
{
	uint64_t total = 0, converted = 0;
	for (size_t i = 0; i < listing->count; i++) {
		const struct cvq_entry *entry = &listing->items[i].entry;
		bool is_converted = cvq_entry_converted(entry);
		converted += is_converted;
		if (is_converted || (verification->view && entry->verdict))
			total += entry->version.size;
	}
	if (converted == 0)
		return cvq_listing_none_converts(verification->source,
						 verification->rules.policy, listing,
						 "nothing is verified");
	int code = CVQ_EXIT_DONE;
	cvq_progress_begin(&verification->progress, total, !shows_bar);
	for (size_t i = 0; i < listing->count && !code; i++)
		code = verify_listed(verification, view, &listing->items[i]);
	cvq_progress_clear(&verification->progress);
	return code;
}

static int verify_directory(struct cvq_verification *verification, bool shows_bar)
{
	struct cvq_listing listing;
	struct cvq_view *view;
	int code = cvq_listing_open(verification->source, verification->rules.policy, &view,
				    &listing);
	if (code)
		return code;
	leave_view_out(verification, &listing);
	code = verify_listing(verification, view, &listing, shows_bar);
	cvq_listing_release(&listing);
	cvq_view_close(view);
	return code;
}

/* ========================================================================== */
/*                                 The command                                */
/* ========================================================================== */

static int verify_all(struct cvq_verification *verification, bool is_directory)
{
	const struct cvq_report *report = &verification->report;
	bool shows_bar = !report->json && !report->quiet && isatty(STDERR_FILENO);
	if (is_directory)
		return verify_directory(verification, shows_bar);
	struct stat attributes;
	uint64_t size = stat(verification->source, &attributes) == 0
				? (uint64_t)attributes.st_size
				: 0;
	cvq_progress_begin(&verification->progress, size, !shows_bar);
	struct cvq_subject subject = {
		.path = cvq_path_name(verification->source),
		.source_path = verification->source,
		.view_path = verification->view,
	};
	return cvq_verify_path(verification, &subject, true);
}

/* Looks at what kind of things were given.  A file is looked for in a VIEW that is a
 * directory: then '*joined' is its path, to be freed. */
static int check_kinds(struct cvq_verification *verification, bool *is_directory,
		       char **joined)
{
	const char *source = verification->source, *view = verification->view;
	struct stat attributes;
	struct cvq_reason reason;
	if (stat(source, &attributes)) {
		cvq_view_explain_path(-errno, &reason);
		return cvq_fail(CVQ_EXIT_SOURCE, source, &reason);
	}
	*is_directory = S_ISDIR(attributes.st_mode);
	if (!*is_directory && !S_ISREG(attributes.st_mode))
		return cvq_fail_with(CVQ_EXIT_SOURCE, source,
				     "it is neither a file nor a directory (give a "
				     "checkpoint, or the directory that holds it)");
	if (!view)
		return CVQ_EXIT_DONE;
	/* Of a directory the files are opened by their names: it need not be listed. */
	if (stat(view, &attributes) ||
	    faccessat(AT_FDCWD, view, S_ISDIR(attributes.st_mode) ? X_OK : R_OK,
		      AT_EACCESS)) {
		cvq_view_explain_path(-errno, &reason);
		return cvq_fail(CVQ_EXIT_SOURCE, view, &reason);
	}
	if (*is_directory && !S_ISDIR(attributes.st_mode))
		return cvq_fail_with(CVQ_EXIT_USAGE, view,
				     "it is no directory, as SOURCE is (give two "
				     "directories, or two files)");
	bool is_mount;
	if (!cvq_mount_has_rules(view, verification->rules.policy, &is_mount, &reason))
		return cvq_fail(CVQ_EXIT_USAGE, view, &reason);
	if (is_mount)
		verification->rules.waived = NULL;
	if (*is_directory || !S_ISDIR(attributes.st_mode))
		return CVQ_EXIT_DONE;
	if (asprintf(joined, "%s/%s", view, cvq_path_name(source)) < 0)
		return cvq_verify_fail(source, -ENOMEM);
	verification->view = *joined;
	return CVQ_EXIT_DONE;
}

static int run(const struct cvq_arguments *arguments)
{
	signal(SIGXFSZ, SIG_IGN); /* where there is no room to inflate, reading fails */
	cleanup_free char *joined = NULL;
	bool is_directory = false;
	cvq_cleanup(cvq_policy_release) struct cvq_policy defaults;
	if (cvq_policy_init(&defaults))
		return cvq_verify_fail(arguments->paths[0], -ENOMEM);
	struct cvq_verification verification = {
		.rules.policy = &arguments->policy,
		.source = arguments->paths[0],
		.view = arguments->path_count > 1 ? arguments->paths[1] : NULL,
	};
	/* Other programs know nothing of our defaults; what is mounted does. */
	if (verification.view)
		verification.rules.waived = &defaults.keep_tensors;
	int code = check_kinds(&verification, &is_directory, &joined);
	if (code)
		return code;
	verification.report = (struct cvq_report){
		.source = verification.source,
		.view = verification.view,
		.policy = verification.rules.policy,
		.json = arguments->json,
		.quiet = arguments->quiet,
	};
	code = cvq_report_begin(&verification.report)
		       ? cvq_verify_fail(verification.source, -ENOMEM)
		       : verify_all(&verification, is_directory);
	if (!code)
		code = cvq_report_end(&verification.report);
	cvq_report_release(&verification.report);
	return code;
}

const struct cvq_command cvq_verify_command = {
	.name = "verify",
	.summary = "prove that a view or a converted directory is exact",
	.usage = usage,
	.takes = CVQ_TAKES_POLICY | CVQ_TAKES_JSON | CVQ_TAKES_QUIET,
	.checksum = CVQ_CHECKSUM_SEAL,
	.paths = {"SOURCE", "VIEW"},
	.least_paths = 1,
	.most_paths = 2,
	.run = run,
};
