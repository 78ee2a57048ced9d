/* SPDX-License-Identifier: MIT */
/*
 * The image: the virtual bytes of a converted checkpoint
 *
 * A plan made once from the archive's directory and the pickle: an ordered list
 * of extents, each of them literal bytes, bytes of the source, or numbers of the
 * source to convert.  Any byte range can be read at any time by any thread from
 * nothing but the plan and the source.
 *
 * A plan does not change, with two exceptions: it remembers the CRC-32 of pages it has
 * converted, so that a seal or checksum costs no second pass; and a compressed record
 * is inflated into its spill file when it is first read.
 */
#ifndef CVQ_IMAGE_IMAGE_H
#define CVQ_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/source.h"
#include "policy/policy.h"

struct cvq_checkpoint;
struct cvq_image;
struct cvq_selection;

/* What the plan comes to. */
struct cvq_image_summary {
	uint64_t source_size;
	uint64_t view_size;
	uint64_t storages;
	uint64_t converted_storages;
	bool holds_much; /* a spill file, or more than a few MiB of memory */
};

/*
 * Plans the image of the checkpoint of 'size' bytes in 'source'.  The source is
 * borrowed for the call only; the policy too.
 *
 * Returns 0 and an image; CVQ_ERR_CONTENT or CVQ_ERR_NOTHING with the reason if the file is
 * to be passed through; a negative errno if planning failed.
 */
cvq_err cvq_image_plan(const struct cvq_source *source, uint64_t size,
		       const struct cvq_policy *policy, struct cvq_image **image,
		       struct cvq_reason *reason);

/*
 * The same for a checkpoint that is open already, and what was selected of it.  The image
 * takes over the checkpoint's spill file, so its bytes can be read no more.
 */
cvq_err cvq_image_plan_selected(struct cvq_checkpoint *checkpoint, uint64_t size,
				const struct cvq_selection *selection,
				const struct cvq_policy *policy, struct cvq_image **image,
				struct cvq_reason *reason);

/* An image is made with one reference.  Thread-safe; the last cvq_image_unref() frees, NULL
 * is allowed there. */
struct cvq_image *cvq_image_ref(struct cvq_image *image);
void cvq_image_unref(struct cvq_image *image);

static inline void cvq_image_cleanup(struct cvq_image **image)
{
	cvq_image_unref(*image);
}

#define cleanup_image cvq_cleanup(cvq_image_cleanup)

const struct cvq_image_summary *cvq_image_summary(const struct cvq_image *image);

/*
 * Reads up to 'length' bytes at 'offset' from the image of 'source', which must
 * be the file that was planned, unchanged (the caller sees to that).
 *
 * Returns the number of bytes, short only at the end of the image; or a negative errno as
 * of cvq_spill_read() (any of them, if the source is to be read quickly and cannot).
 * Thread-safe; a lock is held only while a compressed record is inflated.
 */
ssize_t cvq_image_read(struct cvq_image *image, const struct cvq_source *source,
		       void *buffer, size_t length, uint64_t offset);

/*
 * Whether to read that range takes no more than that range: no seal or checksum in it
 * is of numbers outside of it that nobody has read yet.
 */
bool cvq_image_is_at_hand(struct cvq_image *image, size_t length, uint64_t offset);

/* What cvq_image_write() tells and is told meanwhile. */
struct cvq_write_watch {
	/* Called now and then by the calling thread, with the bytes written so far; false
	 * ends the writing. */
	bool (*report)(void *context, uint64_t written);
	void *context;
};

/*
 * Writes the whole image of 'source' to the file 'fd', from its start, on all cores.
 * 'watch' may be NULL.  The source's numbers are read and converted once, whatever the
 * checksums are.
 *
 * Returns 0; -ECANCELED if 'watch' said so; or what reading or writing failed with.
 * Sets '*reading_failed' to whether it was reading, or inflating what is read.
 */
cvq_err cvq_image_write(struct cvq_image *image, const struct cvq_source *source, int fd,
			const struct cvq_write_watch *watch, bool *reading_failed);

#endif
