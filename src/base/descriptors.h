/* SPDX-License-Identifier: MIT */
/*
 * Descriptors: the standard ones, and those of files that may be anything
 */
#ifndef CVQ_BASE_DESCRIPTORS_H
#define CVQ_BASE_DESCRIPTORS_H

/*
 * Opens those that whoever started us has closed.  Were the next file to get such a
 * number, messages would be written into it.
 */
void cvq_fill_standard_descriptors(void);

/*
 * Opens 'path', from the directory 'folder' or AT_FDCWD, for reading.  A fifo keeps nobody
 * waiting, and no terminal becomes ours.  Returns as open(2).
 */
int cvq_open_any(int folder, const char *path);

#endif
