/* SPDX-License-Identifier: MIT */
/*
 * cvq: PyTorch checkpoints seen as FP16, converted while they are read
 *
 * libcvq opens an FP32 checkpoint and offers its *image*: the bytes of the same
 * checkpoint with half-precision weights.  The image's size is exact before the
 * first read, any byte range can be read at any time, nothing is ever written.
 *
 * Unless a function says otherwise: different objects share nothing, and may be used
 * from different threads at once; functions that return int return 0, or a negative
 * errno value.
 */
#ifndef CVQ_CVQ_H
#define CVQ_CVQ_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CVQ_VERSION_MAJOR  0
#define CVQ_VERSION_MINOR  1
#define CVQ_VERSION_PATCH  0
#define CVQ_VERSION_STRING "0.1.0"

#ifndef CVQ_API
#define CVQ_API __attribute__((visibility("default")))
#endif

/* ========================================================================== */
/*                                  Options                                   */
/* ========================================================================== */

/* What FP32 becomes. */
enum cvq_dtype {
	CVQ_FP16 = 0, /* IEEE binary16, the bits of torch's .half() */
	CVQ_BF16 = 1, /* bfloat16 */
};

/* What becomes of a value that is too large for the target type. */
enum cvq_overflow {
	CVQ_OVERFLOW_INF = 0,   /* infinity, as .half() does */
	CVQ_OVERFLOW_CLAMP = 1, /* the largest finite value */
};

/*
 * How the archive's CRC-32 fields of converted records are made true.
 *
 * SEAL: four bytes behind the numbers give the record a CRC known beforehand; the
 * storage is that much longer than its tensors, and large ones by some zeros more.
 * EXACT: the CRC is computed when its field is read.
 * NONE: the fields are 0, as torch.save has them without compute_crc32.
 */
enum cvq_checksum {
	CVQ_CHECKSUM_SEAL = 0,
	CVQ_CHECKSUM_EXACT = 1,
	CVQ_CHECKSUM_NONE = 2,
};

/*
 * How a checkpoint is converted.  Initialise with CVQ_OPTIONS_DEFAULT, then
 * change what you want changed; later versions add members at the end only.
 */
struct cvq_options {
	size_t sizeof_options; /* sizeof(struct cvq_options), so that the struct can grow */
	enum cvq_dtype dtype;
	enum cvq_overflow overflow;
	enum cvq_checksum checksum;
	/* Alignment of payloads in bytes: a power of two from 16 to 65536, or 0
	 * for the source's own. */
	uint32_t align;
	/* Patterns (fnmatch) of names of tensors that stay FP32, or NULL; the array
	 * ends with NULL.  They are added to those of buffers and of optimizers, which
	 * always do: *inv_freq, optimizer.*, optimizer_states.*,
	 * optimizer_state_dict.* and state.[0-9?]*.*. */
	const char *const *keep_tensors;
};

#define CVQ_OPTIONS_DEFAULT                                                                \
	{                                                                                  \
		sizeof(struct cvq_options), CVQ_FP16, CVQ_OVERFLOW_INF, CVQ_CHECKSUM_SEAL, \
			0, NULL                                                            \
	}

/* ========================================================================== */
/*                             Converted checkpoints                          */
/* ========================================================================== */

/* An open checkpoint and its image. */
struct cvq_file;

/*
 * cvq_open() opens the checkpoint at 'path' and plans its image.  It reads the
 * archive's directory and the pickle, not the weights.
 *
 * 'options' may be NULL for the defaults; they are needed for the call only.  On
 * success *file is set; release it with cvq_close().  A file that cvq does not convert (it
 * is no checkpoint, or holds nothing to convert, or something cvq does not fully
 * understand) is no error: it opens as passed through, and its image is its own bytes.  Its
 * name plays no part, and no configuration file is read.  A file that was changed just now
 * is waited for, until a further change would be seen: most often some milliseconds.
 *
 * Errors: -EINVAL for options out of range; -EISDIR or -ESPIPE for what is no regular
 * file; -EIO for one that is being written; otherwise what open(2), read(2) or malloc(3)
 * failed with.
 */
CVQ_API int cvq_open(const char *path, const struct cvq_options *options,
		     struct cvq_file **file);

/* cvq_close() releases 'file'.  NULL is allowed. */
CVQ_API void cvq_close(struct cvq_file *file);

/* cvq_size() returns the size of the image in bytes.  It never changes. */
CVQ_API uint64_t cvq_size(const struct cvq_file *file);

/*
 * cvq_reason() returns NULL if 'file' is converted, else why it is passed
 * through: one sentence that lives as long as 'file'.
 */
CVQ_API const char *cvq_reason(const struct cvq_file *file);

/*
 * cvq_read() reads 'count' bytes of the image at 'offset' into 'buffer', like
 * pread(2): the result is short only at the end of the image.
 *
 * Any number of threads may read the same file at once.  They wait for each other only
 * while a record that a zip program compressed is inflated, when it is first read.  A read
 * takes up to 256 KiB of stack.  One that has a seal or checksum in it, of which much was
 * not read before, converts that on up to 16 threads more, which block all signals and
 * end before it returns.
 *
 * Returns the number of bytes read; -EIO if the source cannot be read or was modified
 * since cvq_open(), as bytes of two versions are never mixed; or -ENOMEM.  That it was
 * modified is told by its size and modification time: who sets the old time back is not
 * noticed.
 */
CVQ_API ssize_t cvq_read(struct cvq_file *file, void *buffer, size_t count,
			 uint64_t offset);

/*
 * cvq_describe() returns what cvq made of the file as a JSON object (UTF-8,
 * NUL-terminated, to be released with free(3)), or NULL if memory ran out.
 * Members: state ("converted" | "passthrough"), reason (if passed through),
 * dtype, source_size, view_size, storages, converted_storages.  Of a file that is passed
 * through, dtype and storages are null: they are not known.
 */
CVQ_API char *cvq_describe(const struct cvq_file *file);

/* ========================================================================== */
/*                                   Numbers                                  */
/* ========================================================================== */

/*
 * cvq_convert() converts 'count' FP32 values at 'source' to 'dtype' at
 * 'target': 4 * count bytes in, 2 * count bytes out, both in the machine's own
 * byte order and of any alignment; they must not overlap.
 *
 * Rounds to nearest, ties to even; keeps subnormals; a NaN stays a NaN with its
 * sign.  All processors give the same bits.
 */
CVQ_API void cvq_convert(void *target, const void *source, size_t count,
			 enum cvq_dtype dtype, enum cvq_overflow overflow);

/* cvq_kernel_name() names the conversion kernel that this processor uses. */
CVQ_API const char *cvq_kernel_name(void);

#ifdef __cplusplus
}
#endif

#endif /* CVQ_CVQ_H */
