/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: any bytes as a checkpoint
 *
 * What converts must read to its end, and a second reading in other pieces must
 * give the same bytes.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Larger images come from archives that claim large entries; they take too long. */
#define LARGEST_IMAGE (1u << 20)

static void check_reading(struct cvq_image *image, const struct cvq_source *source)
{
	uint64_t size = cvq_image_summary(image)->view_size;
	if (size > LARGEST_IMAGE)
		return;
	uint8_t *whole = malloc(size);
	uint8_t piece[509];
	ssize_t all = cvq_image_read(image, source, whole, size, 0);
	/* What a compressed entry holds is only known when it is read. */
	assert(all == (ssize_t)size || all == -EBADMSG);
	for (uint64_t at = 0; all > 0 && at < size; at += sizeof(piece)) {
		ssize_t got = cvq_image_read(image, source, piece, sizeof(piece), at);
		assert(got > 0 && memcmp(piece, whole + at, (size_t)got) == 0);
	}
	free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cvq_policy policy;
	struct cvq_image *image = NULL;
	struct cvq_source source = {.fd = memfd_create("checkpoint", MFD_CLOEXEC)};
	assert(source.fd >= 0 && cvq_policy_init(&policy) == 0);
	assert(pwrite(source.fd, data, size, 0) == (ssize_t)size);
	cvq_err err = cvq_image_plan(&source, size, &policy, &image, NULL);
	assert(err == 0 || cvq_is_of_content(err));
	if (!err)
		check_reading(image, &source);
	cvq_image_unref(image);
	cvq_policy_release(&policy);
	close(source.fd);
	return 0;
}
