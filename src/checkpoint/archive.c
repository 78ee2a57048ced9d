/* SPDX-License-Identifier: MIT */
#include "checkpoint/archive.h"

#include <errno.h>
#include <string.h>
#include <zip.h>

#include "checkpoint/zip_directory.h"
#include "checkpoint/zip_end.h"
#include "numeric/crc32.h"

/* What may be read to compare local headers with the directory: libzip keeps the padding
 * that they have with torch. */
#define MAX_CHECKED_BYTES (256u << 20)

/* How many bytes of a payload are compared with what libzip says they are. */
#define PROBE_BYTES 16

/* Inflated at a time. */
#define INFLATE_BYTES (64u << 10)

struct cvq_archive {
	const struct cvq_source *source;
	uint64_t size;
	zip_t *zip;

	/* What libzip's reading goes through. */
	uint64_t position;
	uint64_t last_read; /* where the last read began */
	bool opening;
	struct cvq_zip_end end; /* while opening */
	uint64_t read_left;     /* how much opening may read */
	bool read_too_much;     /* more than that */
	cvq_err read_error;
	zip_error_t error;
};

/* ========================================================================== */
/*                       What libzip reads the file through                   */
/* ========================================================================== */

static zip_int64_t fail(struct cvq_archive *archive, int zip_error, int system_error)
{
	zip_error_set(&archive->error, zip_error, system_error);
	return -1;
}

static zip_int64_t source_read(struct cvq_archive *archive, void *data, zip_uint64_t length)
{
	uint64_t left = archive->size - archive->position;
	uint64_t count = length < left ? length : left;

	if (archive->opening && count > archive->read_left) {
		archive->read_too_much = true;
		return fail(archive, ZIP_ER_INCONS, 0);
	}
	archive->read_left -= archive->opening ? count : 0;
	archive->last_read = archive->position;
	/* No bytes twice, and no end record but one. */
	size_t before = count;
	if (archive->opening)
		before = cvq_zip_end_copy(&archive->end, data, count, archive->position);
	cvq_err err = cvq_source_read(archive->source, data, before, archive->position);
	if (err) {
		archive->read_error = err;
		return fail(archive, ZIP_ER_READ, -err);
	}
	archive->position += count;
	return (zip_int64_t)count;
}

static zip_int64_t source_seek(struct cvq_archive *archive, void *data, zip_uint64_t length)
{
	zip_int64_t position = zip_source_seek_compute_offset(
		archive->position, archive->size, data, length, &archive->error);
	if (position < 0)
		return -1;
	archive->position = (uint64_t)position;
	return 0;
}

static zip_int64_t source_stat(const struct cvq_archive *archive, void *data)
{
	zip_stat_t *status = data;
	zip_stat_init(status);
	status->size = archive->size;
	status->valid = ZIP_STAT_SIZE;
	return sizeof(*status);
}

static zip_int64_t source_callback(void *state, void *data, zip_uint64_t length,
				   zip_source_cmd_t command)
{
	struct cvq_archive *archive = state;
	switch (command) {
	case ZIP_SOURCE_OPEN:
		archive->position = 0;
		return 0;
	case ZIP_SOURCE_READ:
		return source_read(archive, data, length);
	case ZIP_SOURCE_CLOSE:
	case ZIP_SOURCE_FREE:
		return 0;
	case ZIP_SOURCE_STAT:
		return source_stat(archive, data);
	case ZIP_SOURCE_ERROR:
		return zip_error_to_data(&archive->error, data, length);
	case ZIP_SOURCE_SEEK:
		return source_seek(archive, data, length);
	case ZIP_SOURCE_TELL:
		return (zip_int64_t)archive->position;
	case ZIP_SOURCE_SUPPORTS:
		return zip_source_make_command_bitmap(
			ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT,
			ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL,
			ZIP_SOURCE_SUPPORTS, -1);
	default:
		return fail(archive, ZIP_ER_OPNOTSUPP, 0);
	}
}

/* ========================================================================== */
/*                                   Opening                                  */
/* ========================================================================== */

/* A read error or lack of memory says nothing about the content. */
static cvq_err refuse(struct cvq_archive *archive, zip_error_t *error, const char *what,
		      struct cvq_reason *reason)
{
	if (archive->read_error)
		return archive->read_error;
	if (zip_error_code_zip(error) == ZIP_ER_MEMORY)
		return -ENOMEM;
	if (zip_error_code_zip(error) == ZIP_ER_OK)
		return cvq_explain(reason, CVQ_ERR_CONTENT, "%s", what);
	return cvq_explain(reason, CVQ_ERR_CONTENT, "%s (%s)", what,
			   zip_error_strerror(error));
}

