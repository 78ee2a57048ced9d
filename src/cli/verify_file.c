/* SPDX-License-Identifier: MIT */
#include "cli/verify_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/descriptors.h"
#include "cli/command.h"
#include "cli/compare.h"
#include "view/decide.h"

/* Of files that are passed through, compared at a time. */
#define PIECE_BYTES (1u << 20)

/* A file of the view, open. */
struct counterpart {
	struct cvq_source source;
	uint64_t size;
};

int cvq_verify_fail(const char *path, cvq_err err)
{
	if (err == -ENOMEM)
		return cvq_fail_memory(CVQ_EXIT_OUTPUT);
	if (err == -ESTALE)
		return cvq_fail_with(CVQ_EXIT_SOURCE, path,
				     "it was modified meanwhile (verify it again)");
	return cvq_fail_with(CVQ_EXIT_SOURCE, path, "it cannot be read: %s (check it)",
			     cvq_compare_failure(err));
}

static cvq_err report(struct cvq_verification *verification,
		      const struct cvq_verified *verified)
{
	cvq_progress_clear(&verification->progress);
	return cvq_report_file(&verification->report, verified);
}

int cvq_verify_fault(struct cvq_verification *verification,
		     const struct cvq_subject *subject, const char *fault)
{
	struct cvq_verified verified = {.path = subject->path, .where = subject->view_path};
	cvq_explain(&verified.fault, 0, "%s", fault);
	cvq_err err = report(verification, &verified);
	return err ? cvq_verify_fail(subject->source_path, err) : CVQ_EXIT_DONE;
}

/* ========================================================================== */
/*                              Converted files                               */
/* ========================================================================== */

static void report_progress(void *context, uint64_t done)
{
	struct cvq_verification *verification = context;
	cvq_progress_step(&verification->progress, done);
}

/* Opens both checkpoints; says what is wrong with the view's if it cannot be had. */
static cvq_err open_checkpoints(const struct cvq_subject *subject,
				const struct counterpart *counterpart,
				struct cvq_opened *source, struct cvq_opened *view,
				struct cvq_reason *fault)
{
	struct cvq_reason why;
	source->source = (struct cvq_source){.fd = subject->content->fd};
	view->source = counterpart->source;
	cvq_err err = cvq_checkpoint_open(&source->source, subject->version->size,
					  &source->checkpoint, &why);
	if (err)
		return cvq_is_of_content(err) ? -ESTALE : err; /* it was planned before */
	err = cvq_checkpoint_open(&view->source, counterpart->size, &view->checkpoint,
				  &why);
	if (cvq_is_of_content(err))
		cvq_explain(fault, 0, "it cannot be understood: %s", why.text);
	else if (err && err != -ENOMEM)
		cvq_explain(fault, 0, "it cannot be read: %s", cvq_compare_failure(err));
	return err == -ENOMEM ? err : 0;
}

static cvq_err check_unmodified(const struct cvq_subject *subject)
{
	struct stat now;
	if (fstat(subject->content->fd, &now))
		return -errno;
	return cvq_version_unmodified(subject->version, &now) ? 0 : -ESTALE;
}

static cvq_err verify_checkpoint(struct cvq_verification *verification,
				 const struct cvq_subject *subject,
				 const struct counterpart *counterpart,
				 struct cvq_verified *verified)
{
	const struct cvq_compare_watch watch = {report_progress, verification};
	struct cvq_opened source = {0}, view = {0};
	struct cvq_comparison comparison = {0};
	cvq_err err =
		open_checkpoints(subject, counterpart, &source, &view, &verified->fault);
	if (!err && view.checkpoint) {
		err = cvq_compare(&source, &view, &verification->rules, &watch,
				  &comparison);
		verified->comparison = &comparison;
	}
	if (!err)
		err = check_unmodified(subject);
	if (!err)
		err = report(verification, verified);
	verified->comparison = NULL;
	cvq_comparison_release(&comparison);
	cvq_checkpoint_free(view.checkpoint);
	cvq_checkpoint_free(source.checkpoint);
	return err;
}

/* The bytes of an image, as a source. */
struct image_source {
	struct cvq_image *image;
	const struct cvq_source *source;
};

static ssize_t read_image(void *context, void *buffer, size_t length, uint64_t offset)
{
	const struct image_source *own = context;
	return cvq_image_read(own->image, own->source, buffer, length, offset);
}

static cvq_err verify_image(struct cvq_verification *verification,
			    const struct cvq_subject *subject,
			    struct cvq_verified *verified)
{
	const struct cvq_source source = {.fd = subject->content->fd};
	struct image_source image = {subject->content->image, &source};
	const struct counterpart counterpart = {
		.source = {.fd = -1, .read = read_image, .context = &image},
		.size = subject->verdict->summary.view_size,
	};
	return verify_checkpoint(verification, subject, &counterpart, verified);
}

/* ========================================================================== */
/*                        Files that are passed through                       */
/* ========================================================================== */

/* Compares the files piece by piece; '*differs' is where the first byte differs, or the
 * size.  The two errors are those of reading either. */
static cvq_err find_difference(struct cvq_verification *verification,
			       const struct cvq_subject *subject,
			       const struct counterpart *counterpart, uint64_t *differs,
			       cvq_err *view_error)
{
	const struct cvq_source source = {.fd = subject->content->fd};
	cleanup_free uint8_t *pieces = malloc(2 * PIECE_BYTES);
	uint8_t *ours = pieces, *theirs = pieces + PIECE_BYTES;
	uint64_t size = subject->version->size;
	cvq_err err = pieces ? 0 : -ENOMEM;
	*view_error = 0;
	*differs = size;
	for (uint64_t done = 0; done < size && !err; done += PIECE_BYTES) {
		size_t length =
			size - done < PIECE_BYTES ? (size_t)(size - done) : PIECE_BYTES;
		cvq_progress_step(&verification->progress, done);
		err = cvq_source_read(&source, ours, length, done);
		if (!err)
			*view_error =
				cvq_source_read(&counterpart->source, theirs, length, done);
		if (err || *view_error)
			break;
		if (memcmp(ours, theirs, length) == 0)
			continue;
		*differs = done;
		for (size_t i = 0; ours[i] == theirs[i]; i++)
			++*differs;
		break;
	}
	return err;
}

