/* SPDX-License-Identifier: MIT */
/*
 * Images of small checkpoints, planned and read
 */
#ifndef CVQ_TESTS_IMAGES_H
#define CVQ_TESTS_IMAGES_H

#include "checkpoints.h"
#include "image/image.h"

/* ========================================================================== */

struct opened {
	int fd;
	struct cvq_counters counters;
	struct cvq_source source;
	struct cvq_policy policy;
	struct cvq_image *image;
	uint64_t size;
};

static inline cvq_err plan(struct opened *opened, struct cvq_reason *reason)
{
	opened->source =
		(struct cvq_source){.fd = opened->fd, .counters = &opened->counters};
	cvq_err err = cvq_image_plan(&opened->source, file_size(opened->fd),
				     &opened->policy, &opened->image, reason);
	if (!err)
		opened->size = cvq_image_summary(opened->image)->view_size;
	return err;
}

static inline void open_model(struct opened *opened, const struct vector *vectors,
			      const char *checksum)
{
	*opened = (struct opened){.fd = make_checkpoint(vectors, ZIP_CM_STORE)};
	assert_int_equal(cvq_policy_init(&opened->policy), 0);
	assert_int_equal(cvq_policy_set(&opened->policy, "checksum", checksum, NULL), 0);
	struct cvq_reason reason = {""};
	if (plan(opened, &reason))
		fail_msg("not converted: %s", reason.text);
}

static inline void close_model(struct opened *opened)
{
	cvq_image_unref(opened->image);
	cvq_policy_release(&opened->policy);
	close(opened->fd);
}

static inline void read_image(struct opened *opened, void *buffer, size_t length,
			      uint64_t offset)
{
	ssize_t got =
		cvq_image_read(opened->image, &opened->source, buffer, length, offset);
	if (got != (ssize_t)length)
		fail_msg("read %zd of %zu bytes at %zu", got, length, (size_t)offset);
}

static inline uint8_t *read_whole(struct opened *opened)
{
	uint8_t *bytes = malloc(opened->size);
	for (uint64_t at = 0; at < opened->size; at += 131072) {
		uint64_t left = opened->size - at;
		read_image(opened, bytes + at, left < 131072 ? left : 131072, at);
	}
	return bytes;
}

static inline void assert_left_alone(struct opened *opened, cvq_err code, const char *why)
{
	struct cvq_reason reason = {""};
	assert_int_equal(plan(opened, &reason), code);
	if (!strstr(reason.text, why))
		fail_msg("passed through with '%s' instead of '%s'", reason.text, why);
	opened->image = NULL;
}

/* As something is wrong with it, or it is not understood. */
static inline void assert_passed_through(struct opened *opened, const char *why)
{
	assert_left_alone(opened, CVQ_ERR_CONTENT, why);
}

/* Cut at any length, the checkpoint is passed through.  Closes 'fd'. */
static inline void pass_through_at_every_length(int fd)
{
	struct opened opened = {.fd = fd};
	assert_int_equal(cvq_policy_init(&opened.policy), 0);
	for (uint64_t size = file_size(opened.fd); size-- > 0;) {
		assert_int_equal(ftruncate(opened.fd, (off_t)size), 0);
		assert_passed_through(&opened, "it");
	}
	close_model(&opened);
}

/* Any flipped bit: passed through, or an image that reads to its end.  Closes 'fd'. */
static inline void flip_every_bit(int fd)
{
	struct opened opened = {.fd = fd};
	assert_int_equal(cvq_policy_init(&opened.policy), 0);
	uint64_t bits = file_size(opened.fd) * 8;
	for (uint64_t bit = 0; bit < bits; bit++) {
		uint8_t byte;
		assert_int_equal(pread(opened.fd, &byte, 1, (off_t)(bit / 8)), 1);
		byte ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(pwrite(opened.fd, &byte, 1, (off_t)(bit / 8)), 1);
		cvq_err err = plan(&opened, NULL);
		assert_true(err == 0 || cvq_is_of_content(err));
		if (!err) {
			free(read_whole(&opened));
			cvq_image_unref(opened.image);
		}
		opened.image = NULL;
		byte ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(pwrite(opened.fd, &byte, 1, (off_t)(bit / 8)), 1);
	}
	close_model(&opened);
}

#endif
