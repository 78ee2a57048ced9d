/* SPDX-License-Identifier: MIT */
/*
 * CRCs of converted records
 *
 * Whoever converts a whole page of the image leaves its CRC behind, so that a
 * reader who streams a record has paid for its seal when he comes to it.  What
 * nobody has read is converted when a seal or checksum is asked for.
 */
#include "image/layout.h"

#include "base/cleanup.h"
#include "base/threads.h"
#include "numeric/crc32.h"

/* Pages converted at a time: as FP32 and FP16 they fit the first cache levels. */
#define GROUP_PAGES 8

/* So few that to prepare the combining of their CRCs does not pay off. */
#define FEW_PAGES 8

/* What one thread takes at a time, and from how many bytes on threads pay off. */
#define TASK_PAGES     256
#define PARALLEL_BYTES (16u << 20)

/* ========================================================================== */
/*                                    Pages                                   */
/* ========================================================================== */

static uint64_t page_count(const struct cvq_conversion *conversion)
{
	uint64_t first = conversion->start / CVQ_PAGE_BYTES;
	uint64_t last =
		(conversion->start + cvq_conversion_bytes(conversion) - 1) / CVQ_PAGE_BYTES;
	return last - first + 1;
}

/* Where page 'page' begins, counted from the conversion's start; the first and
 * the last page are cut to the conversion. */
static uint64_t page_start(const struct cvq_conversion *conversion, uint64_t page)
{
	if (page == 0)
		return 0;
	uint64_t begin = (conversion->start / CVQ_PAGE_BYTES + page) * CVQ_PAGE_BYTES;
	uint64_t start = begin - conversion->start;
	uint64_t end = cvq_conversion_bytes(conversion);
	return start < end ? start : end;
}

/* The array of CRCs, made by whoever needs it first; NULL if memory ran out. */
static _Atomic uint32_t *page_crcs(struct cvq_conversion *conversion)
{
	_Atomic uint32_t *known = atomic_load(&conversion->page_crcs);
	if (known)
		return known;
	_Atomic uint32_t *fresh = calloc(page_count(conversion), sizeof(*fresh));
	if (!fresh)
		return NULL;
	if (atomic_compare_exchange_strong(&conversion->page_crcs, &known, fresh))
		return fresh;
	free((void *)(uintptr_t)fresh);
	return known;
}

void cvq_checksums_forget(struct cvq_conversion *conversion)
{
	free((void *)(uintptr_t)atomic_load(&conversion->page_crcs));
}

void cvq_checksums_remember(struct cvq_conversion *conversion, const void *bytes,
			    uint64_t first, size_t length)
{
	_Atomic uint32_t *crcs = page_crcs(conversion);
	if (!crcs)
		return; /* then somebody converts these pages again */
	const uint8_t *data = bytes;
	uint64_t end = first + length;
	uint64_t page = (conversion->start + first) / CVQ_PAGE_BYTES -
			conversion->start / CVQ_PAGE_BYTES;
	if (page_start(conversion, page) < first)
		page++;
	uint64_t pages = page_count(conversion);
	for (; page < pages; page++) {
		uint64_t begin = page_start(conversion, page);
		uint64_t after = page_start(conversion, page + 1);
		if (after > end)
			break;
		if (atomic_load_explicit(&crcs[page], memory_order_relaxed))
			continue;
		uint32_t crc = cvq_crc32(0, data + (begin - first), after - begin);
		atomic_store_explicit(&crcs[page], crc, memory_order_relaxed);
	}
}

bool cvq_checksums_known(struct cvq_conversion *conversion, uint64_t start, uint64_t end)
{
	const _Atomic uint32_t *crcs = page_crcs(conversion);
	uint64_t pages = page_count(conversion);
	for (uint64_t page = 0; page < pages; page++) {
		bool within = conversion->start + page_start(conversion, page) >= start &&
			      conversion->start + page_start(conversion, page + 1) <= end;
		if (!within &&
		    (!crcs || !atomic_load_explicit(&crcs[page], memory_order_relaxed)))
			return false;
	}
	return true;
}

/* The CRCs of a group of pages, remembered or computed. */
static cvq_err group_crcs(const struct cvq_image *image, struct cvq_conversion *conversion,
			  const struct cvq_source *source, uint64_t page, unsigned count,
			  uint32_t result[GROUP_PAGES])
{
	_Atomic uint32_t *crcs = page_crcs(conversion);
	if (!crcs)
		return -ENOMEM;
	bool known = true;
	for (unsigned i = 0; i < count; i++) {
		result[i] = atomic_load_explicit(&crcs[page + i], memory_order_relaxed);
		known &= result[i] != 0;
	}
	if (known)
		return 0;

	uint8_t bytes[GROUP_PAGES * CVQ_PAGE_BYTES];
	uint64_t begin = page_start(conversion, page);
	uint64_t end = page_start(conversion, page + count);
	cvq_err err = cvq_image_convert(image, conversion, source, bytes,
					begin / conversion->to_size,
					(end - begin) / conversion->to_size);
	for (unsigned i = 0; i < count && !err; i++) {
		uint64_t from = page_start(conversion, page + i);
		uint64_t to = page_start(conversion, page + i + 1);
		result[i] = cvq_crc32(0, bytes + (from - begin), to - from);
		atomic_store_explicit(&crcs[page + i], result[i], memory_order_relaxed);
	}
	return err;
}