static cvq_err verify_bytes(struct cvq_verification *verification,
			    const struct cvq_subject *subject,
			    const struct counterpart *counterpart,
			    struct cvq_verified *verified)
{
	uint64_t differs = 0, size = subject->version->size;
	cvq_err view_error = 0, err = 0;
	if (counterpart->size == size)
		err = find_difference(verification, subject, counterpart, &differs,
				      &view_error);
	if (!err)
		err = check_unmodified(subject);
	if (err)
		return err;
	if (view_error)
		cvq_explain(&verified->fault, 0, "it cannot be read: %s",
			    cvq_compare_failure(view_error));
	else if (counterpart->size != size)
		cvq_explain(&verified->fault, 0,
			    "it has %" PRIu64 " bytes, not %" PRIu64
			    " (it is to be passed through: %.100s)",
			    counterpart->size, size, verified->reason);
	else if (differs < size)
		cvq_explain(&verified->fault, 0,
			    "it differs from the source at byte %" PRIu64
			    " (it is to be passed through: %.100s)",
			    differs, verified->reason);
	return report(verification, verified);
}

/* ========================================================================== */
/*                                   A file                                   */
/* ========================================================================== */

/* Opens the view's file; says what is wrong with it if it cannot be had. */
static int open_counterpart(const char *path, struct counterpart *counterpart,
			    struct cvq_reason *fault)
{
	struct stat attributes;
	cleanup_fd int fd = cvq_open_any(AT_FDCWD, path);
	if (fd < 0 || fstat(fd, &attributes)) {
		cvq_err err = -errno;
		return err == -ENOENT ? cvq_explain(fault, err, "it is missing")
				      : cvq_explain(fault, err, "it cannot be opened: %s",
						    strerror(-err));
	}
	if (!S_ISREG(attributes.st_mode))
		return cvq_explain(fault, -EINVAL, "it is no file");
	*counterpart = (struct counterpart){
		.source = {.fd = fd},
		.size = (uint64_t)attributes.st_size,
	};
	return steal_fd(fd);
}

static cvq_err verify(struct cvq_verification *verification,
		      const struct cvq_subject *subject, struct cvq_verified *verified)
{
	if (!subject->view_path)
		return verified->converted ? verify_image(verification, subject, verified)
					   : report(verification, verified);
	struct counterpart counterpart;
	cleanup_fd int fd =
		open_counterpart(subject->view_path, &counterpart, &verified->fault);
	if (fd < 0)
		return report(verification, verified);
	return verified->converted
		       ? verify_checkpoint(verification, subject, &counterpart, verified)
		       : verify_bytes(verification, subject, &counterpart, verified);
}

int cvq_verify_subject(struct cvq_verification *verification,
		       const struct cvq_subject *subject)
{
	struct cvq_verified verified = {
		.path = subject->path,
		.where = subject->view_path ? subject->view_path : subject->source_path,
		.converted = subject->verdict->converted,
		.unfit = subject->verdict->unfit,
		.reason = subject->verdict->reason,
	};
	cvq_progress_file(&verification->progress, subject->path);
	cvq_err err = verify(verification, subject, &verified);
	if (err) {
		cvq_progress_clear(&verification->progress);
		return cvq_verify_fail(subject->source_path, err);
	}
	cvq_progress_file_done(&verification->progress, subject->version->size, "verified");
	return CVQ_EXIT_DONE;
}

/* Whether the file is passed through whatever it holds, and why. */
static bool is_kept(const struct cvq_policy *policy, const char *path, bool is_single,
		    struct cvq_reason *reason)
{
	if (is_single && !cvq_policy_keeping_pattern(policy, path))
		return false;
	return !cvq_asks_for_conversion(policy, path, reason);
}

int cvq_verify_path(struct cvq_verification *verification, struct cvq_subject *subject,
		    bool is_single)
{
	cleanup_content struct cvq_content content = CVQ_NO_CONTENT;
	content.fd = cvq_open_any(AT_FDCWD, subject->source_path);
	const struct cvq_source source = {.fd = content.fd};
	struct cvq_reason reason;
	struct cvq_verdict *verdict = NULL;
	struct stat attributes;
	cvq_err err = source.fd < 0 || fstat(source.fd, &attributes) ? -errno : 0;
	if (!err && is_kept(verification->rules.policy, subject->path, is_single, &reason))
		err = cvq_verdict_create(NULL, reason.text, &verdict);
	else if (!err)
		err = cvq_decide_content(&source, verification->rules.policy, &attributes,
					 &verdict, &content.image);
	if (err)
		return cvq_verify_fail(subject->source_path, err);
	const struct cvq_version version = cvq_version_of(&attributes);
	subject->content = &content;
	subject->version = &version;
	subject->verdict = verdict;
	int code;
	if (is_single && !subject->view_path && !verdict->converted)
		code = cvq_fail_with(CVQ_EXIT_SOURCE, subject->source_path,
				     "it does not convert, nothing is verified: %s",
				     verdict->reason);
	else
		code = cvq_verify_subject(verification, subject);
	cvq_verdict_unref(verdict);
	return code;
}
