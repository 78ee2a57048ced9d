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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/human.h"
#include "cli/command.h"
#include "cli/copy.h"
#include "cli/listing.h"
#include "cli/output.h"
#include "cli/path.h"
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
	uint64_t source_bytes, written_bytes; /* of all files */
	uint64_t converted_from, converted_to;
};

struct conversion {
	const struct cvq_arguments *arguments;
	const char *source, *destination; /* as given */
	struct cvq_view *view;
	struct cvq_listing listing;
	int folder; /* the destination */
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
	static const int ending[] = {SIGHUP, SIGINT, SIGTERM};
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

static int add_up(struct conversion *conversion)
{
	struct tally *tally = &conversion->tally;
	for (size_t i = 0; i < conversion->listing.count; i++) {
		const struct cvq_listed *listed = &conversion->listing.items[i];
		if (!cvq_listed_is_file(listed))
			continue;
		uint64_t size = (uint64_t)listed->entry.attributes.st_size;
		tally->source_bytes += listed->entry.version.size;
		tally->written_bytes += size;
		if (cvq_entry_converted(&listed->entry)) {
			tally->files_converted++;
			tally->converted_from += listed->entry.version.size;
			tally->converted_to += size;
		} else {
			tally->files_copied++;
		}
	}
	if (tally->files_converted > 0)
		return CVQ_EXIT_DONE;
	return cvq_listing_none_converts(conversion->source, &conversion->arguments->policy,
					 &conversion->listing, "nothing is written");
}

/* The absolute path of what may not exist yet: only its last part. */
static char *absolute_path(const char *path)
{
	char *whole = realpath(path, NULL);
	if (whole || !*path)
		return whole;
	cleanup_free char *copy = strdup(path);
	if (!copy)
		return NULL;
	size_t length = strlen(copy);
	while (length > 1 && copy[length - 1] == '/')
		copy[--length] = '\0';
	char *slash = strrchr(copy, '/');
	const char *name = slash ? slash + 1 : copy;
	cleanup_free char *parent =
		realpath(slash == copy ? "/" : (slash ? (*slash = '\0', copy) : "."), NULL);
	if (!parent || asprintf(&whole, "%s/%s", parent, name) < 0)
		return NULL;
	return whole;
}

static int fail_source(const struct conversion *conversion, const char *path, cvq_err err)
{
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

static int check_places(const struct conversion *conversion)
{
	cleanup_free char *source = realpath(conversion->source, NULL);
	cleanup_free char *destination = absolute_path(conversion->destination);
	if (!source || !destination)
		return cvq_fail_with(CVQ_EXIT_OUTPUT, conversion->destination,
				     "it cannot be made: %s (make its parent first)",
				     strerror(errno));
	if (cvq_path_lies_in(destination, source) || cvq_path_lies_in(source, destination))
		return cvq_fail_with(CVQ_EXIT_USAGE, conversion->destination,
				     "it and SOURCE lie in each other (give a directory "
				     "beside SOURCE)");
	struct stat there;
	if (lstat(conversion->destination, &there))
		return CVQ_EXIT_DONE;
	if (stat(conversion->destination, &there) || !S_ISDIR(there.st_mode))
		return cvq_fail_with(CVQ_EXIT_OUTPUT, conversion->destination,
				     "it exists, and is no directory (give another)");
	if (!conversion->arguments->force)
		return cvq_fail_with(CVQ_EXIT_OUTPUT, conversion->destination,
				     "it exists (use --force to write into it)");
	return CVQ_EXIT_DONE;
}

static int fail_output(const struct conversion *conversion, const char *path, int error)
{
	return cvq_fail_with(CVQ_EXIT_OUTPUT, conversion->destination,
			     "'%.100s' cannot be written: %s (%s)", path, strerror(error),
			     error == ENOSPC ? "make room on its disk" : "check it");
}

/* What must be free: each file is written before the one that it replaces goes. */
static uint64_t needed_room(const struct conversion *conversion)
{
	int64_t taken = 0, most = 0;
	for (size_t i = 0; i < conversion->listing.count; i++) {
		const struct cvq_listed *listed = &conversion->listing.items[i];
		struct stat replaced;
		if (!cvq_listed_is_file(listed))
			continue;
		taken += listed->entry.attributes.st_size;
		most = taken > most ? taken : most;
		if (fstatat(conversion->folder, listed->path, &replaced,
			    AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(replaced.st_mode) && replaced.st_nlink == 1)
			taken -= replaced.st_blocks * 512;
	}
	return (uint64_t)most;
}

/* Makes the destination and sees whether all of it fits. */
static int open_destination(struct conversion *conversion)
{
	bool made = mkdir(conversion->destination, 0777) == 0;
	if (!made && errno != EEXIST)
		return fail_output(conversion, ".", errno);
	conversion->folder =
		open(conversion->destination, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (conversion->folder < 0)
		return fail_output(conversion, ".", errno);
	struct statvfs room;
	if (fstatvfs(conversion->folder, &room))
		return CVQ_EXIT_DONE;
	uint64_t free_bytes = (uint64_t)room.f_bavail * room.f_frsize;
	uint64_t needed_bytes = needed_room(conversion);
	if (free_bytes >= needed_bytes)
		return CVQ_EXIT_DONE;
	char needed[CVQ_HUMAN_SIZE], there[CVQ_HUMAN_SIZE];
	if (made)
		rmdir(conversion->destination);
	return cvq_fail_with(CVQ_EXIT_OUTPUT, conversion->destination,
			     "%s are needed and %s are free (make room, or mount a view "
			     "instead: it needs none)",
			     cvq_human_size(needed_bytes, needed),
			     cvq_human_size(free_bytes, there));
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
	err = cvq_output_begin(&output, conversion->folder, listed->path);
	if (err)
		return fail_output(conversion, listed->path, -err);
	cvq_progress_file(&conversion->progress, listed->path);
	bool reading_failed;
	err = write_content(conversion, listed, &content, output.fd, &reading_failed);
	if (err == -ECANCELED && !reading_failed)
		return 128 + stopped_by;
	if (!err)
		err = cvq_output_finish(&output, &listed->entry.attributes);
	if (err) {
		cvq_progress_clear(&conversion->progress);
		return reading_failed ? fail_source(conversion, listed->path, err)
				      : fail_output(conversion, listed->path, -err);
	}
	cvq_progress_file_done(
		&conversion->progress, (uint64_t)listed->entry.attributes.st_size,
		cvq_entry_converted(&listed->entry) ? "converted"
						    : listed->entry.verdict->reason);
	return CVQ_EXIT_DONE;
}

static int write_link(struct conversion *conversion, const struct cvq_listed *listed)
{
	char target[4096];
	cvq_err err =
		cvq_view_read_link(conversion->view, listed->path, target, sizeof(target));
	if (err)
		return fail_source(conversion, listed->path, err);
	if (symlinkat(target, conversion->folder, listed->path) == 0)
		return CVQ_EXIT_DONE;
	if (errno == EEXIST && unlinkat(conversion->folder, listed->path, 0) == 0 &&
	    symlinkat(target, conversion->folder, listed->path) == 0)
		return CVQ_EXIT_DONE;
	return fail_output(conversion, listed->path, errno);
}

static int write_folder(struct conversion *conversion, const struct cvq_listed *listed)
{
	/* Files go into it, whatever its mode is in the source. */
	mode_t mode = (listed->entry.attributes.st_mode & 0777) | S_IRWXU;
	struct stat there;
	if (mkdirat(conversion->folder, listed->path, mode) == 0 ||
	    (errno == EEXIST &&
	     fstatat(conversion->folder, listed->path, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	     S_ISDIR(there.st_mode)))
		return CVQ_EXIT_DONE;
	return fail_output(conversion, listed->path, errno);
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
	default: /* sockets and the like have no content to write */
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
	fprintf(out, "%llu file%s converted, %llu copied as they are\n",
		(unsigned long long)tally->files_converted,
		tally->files_converted == 1 ? "" : "s",
		(unsigned long long)tally->files_copied);
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
	cvq_err err = cvq_output_begin(&output, conversion->folder, INFO_NAME);
	FILE *file = err ? NULL : fdopen(dup(output.fd), "w");
	if (!file)
		return fail_output(conversion, INFO_NAME, err ? -err : errno);
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
	return err ? fail_output(conversion, INFO_NAME, -err) : CVQ_EXIT_DONE;
}

/* ========================================================================== */
/*                                  The whole                                 */
/* ========================================================================== */

static int write_all(struct conversion *conversion)
{
	take_signals();
	int code = open_destination(conversion);
	if (code)
		return code;
	cvq_progress_begin(&conversion->progress, conversion->tally.written_bytes,
			   conversion->arguments->quiet);
	for (size_t i = 0; i < conversion->listing.count && !code; i++) {
		code = write_entry(conversion, &conversion->listing.items[i]);
		if (!code && stopped_by)
			code = 128 + stopped_by;
	}
	cvq_progress_clear(&conversion->progress);
	if (!code)
		code = write_info(conversion);
	if (stopped_by)
		fprintf(stderr, "cvq: %s: stopped; the files that are there are whole\n",
			conversion->destination);
	else if (!code && !conversion->arguments->quiet)
		print_summary(conversion, stdout);
	close(conversion->folder);
	return code;
}

static int run(const struct cvq_arguments *arguments)
{
	struct conversion conversion = {
		.arguments = arguments,
		.source = arguments->paths[0],
		.destination = arguments->paths[1],
	};
	int code = cvq_listing_open(conversion.source, &arguments->policy, &conversion.view,
				    &conversion.listing);
	if (code)
		return code;
	code = add_up(&conversion);
	if (!code)
		code = check_places(&conversion);
	if (!code)
		code = check_files(&conversion);
	if (!code)
		code = write_all(&conversion);
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
	.least_paths = 2,
	.most_paths = 2,
	.run = run,
};
