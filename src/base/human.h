/* SPDX-License-Identifier: MIT */
/*
 * Numbers for people
 */
#ifndef CVQ_BASE_HUMAN_H
#define CVQ_BASE_HUMAN_H

#include <stdint.h>

#define CVQ_HUMAN_SIZE 32

/* "1.9 GiB"; returns 'text'. */
const char *cvq_human_size(uint64_t bytes, char text[CVQ_HUMAN_SIZE]);

/* "0:07", "12:34", "1:02:03"; returns 'text'. */
const char *cvq_human_time(double seconds, char text[CVQ_HUMAN_SIZE]);

#endif
