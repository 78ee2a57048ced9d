/* SPDX-License-Identifier: MIT */
/*
 * Reading an image
 *
 * A read finds its first extent by binary search and walks on from there.  There
 * is no state between reads: numbers are read from the source into a piece of
 * stack that stays in the cache, and converted straight into the reader's buffer.
 */
#include "image/image.h"

#include <string.h>

#include "base/bytes.h"
#include "image/layout.h"
#include "numeric/swap.h"

/* Bytes of the source's numbers that are taken at a time. */
#define PIECE_BYTES (64u << 10)

#define LARGEST_NUMBER 8u

struct cvq_image *cvq_image_ref(struct cvq_image *image)
{
	atomic_fetch_add_explicit(&image->references, 1, memory_order_relaxed);
	return image;
}

void cvq_image_unref(struct cvq_image *image)
{
	if (!image ||
	    atomic_fetch_sub_explicit(&image->references, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < image->conversion_count; i++)
		cvq_checksums_forget(&image->conversions[i]);
	free(image->conversions);
	free(image->extents);
	cvq_buffer_release(&image->literals);
	cvq_spill_free(image->spill);
	free(image);
}

const struct cvq_image_summary *cvq_image_summary(const struct cvq_image *image)
{
	return &image->summary;
}

/* ========================================================================== */
/*                                   Numbers                                  */
/* ========================================================================== */

/* Converts 'count' numbers of the source into 'target'; may overwrite 'numbers'. */
static void compute(const struct cvq_image *image, const struct cvq_conversion *conversion,
		    void *target, void *numbers, size_t count)
{
	if (conversion->from_size == conversion->to_size) {
		cvq_swap_words(numbers, conversion->from_size, count);
		memcpy(target, numbers, count * conversion->to_size);
		return;
	}
	if (conversion->big_endian != CVQ_MACHINE_IS_BIG_ENDIAN)
		cvq_swap_words(numbers, conversion->from_size, count);
	image->convert(target, numbers, count);
	if (CVQ_MACHINE_IS_BIG_ENDIAN)
		cvq_swap_words(target, conversion->to_size, count);
}

cvq_err cvq_image_convert(const struct cvq_image *image,
			  const struct cvq_conversion *conversion,
			  const struct cvq_source *source, void *target, uint64_t first,
			  size_t count)
{
	_Alignas(64) uint8_t numbers[PIECE_BYTES];
	uint8_t *out = target;
	while (count > 0) {
		size_t most = PIECE_BYTES / conversion->from_size;
		size_t piece = count < most ? count : most;
		cvq_err err = cvq_spill_read(
			image->spill, source, numbers, piece * conversion->from_size,
			conversion->source + first * conversion->from_size);
		if (err)
			return err;
		compute(image, conversion, out, numbers, piece);
		if (source->counters)
			atomic_fetch_add_explicit(&source->counters->bytes_converted,
						  piece * conversion->to_size,
						  memory_order_relaxed);
		out += piece * conversion->to_size;
		first += piece;
		count -= piece;
	}
	return 0;
}

/* Reads bytes of one number: reads may begin and end anywhere. */
static cvq_err read_part(const struct cvq_image *image,
			 const struct cvq_conversion *conversion,
			 const struct cvq_source *source, uint8_t *out, uint64_t position,
			 size_t length)
{
	uint8_t number[LARGEST_NUMBER];
	uint64_t index = position / conversion->to_size;
	cvq_err err = cvq_image_convert(image, conversion, source, number, index, 1);
	if (!err)
		memcpy(out, number + position % conversion->to_size, length);
	return err;
}

/* Whole numbers; the pages among them leave their CRCs behind. */
static cvq_err read_numbers(const struct cvq_image *image,
			    struct cvq_conversion *conversion,
			    const struct cvq_source *source, uint8_t *out,
			    uint64_t position, size_t length)
{
	size_t size = conversion->to_size;
	bool remember = image->checksum != CVQ_CHECKSUM_NONE;
	while (length > 0) {
		size_t piece = PIECE_BYTES / conversion->from_size * size;
		/* It ends with a page, so that no page is split. */
		if (remember)
			piece -= (size_t)((conversion->start + position) % CVQ_PAGE_BYTES);
		piece = length < piece ? length : piece;
		cvq_err err = cvq_image_convert(image, conversion, source, out,
						position / size, piece / size);
		if (err)
			return err;
		if (remember)
			cvq_checksums_remember(conversion, out, position, piece);
		out += piece;
		position += piece;
		length -= piece;
	}
	return 0;
}

static cvq_err read_converted(const struct cvq_image *image,
			      struct cvq_conversion *conversion,
			      const struct cvq_source *source, uint8_t *out,
			      uint64_t position, size_t length)
{
	size_t size = conversion->to_size;
	size_t head = (size_t)(-position % size);
	head = length < head ? length : head;
	size_t whole = (length - head) / size * size;
	size_t tail = length - head - whole;
	cvq_err err = 0;
	if (head)
		err = read_part(image, conversion, source, out, position, head);
	if (!err)
		err = read_numbers(image, conversion, source, out + head, position + head,
				   whole);
	if (!err && tail)
		err = read_part(image, conversion, source, out + head + whole,
				position + head + whole, tail);
	return err;
}

/* ========================================================================== */
/*                                   Extents                                  */
/* ========================================================================== */

/* Reads bytes of a seal or checksum, for which all numbers of its conversion count. */
static cvq_err read_check(struct cvq_image *image, const struct cvq_extent *extent,
			  const struct cvq_source *source, uint8_t *out, uint64_t position,
			  size_t length)
{
	struct cvq_conversion *conversion = &image->conversions[extent->origin];
	uint8_t bytes[4];
	cvq_err err;

	if (extent->kind == EXTENT_SEAL) {
		err = cvq_checksums_seal(image, conversion, source, bytes);
	} else {
		uint32_t crc = 0;
		err = cvq_checksums_crc(image, conversion, source, &crc);
		cvq_put_u32(bytes, crc);
	}
	if (!err)
		memcpy(out, bytes + position, length);
	return err;
}

/* Reads 'length' bytes of one extent, from 'position' in it on. */
static cvq_err read_extent(struct cvq_image *image, const struct cvq_extent *extent,
			   const struct cvq_source *source, uint8_t *out, uint64_t position,
			   size_t length)
{
	switch (extent->kind) {
	case EXTENT_LITERAL:
		memcpy(out, image->literals.data + extent->origin + position, length);
		return 0;
	case EXTENT_FILL:
		memset(out, (int)extent->origin, length);
		return 0;
	case EXTENT_SOURCE:
		return cvq_spill_read(image->spill, source, out, length,
				      extent->origin + position);
	case EXTENT_CONVERTED:
		return read_converted(image, &image->conversions[extent->origin], source,
				      out, position, length);
	case EXTENT_SEAL:
	case EXTENT_CHECKSUM:
		return read_check(image, extent, source, out, position, length);
	}
	return -EIO;
}

static uint64_t extent_end(const struct cvq_image *image, size_t index)
{
	return index + 1 < image->extent_count ? image->extents[index + 1].start
					       : image->summary.view_size;
}

uint64_t cvq_extent_length(const struct cvq_image *image, size_t index)
{
	return extent_end(image, index) - image->extents[index].start;
}

/* The last extent that starts at or before 'offset'. */
static size_t find_extent(const struct cvq_image *image, uint64_t offset)
{
	size_t low = 0, high = image->extent_count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (image->extents[middle].start <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* A range of the image, and the extents it touches. */
struct range {
	uint64_t start, end;
	size_t first, last;
	uint8_t *out;
};

/* Reads those extents of the range that are, or are not, seals and checksums. */
static cvq_err read_range(struct cvq_image *image, const struct cvq_source *source,
			  const struct range *range, bool checks)
{
	cvq_err err = 0;
	for (size_t i = range->first; i <= range->last && !err; i++) {
		const struct cvq_extent *extent = &image->extents[i];
		if (cvq_extent_is_check(extent) != checks)
			continue;
		uint64_t from = extent->start > range->start ? extent->start : range->start;
		uint64_t end = extent_end(image, i);
		uint64_t to = end < range->end ? end : range->end;
		err = read_extent(image, extent, source, range->out + (from - range->start),
				  from - extent->start, (size_t)(to - from));
	}
	return err;
}

/* The range of 'length' > 0 bytes at 'offset', cut to the image, in which it begins. */
static struct range find_range(const struct cvq_image *image, void *buffer, size_t length,
			       uint64_t offset)
{
	uint64_t size = image->summary.view_size;
	struct range range = {.start = offset, .out = buffer};
	range.end = length < size - offset ? offset + length : size;
	range.first = find_extent(image, range.start);
	range.last = find_extent(image, range.end - 1);
	return range;
}

/* Whether no check of the range is of numbers outside of it that nobody has read yet. */
static bool is_at_hand(struct cvq_image *image, const struct range *range)
{
	for (size_t i = range->first; i <= range->last; i++) {
		const struct cvq_extent *extent = &image->extents[i];
		if (cvq_extent_is_check(extent) &&
		    !cvq_checksums_known(&image->conversions[extent->origin], range->start,
					 range->end))
			return false;
	}
	return true;
}

bool cvq_image_is_at_hand(struct cvq_image *image, size_t length, uint64_t offset)
{
	if (offset >= image->summary.view_size || length == 0)
		return true;
	struct range range = find_range(image, NULL, length, offset);
	return is_at_hand(image, &range);
}

cvq_err cvq_image_read_numbers(struct cvq_image *image, const struct cvq_source *source,
			       void *buffer, size_t length, uint64_t offset)
{
	struct range range = find_range(image, buffer, length, offset);
	memset(buffer, 0, length);
	return read_range(image, source, &range, false);
}

ssize_t cvq_image_read(struct cvq_image *image, const struct cvq_source *source,
		       void *buffer, size_t length, uint64_t offset)
{
	if (offset >= image->summary.view_size || length == 0)
		return 0;
	struct range range = find_range(image, buffer, length, offset);

	/* Numbers first: their CRCs are then there for the seals among them. */
	cvq_err err = read_range(image, source, &range, false);
	if (!err && source->quickly && !is_at_hand(image, &range))
		err = -EAGAIN;
	if (!err)
		err = cvq_checksums_complete(image, source, range.first, range.last);
	if (!err)
		err = read_range(image, source, &range, true);
	return err ? err : (ssize_t)(range.end - range.start);
}
