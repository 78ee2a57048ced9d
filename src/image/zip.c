/* SPDX-License-Identifier: MIT */
/*
 * The zip archive in the layout of torch's own writer
 *
 * torch's writer is miniz: no version fields, no times, sizes and CRCs of the
 * local header left to a data descriptor, zip64 fields only where needed, zip64
 * end records always; and an extra field 'FB' that pads every local header so
 * that its payload is aligned.  torch may compute where payloads lie instead of
 * looking, so the layout must be followed exactly.
 *
 * Facts: caffe2/serialize/inline_container.cc (padding), miniz
 * (mz_zip_writer_add_mem_ex_v2), PKWARE's APPNOTE (field names).
 */
#include <string.h>

#include "image/layout.h"

#define LOCAL_HEADER_BYTES      30
#define ZIP64_LIMIT             UINT32_MAX /* sizes and offsets from here on need zip64 */
#define FLAG_DATA_DESCRIPTOR    0x0008
#define FLAG_UTF8               0x0800
#define EXTRA_ZIP64             0x0001
#define MAX_EXTRA_BYTES         UINT16_MAX
#define LONGEST_LITERAL_PADDING 256

static uint32_t clamp32(uint64_t value)
{
	return value < ZIP64_LIMIT ? (uint32_t)value : UINT32_MAX;
}

static uint16_t flags_of(const struct cvq_zip_entry *entry)
{
	return entry->size > 0 ? FLAG_UTF8 | FLAG_DATA_DESCRIPTOR : FLAG_UTF8;
}

static bool needs_zip64(const struct cvq_zip_entry *entry)
{
	return entry->size >= ZIP64_LIMIT || entry->header_offset >= ZIP64_LIMIT;
}

/* The zip64 extra field with the entry's sizes and offset, as far as needed. */
static size_t zip64_bytes(const struct cvq_zip_entry *entry)
{
	if (!needs_zip64(entry))
		return 0;
	return 4 + (entry->size >= ZIP64_LIMIT ? 16 : 0) +
	       (entry->header_offset >= ZIP64_LIMIT ? 8 : 0);
}

/*
 * Appends that field, if there is anything to say in it; the local header has no
 * offset to state.  Returns its length.
 */
static size_t append_zip64(struct cvq_buffer *out, const struct cvq_zip_entry *entry,
			   bool with_offset)
{
	bool sizes = entry->size >= ZIP64_LIMIT;
	bool offset = with_offset && entry->header_offset >= ZIP64_LIMIT;
	size_t length = (sizes ? 16 : 0) + (offset ? 8 : 0);
	if (length == 0)
		return 0;
	cvq_buffer_append_u16(out, EXTRA_ZIP64);
	cvq_buffer_append_u16(out, (uint16_t)length);
	if (sizes) {
		cvq_buffer_append_u64(out, entry->size); /* uncompressed */
		cvq_buffer_append_u64(out, entry->size); /* compressed */
	}
	if (offset)
		cvq_buffer_append_u64(out, entry->header_offset);
	return 4 + length;
}

/*
 * Appends the extra fields of the local header except the last one's filling,
 * whose length it returns.  They are as long as torch's but differ in one thing:
 * torch's zip64 field has an offset, which the format does not allow there, and no
 * compressed size, which it demands; strict readers refuse that.  Here the padding
 * takes the offset's place.
 */
static size_t append_local_extra(struct cvq_buffer *out, const struct cvq_zip_entry *entry,
				 uint32_t padding)
{
	size_t filling = zip64_bytes(entry) + padding - append_zip64(out, entry, false);
	cvq_buffer_append(out, "FB", 2);
	cvq_buffer_append_u16(out, (uint16_t)filling);
	return filling;
}

/* Lays out the entry's CRC: known, or computed when somebody reads it. */
static cvq_err append_crc(struct cvq_layout *layout, const struct cvq_zip_entry *entry)
{
	if (entry->checksum_of < 0) {
		cvq_buffer_append_u32(&layout->image->literals, entry->crc);
		return 0;
	}
	cvq_err err = cvq_layout_literals(layout);
	if (!err)
		err = cvq_layout_extent(layout, EXTENT_CHECKSUM,
					(uint64_t)entry->checksum_of, 4);
	return err;
}

/* ========================================================================== */
/*                                   Entries                                  */
/* ========================================================================== */

static uint32_t padding_of(const struct cvq_zip_entry *entry, uint32_t alignment)
{
	uint64_t end = entry->header_offset + LOCAL_HEADER_BYTES + strlen(entry->name) + 4 +
		       zip64_bytes(entry);
	return (uint32_t)(-end & (alignment - 1));
}

/*
 * An extra field cannot be longer than 65535 bytes.  Where the alignment wants
 * more (only 65536 can), the header is moved on a little.
 */
static uint32_t make_room(struct cvq_layout *layout, struct cvq_zip_entry *entry,
			  uint32_t alignment)
{
	uint32_t padding = padding_of(entry, alignment);
	size_t excess = zip64_bytes(entry) + 4 + padding;
	if (excess <= MAX_EXTRA_BYTES)
		return padding;
	excess -= MAX_EXTRA_BYTES;
	cvq_buffer_append_fill(&layout->image->literals, 0, excess);
	entry->header_offset += excess;
	return padding - (uint32_t)excess;
}

