/* SPDX-License-Identifier: MIT */
/*
 * Resources that release themselves when their variable leaves its scope
 */
#ifndef CVQ_BASE_CLEANUP_H
#define CVQ_BASE_CLEANUP_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define cvq_cleanup(function) __attribute__((cleanup(function)))

static inline void cvq_cleanup_free_impl(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

/* Leaves errno alone, so that it can run between a failure and its report. */
static inline void cvq_cleanup_fd_impl(const int *fd)
{
	if (*fd >= 0) {
		int saved = errno;
		close(*fd);
		errno = saved;
	}
}

#define cleanup_free cvq_cleanup(cvq_cleanup_free_impl)
#define cleanup_fd   cvq_cleanup(cvq_cleanup_fd_impl)

/* Hands a resource on: yields the pointer (or descriptor) and empties the variable. */
#define steal_pointer(variable)                                                            \
	({                                                                                 \
		__typeof__(variable) stolen = variable;                                    \
		(variable) = NULL;                                                         \
		stolen;                                                                    \
	})
#define steal_fd(variable)                                                                 \
	({                                                                                 \
		int stolen = variable;                                                     \
		(variable) = -1;                                                           \
		stolen;                                                                    \
	})

#endif