/* ========================================================================== */
/*                                   Records                                  */
/* ========================================================================== */

cvq_err cvq_checksums_crc(struct cvq_image *image, struct cvq_conversion *conversion,
			  const struct cvq_source *source, uint32_t *crc)
{
	uint64_t pages = page_count(conversion);
	bool many = pages > FEW_PAGES;
	struct cvq_crc32_shift by_page;
	uint32_t group[GROUP_PAGES];
	cvq_err err = 0;

	if (many)
		cvq_crc32_shift_prepare(&by_page, CVQ_PAGE_BYTES);
	*crc = 0;
	for (uint64_t page = 0; page < pages && !err; page += GROUP_PAGES) {
		unsigned count =
			pages - page < GROUP_PAGES ? (unsigned)(pages - page) : GROUP_PAGES;
		err = group_crcs(image, conversion, source, page, count, group);
		for (unsigned i = 0; i < count && !err; i++) {
			uint64_t length = page_start(conversion, page + i + 1) -
					  page_start(conversion, page + i);
			*crc = many && length == CVQ_PAGE_BYTES
				       ? cvq_crc32_shift(&by_page, *crc, group[i])
				       : cvq_crc32_combine(*crc, group[i], length);
		}
	}
	return err;
}

static uint32_t crc_of_zeros(uint64_t length)
{
	static const uint8_t zeros[CVQ_PAGE_BYTES];
	uint32_t crc = 0;
	for (uint64_t done = 0; done < length; done += sizeof(zeros))
		crc = cvq_crc32(crc, zeros,
				length - done < sizeof(zeros) ? length - done
							      : sizeof(zeros));
	return crc;
}

cvq_err cvq_checksums_seal(struct cvq_image *image, struct cvq_conversion *conversion,
			   const struct cvq_source *source, uint8_t seal[4])
{
	uint32_t crc;
	cvq_err err = cvq_checksums_crc(image, conversion, source, &crc);
	if (!err)
		cvq_crc32_forge(seal, crc, crc_of_zeros(conversion->quiet),
				conversion->quiet, conversion->sealed_crc);
	return err;
}

/* ========================================================================== */
/*                                   Threads                                  */
/* ========================================================================== */

struct task {
	struct cvq_conversion *conversion;
	uint64_t page;
	uint64_t count;
};

struct work {
	struct cvq_image *image;
	const struct cvq_source *source;
	struct task *tasks;
	size_t count, capacity;
	atomic_size_t next;
	atomic_int error;
};

static void run_tasks(void *context, bool is_caller)
{
	(void)is_caller;
	struct work *work = context;
	uint32_t group[GROUP_PAGES];
	size_t taken;
	while ((taken = atomic_fetch_add(&work->next, 1)) < work->count) {
		const struct task *task = &work->tasks[taken];
		uint64_t end = task->page + task->count;
		cvq_err err = atomic_load(&work->error);
		for (uint64_t page = task->page; page < end && !err; page += GROUP_PAGES) {
			unsigned count = end - page < GROUP_PAGES ? (unsigned)(end - page)
								  : GROUP_PAGES;
			err = group_crcs(work->image, task->conversion, work->source, page,
					 count, group);
		}
		if (err)
			atomic_store(&work->error, err);
	}
}

/* Lists the runs of pages of one conversion that nobody has read yet. */
static cvq_err list_tasks(struct work *work, struct cvq_conversion *conversion)
{
	_Atomic uint32_t *crcs = page_crcs(conversion);
	if (!crcs)
		return -ENOMEM;
	uint64_t pages = page_count(conversion);
	for (uint64_t page = 0; page < pages; page += TASK_PAGES) {
		uint64_t count = pages - page < TASK_PAGES ? pages - page : TASK_PAGES;
		bool known = true;
		for (uint64_t i = 0; i < count && known; i++)
			known = atomic_load_explicit(&crcs[page + i],
						     memory_order_relaxed) != 0;
		if (known)
			continue;
		if (cvq_grow((void **)&work->tasks, &work->capacity, work->count,
			     sizeof(*work->tasks)))
			return -ENOMEM;
		work->tasks[work->count++] = (struct task){conversion, page, count};
	}
	return 0;
}

cvq_err cvq_checksums_complete(struct cvq_image *image, const struct cvq_source *source,
			       size_t first, size_t last)
{
	struct work work = {.image = image, .source = source};
	cvq_err err = 0;
	for (size_t i = first; i <= last && !err; i++) {
		const struct cvq_extent *extent = &image->extents[i];
		if (cvq_extent_is_check(extent))
			err = list_tasks(&work, &image->conversions[extent->origin]);
	}
	if (!err && work.count > 0) {
		bool is_much = work.count * TASK_PAGES * CVQ_PAGE_BYTES >= PARALLEL_BYTES;
		cvq_run_on_all_cores(is_much ? work.count : 1, run_tasks, &work);
		err = atomic_load(&work.error);
	}
	free(work.tasks);
	return err;
}
