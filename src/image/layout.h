/* SPDX-License-Identifier: MIT */
/*
 * The inside of an image: extents, and the builder that strings them together
 *
 * Private to the room.
 */
#ifndef CVQ_IMAGE_LAYOUT_H
#define CVQ_IMAGE_LAYOUT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "checkpoint/spill.h"
#include "image/image.h"
#include "numeric/convert.h"

/*
 * CRCs are remembered per page of the image, counted from its first byte: that
 * is what the kernel asks for, whole pages at multiples of their size.
 */
#define CVQ_PAGE_BYTES 4096u

/* Where the bytes of an extent come from. */
enum cvq_extent_kind {
	EXTENT_LITERAL,   /* image->literals, from 'origin' on */
	EXTENT_FILL,      /* the byte 'origin', repeated */
	EXTENT_SOURCE,    /* the source or its spill file, from 'origin' on */
	EXTENT_CONVERTED, /* the numbers of image->conversions[origin] */
	EXTENT_SEAL,      /* the four bytes that give conversions[origin] its CRC */
	EXTENT_CHECKSUM,  /* the CRC of conversions[origin], four bytes */
};

struct cvq_extent {
	uint64_t start; /* in the image; it ends where the next one starts */
	uint64_t origin;
	enum cvq_extent_kind kind;
};

/*
 * A storage whose numbers are computed: FP32 to convert, or numbers of any kind whose
 * byte order alone changes.  With checksums, no number lies across a page's border.
 */
struct cvq_conversion {
	uint64_t start;  /* of its numbers in the image */
	uint64_t source; /* of the numbers they are made of, for cvq_spill_read() */
	uint64_t count;
	uint8_t from_size;   /* bytes of a number in the source ... */
	uint8_t to_size;     /* ... and in the image; the same: not converted */
	bool big_endian;     /* in the source */
	uint64_t quiet;      /* bytes of zeros behind the seal */
	uint32_t sealed_crc; /* the CRC that the seal gives the record */
	/*
	 * The CRC of each page of the numbers, 0 where it is not known (a page
	 * whose CRC is 0 is merely converted again).  NULL until first needed.
	 */
	_Atomic(_Atomic uint32_t *) page_crcs;
};

struct cvq_image {
	_Atomic uint32_t references;
	struct cvq_image_summary summary;
	cvq_convert_function *convert;
	enum cvq_checksum checksum;
	struct cvq_spill *spill; /* NULL if nothing of the source is compressed */

	struct cvq_extent *extents;
	size_t extent_count, extent_capacity;
	struct cvq_buffer literals;
	struct cvq_conversion *conversions;
	size_t conversion_count;
};

static inline uint64_t cvq_conversion_bytes(const struct cvq_conversion *conversion)
{
	return conversion->count * conversion->to_size;
}

/* --- layout.c --- */

/* An image under construction.  Its end is image->summary.view_size. */
struct cvq_layout {
	struct cvq_image *image;
	size_t laid_out; /* bytes of image->literals that extents refer to */
};

/* Lays out what was appended to image->literals since the last call. */
cvq_err cvq_layout_literals(struct cvq_layout *layout);

/* Appends an extent of another kind. */
cvq_err cvq_layout_extent(struct cvq_layout *layout, enum cvq_extent_kind kind,
			  uint64_t origin, uint64_t length);

/* --- zip.c: the layout of torch's own writer --- */

/* An entry of the archive to be written. */
struct cvq_zip_entry {
	const char *name;
	uint64_t size;
	uint32_t crc;
	/* The conversion whose CRC is computed when it is read, or -1 for 'crc'. */
	int64_t checksum_of;
	uint64_t header_offset; /* set by cvq_zip_begin() */
};

/* Lays out the local header, padded so that the payload is aligned. */
cvq_err cvq_zip_begin(struct cvq_layout *layout, struct cvq_zip_entry *entry,
		      uint32_t alignment);

/* Lays out what follows the payload. */
cvq_err cvq_zip_finish(struct cvq_layout *layout, const struct cvq_zip_entry *entry);

/* Lays out the central directory and the end records. */
cvq_err cvq_zip_directory(struct cvq_layout *layout, const struct cvq_zip_entry *entries,
			  size_t count);

/* --- checksums.c --- */

/*
 * Remembers the CRCs of those pages that lie wholly in 'bytes', which are the
 * conversion's bytes from 'first' (counted from its start) on.
 */
void cvq_checksums_remember(struct cvq_conversion *conversion, const void *bytes,
			    uint64_t first, size_t length);

/* Whether the CRCs of all pages except those in [start, end) of the image are known. */
bool cvq_checksums_known(struct cvq_conversion *conversion, uint64_t start, uint64_t end);

/* Releases what was remembered. */
void cvq_checksums_forget(struct cvq_conversion *conversion);

/*
 * Computes the CRCs of all pages that are not known of those conversions whose
 * seal or checksum lies in the extents from 'first' to 'last', on all cores if
 * it is worth it.  Returns 0 or a negative errno.
 */
cvq_err cvq_checksums_complete(struct cvq_image *image, const struct cvq_source *source,
			       size_t first, size_t last);

/* The CRC of the conversion's numbers. */
cvq_err cvq_checksums_crc(struct cvq_image *image, struct cvq_conversion *conversion,
			  const struct cvq_source *source, uint32_t *crc);

/* The seal of the conversion. */
cvq_err cvq_checksums_seal(struct cvq_image *image, struct cvq_conversion *conversion,
			   const struct cvq_source *source, uint8_t seal[4]);

/* --- image.c --- */

/* Whether the extent is a check: a seal or a checksum, which depends on all its numbers. */
static inline bool cvq_extent_is_check(const struct cvq_extent *extent)
{
	return extent->kind == EXTENT_SEAL || extent->kind == EXTENT_CHECKSUM;
}

/* How many bytes the extent has. */
uint64_t cvq_extent_length(const struct cvq_image *image, size_t index);

/*
 * Reads as cvq_image_read(), except that seals and checksums read as 0.  These
 * cost nothing afterwards if whole pages were read, each in one piece.
 */
cvq_err cvq_image_read_numbers(struct cvq_image *image, const struct cvq_source *source,
			       void *buffer, size_t length, uint64_t offset);

/* Computes 'count' numbers of the conversion from number 'first' on into 'target'
 * (any alignment). */
cvq_err cvq_image_convert(const struct cvq_image *image,
			  const struct cvq_conversion *conversion,
			  const struct cvq_source *source, void *target, uint64_t first,
			  size_t count);

#endif
