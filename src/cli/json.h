/* SPDX-License-Identifier: MIT */
/*
 * What --json prints
 */
#ifndef CVQ_CLI_JSON_H
#define CVQ_CLI_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "cli/command.h"

/* An exact integer; what JSON's integers cannot hold is their largest. */
json_t *cvq_json_count(uint64_t count);

/* Prints the value, which it takes over, on standard output.  Returns 'code', or another
 * exit code, with a message, if memory ran out (then 'value' may be NULL). */
int cvq_json_print(json_t *value, int code);

#endif