cvq_err cvq_zip_begin(struct cvq_layout *layout, struct cvq_zip_entry *entry,
		      uint32_t alignment)
{
	struct cvq_buffer *out = &layout->image->literals;
	size_t name_length = strlen(entry->name);
	cvq_err err = cvq_layout_literals(layout);
	if (err)
		return err;
	entry->header_offset = layout->image->summary.view_size;
	uint32_t padding = make_room(layout, entry, alignment);
	/* Also in the data descriptor, unless they need the zip64 field. */
	uint32_t local_size = entry->size < ZIP64_LIMIT ? 0 : UINT32_MAX;

	cvq_buffer_append(out, "PK\3\4", 4);
	cvq_buffer_append_u16(out, 0); /* version needed */
	cvq_buffer_append_u16(out, flags_of(entry));
	cvq_buffer_append_u16(out, 0); /* stored */
	cvq_buffer_append_u32(out, 0); /* time and date */
	cvq_buffer_append_u32(out, 0); /* CRC: in the data descriptor */
	cvq_buffer_append_u32(out, local_size);
	cvq_buffer_append_u32(out, local_size);
	cvq_buffer_append_u16(out, (uint16_t)name_length);
	cvq_buffer_append_u16(out, (uint16_t)(zip64_bytes(entry) + 4 + padding));
	cvq_buffer_append(out, entry->name, name_length);
	size_t filling = append_local_extra(out, entry, padding);
	if (filling <= LONGEST_LITERAL_PADDING) {
		cvq_buffer_append_fill(out, 'Z', filling);
		return cvq_layout_literals(layout);
	}
	err = cvq_layout_literals(layout);
	return err ? err : cvq_layout_extent(layout, EXTENT_FILL, 'Z', filling);
}

cvq_err cvq_zip_finish(struct cvq_layout *layout, const struct cvq_zip_entry *entry)
{
	struct cvq_buffer *out = &layout->image->literals;
	if (entry->size == 0)
		return 0;
	cvq_buffer_append(out, "PK\7\10", 4);
	cvq_err err = append_crc(layout, entry);
	for (int i = 0; i < 2; i++) { /* compressed and uncompressed size */
		if (needs_zip64(entry))
			cvq_buffer_append_u64(out, entry->size);
		else
			cvq_buffer_append_u32(out, (uint32_t)entry->size);
	}
	return err ? err : cvq_layout_literals(layout);
}

/* ========================================================================== */
/*                              Central directory                             */
/* ========================================================================== */

static cvq_err directory_entry(struct cvq_layout *layout, const struct cvq_zip_entry *entry)
{
	struct cvq_buffer *out = &layout->image->literals;
	size_t name_length = strlen(entry->name);

	cvq_buffer_append(out, "PK\1\2", 4);
	cvq_buffer_append_u16(out, 0); /* version made by */
	cvq_buffer_append_u16(out, 0); /* version needed */
	cvq_buffer_append_u16(out, flags_of(entry));
	cvq_buffer_append_u16(out, 0); /* stored */
	cvq_buffer_append_u32(out, 0); /* time and date */
	cvq_err err = append_crc(layout, entry);
	cvq_buffer_append_u32(out, clamp32(entry->size)); /* compressed */
	cvq_buffer_append_u32(out, clamp32(entry->size)); /* uncompressed */
	cvq_buffer_append_u16(out, (uint16_t)name_length);
	cvq_buffer_append_u16(out, (uint16_t)zip64_bytes(entry));
	cvq_buffer_append_u16(out, 0); /* comment */
	cvq_buffer_append_u16(out, 0); /* disk */
	cvq_buffer_append_u16(out, 0); /* internal attributes */
	cvq_buffer_append_u32(out, 0); /* external attributes */
	cvq_buffer_append_u32(out, clamp32(entry->header_offset));
	cvq_buffer_append(out, entry->name, name_length);
	append_zip64(out, entry, true);
	return err;
}

cvq_err cvq_zip_directory(struct cvq_layout *layout, const struct cvq_zip_entry *entries,
			  size_t count)
{
	struct cvq_buffer *out = &layout->image->literals;
	const uint64_t *end = &layout->image->summary.view_size;
	uint64_t offset = *end;
	cvq_err err = 0;
	for (size_t i = 0; i < count && !err; i++)
		err = directory_entry(layout, &entries[i]);
	if (!err)
		err = cvq_layout_literals(layout);
	if (err)
		return err;
	uint64_t end64_offset = *end;
	uint64_t size = end64_offset - offset;

	cvq_buffer_append(out, "PK\6\6", 4); /* zip64 end of central directory */
	cvq_buffer_append_u64(out, 44);      /* size of what follows */
	cvq_buffer_append_u16(out, 0x031E);  /* made by: miniz says Unix, 3.0 */
	cvq_buffer_append_u16(out, 45);      /* version needed: 4.5 */
	cvq_buffer_append_u32(out, 0);       /* this disk */
	cvq_buffer_append_u32(out, 0);       /* the directory's disk */
	cvq_buffer_append_u64(out, count);   /* entries on this disk, and in all */
	cvq_buffer_append_u64(out, count);
	cvq_buffer_append_u64(out, size);
	cvq_buffer_append_u64(out, offset);

	cvq_buffer_append(out, "PK\6\7", 4); /* its locator */
	cvq_buffer_append_u32(out, 0);       /* disk */
	cvq_buffer_append_u64(out, end64_offset);
	cvq_buffer_append_u32(out, 1); /* number of disks */

	uint16_t count16 = count < UINT16_MAX ? (uint16_t)count : UINT16_MAX;
	cvq_buffer_append(out, "PK\5\6", 4); /* end of central directory */
	cvq_buffer_append_u32(out, 0);       /* both disks */
	cvq_buffer_append_u16(out, count16);
	cvq_buffer_append_u16(out, count16);
	cvq_buffer_append_u32(out, clamp32(size));
	cvq_buffer_append_u32(out, clamp32(offset));
	cvq_buffer_append_u16(out, 0); /* comment */
	return cvq_layout_literals(layout);
}
