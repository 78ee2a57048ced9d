/* SPDX-License-Identifier: MIT */
#include "base/human.h"

#include <stdio.h>

const char *cvq_human_size(uint64_t bytes, char text[CVQ_HUMAN_SIZE])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	double size = (double)bytes;
	unsigned unit = 0;
	/* As it is shown: 1023.95 is rounded to 1024.0, which is one of the next unit. */
	while (size >= (unit ? 1023.95 : 1024) &&
	       unit + 1 < sizeof(units) / sizeof(*units)) {
		size /= 1024;
		unit++;
	}
	snprintf(text, CVQ_HUMAN_SIZE, "%.*f %s", unit > 0, size, units[unit]);
	return text;
}

const char *cvq_human_time(double seconds, char text[CVQ_HUMAN_SIZE])
{
	unsigned long whole = seconds > 0 ? (unsigned long)(seconds + 0.5) : 0;
	if (whole >= 3600)
		snprintf(text, CVQ_HUMAN_SIZE, "%lu:%02lu:%02lu", whole / 3600,
			 whole / 60 % 60, whole % 60);
	else
		snprintf(text, CVQ_HUMAN_SIZE, "%lu:%02lu", whole / 60, whole % 60);
	return text;
}
