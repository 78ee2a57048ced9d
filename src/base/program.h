/* SPDX-License-Identifier: MIT */
/*
 * Other programs
 */
#ifndef CVQ_BASE_PROGRAM_H
#define CVQ_BASE_PROGRAM_H

/* The path of a program as the shell would find it, to be freed; NULL if there is none. */
char *cvq_program_find(const char *name);

#endif
