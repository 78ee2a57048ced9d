/* SPDX-License-Identifier: MIT */
/*
 * The standard descriptors
 */
#ifndef CVQ_BASE_DESCRIPTORS_H
#define CVQ_BASE_DESCRIPTORS_H

/*
 * Opens those that whoever started us has closed.  Were the next file to get such a
 * number, messages would be written into it.
 */
void cvq_fill_standard_descriptors(void);

#endif
