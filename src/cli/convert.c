/* SPDX-License-Identifier: MIT */
/*
 * cvq convert: the view, written to a directory
 *
 * What is written is what a mount with checksum=exact would show.  Nothing is written
 * before all that can be known is known: that there is something to convert, that the
 * destination is no part of the source, that there is room.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/human.h"
#include "cli/command.h"
#include "cli/copy.h"
#include "cli/destination.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cvq/cvq.h"

#define INFO_NAME "QUANTIZED_INFO.txt"

static const char usage[] =
	"usage: cvq convert [options] SOURCE DEST\n"
	"\n"
	"Writes the FP16 directory that cvq-mount would show, as a copy: checkpoints\n"
	"converted, everything else as it is. SOURCE is only read.\n"
	"\n"
	"  --force                   write into an existing directory\n"
	"  --quiet                   neither a progress bar nor a summary\n"
	"  --quantize-hift           convert the vocoder too\n"
	"  --convert GLOB            the files to convert (default *.pt)\n"
	"  --keep GLOB               further files to copy as they are\n"
	"  --keep-tensor GLOB        further tensors to keep in FP32\n"
	"  --dtype fp16|bf16         what FP32 becomes\n"
	"  --overflow inf|clamp      what numbers become that are too large for it\n"
	"  --checksum exact|seal|none\n"
	"                            as cvq-mount has it (default here: exact)\n"
	"  --align source|N          where a tensor's data starts\n"
	"  --symlinks auto|follow|keep\n"
	"                            links that leave SOURCE as the files they point to\n"
	"  --config FILE             the configuration, in place of ~/.config/cvq/cvq.ini\n"
	"                            or /etc/cvq.ini\n"
	"\n"
	"  cvq convert pretrained_models/CosyVoice2-0.5B CosyVoice2-0.5B-fp16\n";

/* What the work comes to. */
struct tally {
	uint64_t files_converted, files_copied;
	uint64_t special_files;               /* left out: they have no content to write */
	uint64_t source_bytes, written_bytes; /* of all files */
	uint64_t converted_from, converted_to;
};

struct conversion {
	const struct cvq_arguments *arguments;
	const char *source; /* as given */
	struct cvq_view *view;
	struct cvq_listing listing;
	struct cvq_entry root; /* SOURCE itself */
	struct cvq_destination destination;
	struct tally tally;
	struct cvq_progress progress;
};

/* A signal says that it is time to stop; the only thing a handler may do. */
static volatile sig_atomic_t stopped_by;

static void note_signal(int signal)
{
	stopped_by = signal;
}