/* What begins as an archive has its directory at the end. */
static bool is_cut_off(const zip_error_t *error)
{
	int code = zip_error_code_zip(error);
#ifdef ZIP_ER_TRUNCATED_ZIP /* not in libzip 1.7 */
	if (code == ZIP_ER_TRUNCATED_ZIP)
		return true;
#endif
	return code == ZIP_ER_NOZIP;
}

/* Says in 'error' why, if there is no archive->zip then. */
static void try_to_open(struct cvq_archive *archive, int flags, uint64_t most,
			zip_error_t *error)
{
	archive->read_left = most;
	archive->read_too_much = false;
	zip_source_t *source = zip_source_function_create(source_callback, archive, error);
	if (!source)
		return;
	archive->zip = zip_open_from_source(source, ZIP_RDONLY | flags, error);
	if (!archive->zip)
		zip_source_free(source);
}

static cvq_err open_zip(struct cvq_archive *archive, struct cvq_reason *reason)
{
	/* From 4 GiB on torch writes local headers that libzip (from 1.10 on) does not
	 * take for consistent with the directory. */
	bool check = archive->size < UINT32_MAX;
	zip_error_t error;
	zip_error_init(&error);
	archive->opening = true;
	if (check)
		try_to_open(archive, ZIP_CHECKCONS, MAX_CHECKED_BYTES, &error);
	if (!check || archive->read_too_much)
		try_to_open(archive, 0, UINT64_MAX, &error);
	archive->opening = false;
	cvq_err err = 0;
	if (!archive->zip && is_cut_off(&error))
		err = archive->read_error ? archive->read_error
					  : cvq_explain(reason, CVQ_ERR_CONTENT,
							"its zip archive is cut off (copy "
							"it again)");
	else if (!archive->zip)
		err = refuse(archive, &error, "its zip archive is damaged", reason);
	zip_error_fini(&error);
	return err;
}

cvq_err cvq_archive_open(const struct cvq_source *source, uint64_t size,
			 struct cvq_archive **archive, struct cvq_reason *reason)
{
	struct cvq_archive *opened = calloc(1, sizeof(*opened));
	if (!opened)
		return -ENOMEM;
	opened->source = source;
	opened->size = size;
	zip_error_init(&opened->error);

	cvq_err err = cvq_zip_end_read(source, size, &opened->end, reason);
	err = err ? err : cvq_zip_directory_check(source, &opened->end, reason);
	err = err ? err : open_zip(opened, reason);
	cvq_zip_end_release(&opened->end);
	if (err)
		cvq_archive_close(opened);
	else
		*archive = opened;
	return err;
}

void cvq_archive_close(struct cvq_archive *archive)
{
	if (!archive)
		return;
	if (archive->zip)
		zip_discard(archive->zip);
	zip_error_fini(&archive->error);
	free(archive);
}

size_t cvq_archive_count(const struct cvq_archive *archive)
{
	return (size_t)zip_get_num_entries(archive->zip, 0);
}

/* ========================================================================== */
/*                                   Entries                                  */
/* ========================================================================== */

/*
 * Reads the first bytes of a stored payload through libzip and takes the place
 * where libzip read them for the place where the payload begins; the same bytes
 * must then be found there.
 */
static cvq_err locate(struct cvq_archive *archive, size_t index, struct cvq_record *record,
		      struct cvq_reason *reason)
{
	uint8_t probe[PROBE_BYTES], again[PROBE_BYTES];
	size_t length = record->size < PROBE_BYTES ? (size_t)record->size : PROBE_BYTES;

	record->offset = 0;
	if (length == 0)
		return 0;
	zip_file_t *file = zip_fopen_index(archive->zip, index, ZIP_FL_COMPRESSED);
	if (!file)
		return refuse(archive, zip_get_error(archive->zip),
			      "an entry of its zip archive is damaged", reason);
	zip_int64_t got = zip_fread(file, probe, length);
	zip_fclose(file);
	if (archive->read_error)
		return archive->read_error;

	record->offset = archive->last_read;
	bool inside = record->offset <= archive->size &&
		      record->size <= archive->size - record->offset;
	if (got != (zip_int64_t)length || !inside)
		return cvq_explain(reason, CVQ_ERR_CONTENT, "its entry '%.100s' is cut off",
				   record->name);
	cvq_err err = cvq_source_read(archive->source, again, length, record->offset);
	if (!err && memcmp(probe, again, length) != 0)
		err = cvq_explain(reason, CVQ_ERR_CONTENT,
				  "its entry '%.100s' cannot be located", record->name);
	return err;
}

