/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a source file, and the count of what was read of them; and writing some
 */
#ifndef CVQ_BASE_SOURCE_H
#define CVQ_BASE_SOURCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* What one mount (or one library user) has read; any thread may add. */
struct cvq_counters {
	_Atomic uint64_t bytes_read;      /* bytes read from source files */
	_Atomic uint64_t bytes_converted; /* bytes of FP16 or BF16 produced */
};

/* A source file open for reading.  Borrows all; any number of threads may read. */
struct cvq_source {
	int fd;
	struct cvq_counters *counters; /* or NULL */
	bool quickly; /* fail, somehow, in place of waiting for a disk or long computing */
	/* For bytes that are in no file: NULL, or what is called in place of pread(2) and
	 * returns a negative errno where that sets errno; never quickly. */
	ssize_t (*read)(void *context, void *buffer, size_t length, uint64_t offset);
	void *context;
};

/*
 * Reads exactly 'length' bytes at 'offset'.  Returns 0; -ENODATA if the file
 * ends before; or what reading failed with.
 */
cvq_err cvq_source_read(const struct cvq_source *source, void *buffer, size_t length,
			uint64_t offset);

/* Writes all 'length' bytes at 'offset' of 'fd'.  Returns 0, or the error of pwrite(2). */
cvq_err cvq_write_all(int fd, const void *buffer, size_t length, uint64_t offset);

#endif
