/* SPDX-License-Identifier: MIT */
/*
 * Small checkpoints for unit tests: a zip archive with a state dict of vectors
 *
 * Written by libzip, so their layout is not torch's: payloads are not aligned
 * and local headers have no padding.
 */
#ifndef CVQ_TESTS_CHECKPOINTS_H
#define CVQ_TESTS_CHECKPOINTS_H

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zip.h>

#include "fixture.h"
#include "pickler.h"

/* A tensor that covers its whole storage; the list ends with a NULL name. */
struct vector {
	const char *name;
	const char *type; /* "FloatStorage", ... */
	uint32_t numel;
	unsigned item_size;
};

static inline void add_entry(zip_t *archive, const char *name, const void *data,
			     size_t length, int method)
{
	void *copy = length ? malloc(length) : NULL;
	if (copy)
		memcpy(copy, data, length);
	zip_source_t *source = zip_source_buffer(archive, copy, length, 1);
	zip_int64_t index = zip_file_add(archive, name, source, 0);
	if (index < 0 ||
	    zip_set_file_compression(archive, (zip_uint64_t)index, method, 9) < 0)
		fail_msg("cannot add '%s': %s", name, zip_strerror(archive));
}

/* Reproducible numbers that cover the whole range of FP16 and some beyond. */
static inline void *make_numbers(size_t bytes, uint32_t seed)
{
	uint32_t *words = malloc(bytes + 4);
	for (size_t i = 0; i < bytes / 4 + 1; i++) {
		seed = seed * 1664525 + 1013904223;
		words[i] =
			(seed & 0x80ffffff) + 0x33000000 + (seed >> 8 & 0x1f) * 0x00800000;
	}
	return words;
}

static inline void write_pickle(struct cvq_buffer *out, const struct vector *vectors)
{
	emit(out, "\x80\x02}(");
	for (int i = 0; vectors[i].name; i++) {
		char key[12];
		snprintf(key, sizeof(key), "%d", i);
		emit_string(out, vectors[i].name);
		emit_tensor(out, vectors[i].type, key, vectors[i].numel);
	}
	emit(out, "u.");
}

/* How an archive differs from what torch writes here and now. */
struct archive_form {
	zip_uint16_t method; /* of the storages */
	/* What records say; NULL: there is no such record. */
	const char *byte_order;
	const char *alignment;
	/* What is done to the numbers of a storage before they are written, or NULL. */
	void (*change)(const struct vector *vector, void *numbers, size_t bytes);
};

/*
 * Writes the checkpoint to a temporary file and returns an open descriptor; the
 * file has no name any more.
 */
static inline int make_checkpoint_of(const struct vector *vectors,
				     const struct archive_form *form)
{
	char path[] = "/tmp/cvq-test-XXXXXX";
	close(mkstemp(path));
	int error;
	zip_t *archive = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &error);
	if (!archive)
		fail_msg("cannot create %s: %d", path, error);
	struct cvq_buffer pickle = {0};
	write_pickle(&pickle, vectors);
	add_entry(archive, "model/data.pkl", pickle.data, pickle.length, ZIP_CM_STORE);
	cvq_buffer_release(&pickle);
	if (form->byte_order)
		add_entry(archive, "model/byteorder", form->byte_order,
			  strlen(form->byte_order), ZIP_CM_STORE);
	if (form->alignment)
		add_entry(archive, "model/.storage_alignment", form->alignment,
			  strlen(form->alignment), ZIP_CM_STORE);
	for (int i = 0; vectors[i].name; i++) {
		char name[32];
		snprintf(name, sizeof(name), "model/data/%d", i);
		size_t bytes = (size_t)vectors[i].numel * vectors[i].item_size;
		void *numbers = make_numbers(bytes, (uint32_t)i);
		if (form->change)
			form->change(&vectors[i], numbers, bytes);
		add_entry(archive, name, numbers, bytes, form->method);
		free(numbers);
	}
	add_entry(archive, "model/version", "3\n", 2, ZIP_CM_STORE);
	if (zip_close(archive) < 0)
		fail_msg("cannot write %s: %s", path, zip_strerror(archive));
	int fd = open(path, O_RDWR | O_CLOEXEC);
	unlink(path);
	assert_true(fd >= 0);
	return fd;
}

static inline int make_checkpoint(const struct vector *vectors, zip_uint16_t method)
{
	return make_checkpoint_of(vectors, &(struct archive_form){.method = method});
}

static inline uint64_t file_size(int fd)
{
	struct stat status;
	assert_int_equal(fstat(fd, &status), 0);
	return (uint64_t)status.st_size;
}

static inline zip_t *open_archive(const uint8_t *bytes, uint64_t size)
{
	zip_error_t error;
	zip_error_init(&error);
	zip_t *archive =
		zip_open_from_source(zip_source_buffer_create(bytes, size, 0, &error),
				     ZIP_RDONLY | ZIP_CHECKCONS, &error);
	if (!archive)
		fail_msg("libzip refuses it: %s", zip_error_strerror(&error));
	return archive;
}

/* Reads an entry to its end, which verifies its CRC.  Returns its size, or -1. */
static inline int64_t read_entry(zip_t *archive, const char *name, uint8_t **data)
{
	zip_stat_t status;
	assert_int_equal(zip_stat(archive, name, 0, &status), 0);
	zip_file_t *file = zip_fopen(archive, name, 0);
	assert_non_null(file);
	*data = malloc(status.size + 1);
	zip_int64_t got = zip_fread(file, *data, status.size + 1);
	/* libzip tells that the CRC is wrong when there is nothing left to read. */
	uint8_t more;
	bool good = got == (zip_int64_t)status.size && zip_fread(file, &more, 1) == 0;
	zip_fclose(file);
	return good ? got : -1;
}

#endif