static void take_signals(void)
{
	static const int ending[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
	const struct sigaction stop = {.sa_handler = note_signal};
	struct sigaction before;
	for (size_t i = 0; i < sizeof(ending) / sizeof(*ending); i++)
		if (!sigaction(ending[i], NULL, &before) && before.sa_handler != SIG_IGN)
			sigaction(ending[i], &stop, NULL);
	signal(SIGXFSZ, SIG_IGN);
}

/* ========================================================================== */
/*                                   Before                                   */
/* ========================================================================== */

static void add_file(struct tally *tally, const struct cvq_entry *entry)
{
	uint64_t size = (uint64_t)entry->attributes.st_size;
	tally->source_bytes += entry->version.size;
	tally->written_bytes += size;
	if (cvq_entry_converted(entry)) {
		tally->files_converted++;
		tally->converted_from += entry->version.size;
		tally->converted_to += size;
	} else {
		tally->files_copied++;
	}
}

static int add_up(struct conversion *conversion)
{
	struct tally *tally = &conversion->tally;
	for (size_t i = 0; i < conversion->listing.count; i++) {
		const struct cvq_listed *listed = &conversion->listing.items[i];
		mode_t mode = listed->entry.attributes.st_mode;
		if (S_ISREG(mode))
			add_file(tally, &listed->entry);
		else if (!S_ISDIR(mode) && !S_ISLNK(mode))
			tally->special_files++;
	}
	if (tally->files_converted > 0)
		return CVQ_EXIT_DONE;
	return cvq_listing_none_converts(conversion->source, &conversion->arguments->policy,
					 &conversion->listing, "nothing is written");
}

/* A call that a signal ended is no fault of what it was for. */
static bool was_stopped(cvq_err err)
{
	return stopped_by && (err == -ECANCELED || err == -EINTR);
}

static int fail_source(const struct conversion *conversion, const char *path, cvq_err err)
{
	if (was_stopped(err))
		return 128 + stopped_by;
	if (err == -ESTALE)
		return cvq_fail_with(CVQ_EXIT_SOURCE, conversion->source,
				     "'%.100s' was modified meanwhile (convert again)",
				     path);
	/* Nothing but the spill file takes room when a source is read. */
	if (err == -ENOSPC || err == -EDQUOT || err == -EFBIG)
		return cvq_fail_with(
			CVQ_EXIT_SOURCE, conversion->source,
			"'%.100s' cannot be read: there is no space to inflate it "
			"(set TMPDIR to a folder with more)",
			path);
	return cvq_fail_with(CVQ_EXIT_SOURCE, conversion->source,
			     "'%.100s' cannot be read: %s (check it)", path,
			     err == -EBADMSG ? "one of its compressed entries is damaged"
					     : strerror(-err));
}

static int fail_output(const struct conversion *conversion, const char *path, cvq_err err)
{
	return was_stopped(err)
		       ? 128 + stopped_by
		       : cvq_destination_fail(&conversion->destination, path, -err);
}

/* Better to learn now that a file may not be read than with half of them written. */
static int check_files(struct conversion *conversion)
{
	for (size_t i = 0; i < conversion->listing.count; i++) {
		struct cvq_listed *listed = &conversion->listing.items[i];
		if (!cvq_listed_is_file(listed))
			continue;
		cleanup_content struct cvq_content content;
		cvq_err err = cvq_listed_open(conversion->view, listed, &content);
		if (err)
			return fail_source(conversion, listed->path, err);
	}
	return CVQ_EXIT_DONE;
}

/* ========================================================================== */
/*                                    Files                                   */
/* ========================================================================== */

static bool report(void *context, uint64_t written)
{
	struct conversion *conversion = context;
	cvq_progress_step(&conversion->progress, written);
	return !stopped_by;
}

/* '*reading_failed': it is the source's fault. */
static cvq_err write_content(struct conversion *conversion, const struct cvq_listed *listed,
			     const struct cvq_content *content, int to,
			     bool *reading_failed)
{
	const struct cvq_entry *entry = &listed->entry;
	const struct cvq_source source = {.fd = content->fd};
	const struct cvq_write_watch watch = {report, conversion};
	cvq_err err = content->image ? cvq_image_write(content->image, &source, to, &watch,
						       reading_failed)
				     : cvq_copy(&source, entry->version.size, to, &watch,
						reading_failed);
	struct stat now;
	if (!err &&
	    (fstat(source.fd, &now) || !cvq_version_unmodified(&entry->version, &now))) {
		*reading_failed = true;
		err = -ESTALE;
	}
	return err;
}

static int write_file(struct conversion *conversion, struct cvq_listed *listed)
{
	cleanup_content struct cvq_content content;
	cvq_err err = cvq_listed_open(conversion->view, listed, &content);
	if (err)
		return fail_source(conversion, listed->path, err);
	cleanup_output struct cvq_output output;
	err = cvq_output_begin(&output, conversion->destination.folder, listed->path);
	if (err)
		return fail_output(conversion, listed->path, err);
	cvq_progress_file(&conversion->progress, listed->path);
	bool reading_failed;
	err = write_content(conversion, listed, &content, output.fd, &reading_failed);
	if (!err)
		err = cvq_output_finish(&output, &listed->entry.attributes);
	if (err) {
		cvq_progress_clear(&conversion->progress);
		return reading_failed ? fail_source(conversion, listed->path, err)
				      : fail_output(conversion, listed->path, err);
	}
	cvq_progress_file_done(
		&conversion->progress, (uint64_t)listed->entry.attributes.st_size,
		cvq_entry_converted(&listed->entry) ? "converted"
						    : listed->entry.verdict->reason);
	if (listed->entry.verdict->unfit) {
		cvq_progress_clear(&conversion->progress);
		cvq_remark(conversion->source,
			   "'%.100s' cannot be converted and is copied as it is: %s",
			   listed->path, listed->entry.verdict->reason);
	}
	return CVQ_EXIT_DONE;
}

static int write_link(struct conversion *conversion, const struct cvq_listed *listed)
{
	char target[4096];
	cvq_err err =
		cvq_view_read_link(conversion->view, listed->path, target, sizeof(target));
	if (err)
		return fail_source(conversion, listed->path, err);
	if (symlinkat(target, conversion->destination.folder, listed->path) == 0)
		return CVQ_EXIT_DONE;
	if (errno == EEXIST &&
	    unlinkat(conversion->destination.folder, listed->path, 0) == 0 &&
	    symlinkat(target, conversion->destination.folder, listed->path) == 0)
		return CVQ_EXIT_DONE;
	return fail_output(conversion, listed->path, -errno);
}

static int write_folder(struct conversion *conversion, const struct cvq_listed *listed)
{
	/* Files go into it, whatever its mode is in the source. */
	mode_t mode = (listed->entry.attributes.st_mode & 0777) | S_IRWXU;
	struct stat there;
	if (mkdirat(conversion->destination.folder, listed->path, mode) == 0 ||
	    (errno == EEXIST &&
	     fstatat(conversion->destination.folder, listed->path, &there,
		     AT_SYMLINK_NOFOLLOW) == 0 &&
	     S_ISDIR(there.st_mode)))
		return CVQ_EXIT_DONE;
	return fail_output(conversion, listed->path, -errno);
}

static int write_entry(struct conversion *conversion, struct cvq_listed *listed)
{
	switch (listed->entry.attributes.st_mode & S_IFMT) {
	case S_IFREG:
		return write_file(conversion, listed);
	case S_IFLNK:
		return write_link(conversion, listed);
	case S_IFDIR:
		return write_folder(conversion, listed);
	default: /* counted as left out */
		return CVQ_EXIT_DONE;
	}
}

/* ========================================================================== */
/*                                   After                                    */
/* ========================================================================== */

static void print_sizes(FILE *out, const char *what, uint64_t from, uint64_t to)
{
	char before[CVQ_HUMAN_SIZE], after[CVQ_HUMAN_SIZE];
	fprintf(out, "%s: %s -> %s (%.0f %%)\n", what, cvq_human_size(from, before),
		cvq_human_size(to, after), from ? 100.0 * (double)to / (double)from : 100);
}

static void print_summary(const struct conversion *conversion, FILE *out)
{
	const struct tally *tally = &conversion->tally;
	const struct cvq_policy *policy = &conversion->arguments->policy;
	fprintf(out, "%" PRIu64 " file%s converted, %" PRIu64 " copied as they are",
		tally->files_converted, tally->files_converted == 1 ? "" : "s",
		tally->files_copied);
	if (tally->special_files > 0)
		fprintf(out, ", %" PRIu64 " special file%s left out", tally->special_files,
			tally->special_files == 1 ? "" : "s");
	fputc('\n', out);
	print_sizes(out, "checkpoints", tally->converted_from, tally->converted_to);
	print_sizes(out, "directory", tally->source_bytes, tally->written_bytes);
	for (size_t i = 0; i < conversion->listing.count; i++) {
		const struct cvq_listed *listed = &conversion->listing.items[i];
		if (!cvq_listed_is_file(listed) || cvq_entry_converted(&listed->entry) ||
		    !cvq_policy_wants_file(policy, listed->path))
			continue;
		fputs("as it is: ", out);
		cvq_put_readable(out, listed->path);
		fprintf(out, " (%s)\n", listed->entry.verdict->reason);
	}
}

/* What was done, for whoever finds the directory. */
static int write_info(struct conversion *conversion)
{
	const struct cvq_policy *policy = &conversion->arguments->policy;
	for (size_t i = 0; i < conversion->listing.count; i++)
		if (strcmp(conversion->listing.items[i].path, INFO_NAME) == 0)
			return CVQ_EXIT_DONE; /* SOURCE has one, which is to be there */
	cleanup_output struct cvq_output output;
	cvq_err err = cvq_output_begin(&output, conversion->destination.folder, INFO_NAME);
	FILE *file = err ? NULL : fdopen(dup(output.fd), "w");
	if (!file)
		return fail_output(conversion, INFO_NAME, err ? err : -errno);
	cleanup_free char *source = realpath(conversion->source, NULL);
	fprintf(file, "Written by cvq %s from ", CVQ_VERSION_STRING);
	cvq_put_readable(file, source ? source : conversion->source);
	fprintf(file, "\ndtype=%s overflow=%s checksum=%s\n\n",
		cvq_dtype_name(policy->dtype), cvq_overflow_name(policy->overflow),
		cvq_checksum_name(policy->checksum));
	print_summary(conversion, file);
	for (size_t i = 0; i < conversion->listing.count; i++) {
		const struct cvq_listed *listed = &conversion->listing.items[i];
		if (!cvq_entry_converted(&listed->entry))
			continue;
		fputs("converted: ", file);
		cvq_put_readable(file, listed->path);
		fputc('\n', file);
	}
	fputs("\nThe weights are stored in FP16: do not train on from them.\n", file);
	bool failed = ferror(file) != 0;
	if (fclose(file))
		err = -errno;
	else if (failed)
		err = -EIO; /* the reason went with an earlier flush */
	if (!err)
		err = cvq_output_finish(&output, NULL);
	return err ? fail_output(conversion, INFO_NAME, err) : CVQ_EXIT_DONE;
}

/* ========================================================================== */
/*                                  The whole                                 */
/* ========================================================================== */

static int write_entries(struct conversion *conversion)
{
	int code = CVQ_EXIT_DONE;
	cvq_progress_begin(&conversion->progress, conversion->tally.written_bytes,
			   conversion->arguments->quiet);
	for (size_t i = 0; i < conversion->listing.count && !code; i++) {
		code = write_entry(conversion, &conversion->listing.items[i]);
		if (!code && stopped_by)
			code = 128 + stopped_by;
	}
	cvq_progress_clear(&conversion->progress);
	return code;
}

static int write_all(struct conversion *conversion)
{
	struct cvq_destination *destination = &conversion->destination;
	take_signals();
	int code =
		cvq_destination_open(destination, &conversion->root, &conversion->listing);
	if (!code)
		code = write_entries(conversion);
	if (!code)
		code = write_info(conversion);
	bool nothing_left = code && cvq_destination_abandon(destination);
	/* A signal may also come when all is done. */
	if (code == 128 + stopped_by)
		cvq_remark(destination->path, "%s",
			   nothing_left ? "stopped, nothing was written (convert again)"
					: "stopped; the files that are there are whole "
					  "(go on with --force)");
	else if (!code && !conversion->arguments->quiet)
		print_summary(conversion, stdout);
	cvq_destination_close(destination);
	return code;
}

static int convert(struct conversion *conversion)
{
	int code = add_up(conversion);
	if (code)
		return code;
	cvq_err err = cvq_view_lookup(conversion->view, "", &conversion->root);
	if (err)
		return fail_source(conversion, ".", err);
	code = cvq_destination_check(&conversion->destination, conversion->source,
				     &conversion->root, &conversion->listing,
				     conversion->arguments->force);
	if (!code)
		code = check_files(conversion);
	if (!code)
		code = write_all(conversion);
	cvq_entry_release(&conversion->root);
	return code;
}

static int run(const struct cvq_arguments *arguments)
{
	struct conversion conversion = {
		.arguments = arguments,
		.source = arguments->paths[0],
		.destination = {.path = arguments->paths[1], .folder = -1},
	};
	int code = cvq_listing_open(conversion.source, &arguments->policy, &conversion.view,
				    &conversion.listing);
	if (code)
		return code;
	code = convert(&conversion);
	cvq_listing_release(&conversion.listing);
	cvq_view_close(conversion.view);
	return code;
}

const struct cvq_command cvq_convert_command = {
	.name = "convert",
	.summary = "write the FP16 directory",
	.usage = usage,
	.takes = CVQ_TAKES_POLICY | CVQ_TAKES_FORCE | CVQ_TAKES_QUIET,
	.checksum = CVQ_CHECKSUM_EXACT,
	.paths = {"SOURCE", "DEST"},
	.least_paths = 2,
	.most_paths = 2,
	.run = run,
};
