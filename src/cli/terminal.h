/* SPDX-License-Identifier: MIT */
/*
 * The terminal, if there is one
 */
#ifndef CVQ_CLI_TERMINAL_H
#define CVQ_CLI_TERMINAL_H

/* How many columns the terminal 'fd' has; 80 if it does not tell. */
unsigned cvq_terminal_width(int fd);

#endif