cvq_err cvq_archive_entry(struct cvq_archive *archive, size_t index,
			  struct cvq_record *record, struct cvq_reason *reason)
{
	const zip_uint64_t wanted = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE |
				    ZIP_STAT_CRC | ZIP_STAT_COMP_METHOD |
				    ZIP_STAT_ENCRYPTION_METHOD;
	zip_stat_t status;
	if (zip_stat_index(archive->zip, index, ZIP_FL_ENC_RAW, &status) < 0 ||
	    (status.valid & wanted) != wanted)
		return refuse(archive, zip_get_error(archive->zip),
			      "an entry of its zip archive is damaged", reason);
	const char *name = zip_get_name(archive->zip, index, ZIP_FL_ENC_RAW);
	*record = (struct cvq_record){
		.name = name ? strdup(name) : NULL,
		.offset = CVQ_NO_OFFSET,
		.size = status.size,
		.crc = status.crc,
		.storage = -1,
	};
	if (!record->name)
		return -ENOMEM;
	if (status.encryption_method != ZIP_EM_NONE)
		return cvq_explain(reason, CVQ_ERR_CONTENT,
				   "its entry '%.100s' is encrypted", record->name);
	if (status.comp_method == ZIP_CM_STORE && status.comp_size == status.size)
		return locate(archive, index, record, reason);
	if (status.comp_method == ZIP_CM_DEFLATE)
		return 0;
	return cvq_explain(reason, CVQ_ERR_CONTENT,
			   "its entry '%.100s' is compressed in an unknown way",
			   record->name);
}

cvq_err cvq_archive_extract(struct cvq_archive *archive, size_t index,
			    const struct cvq_record *record, uint8_t **data,
			    struct cvq_reason *reason)
{
	cleanup_free uint8_t *buffer = malloc((size_t)record->size + 1);
	if (!buffer)
		return -ENOMEM;
	zip_file_t *file = zip_fopen_index(archive->zip, index, 0);
	if (!file)
		return refuse(archive, zip_get_error(archive->zip),
			      "an entry of its zip archive is damaged", reason);
	/* One byte more than there should be, to see the end. */
	zip_int64_t got = zip_fread(file, buffer, record->size + 1);
	cvq_err err = 0;
	if (got != (zip_int64_t)record->size) {
		char what[160];
		snprintf(what, sizeof(what), "its entry '%.100s' is damaged", record->name);
		err = refuse(archive, zip_file_get_error(file), what, reason);
	}
	zip_fclose(file);
	/* What libzip finds out at the end it does not say with the last bytes.  torch
	 * writes 0 if it is told not to compute any. */
	if (!err && record->crc && cvq_crc32(0, buffer, record->size) != record->crc)
		err = cvq_explain(reason, CVQ_ERR_CONTENT,
				  "its entry '%.100s' is damaged (its CRC-32 is wrong)",
				  record->name);
	if (err)
		return err;
	buffer[record->size] = '\0';
	*data = steal_pointer(buffer);
	return 0;
}

/* ========================================================================== */
/*                                  Inflating                                 */
/* ========================================================================== */

void cvq_archive_rebind(struct cvq_archive *archive, const struct cvq_source *source)
{
	archive->source = source;
	archive->read_error = 0;
}

static cvq_err failure_of(const struct cvq_archive *archive, const zip_error_t *error)
{
	if (archive->read_error)
		return archive->read_error;
	return zip_error_code_zip(error) == ZIP_ER_MEMORY ? -ENOMEM : -EBADMSG;
}

static cvq_err inflate_entry(struct cvq_archive *archive, zip_file_t *file, uint64_t size,
			     int fd, uint64_t offset)
{
	uint8_t piece[INFLATE_BYTES];
	uint64_t done = 0;
	for (;;) {
		/* Also at the end, where libzip verifies the CRC. */
		zip_int64_t got = zip_fread(file, piece, sizeof(piece));
		if (got < 0)
			return failure_of(archive, zip_file_get_error(file));
		if (got == 0)
			return done == size ? 0 : -EBADMSG;
		if ((uint64_t)got > size - done)
			return -EBADMSG;
		cvq_err err = cvq_write_all(fd, piece, (size_t)got, offset + done);
		if (err)
			return err;
		done += (uint64_t)got;
	}
}

cvq_err cvq_archive_inflate(struct cvq_archive *archive, const struct cvq_source *source,
			    size_t index, uint64_t size, int fd, uint64_t offset)
{
	cvq_archive_rebind(archive, source);
	zip_file_t *file = zip_fopen_index(archive->zip, index, 0);
	cvq_err err;
	if (file) {
		err = inflate_entry(archive, file, size, fd, offset);
		zip_fclose(file);
	} else {
		err = failure_of(archive, zip_get_error(archive->zip));
	}
	cvq_archive_rebind(archive, NULL);
	return err;
}
