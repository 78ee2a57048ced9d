/* SPDX-License-Identifier: MIT */
/*
 * How fast the conversion kernel is, and memcpy() beside it
 *
 *	kernel_rate ROUNDS
 *
 * Prints a line a round, interleaved: GB/s of FP32 from buffers that fit the L2 cache,
 * then bytes moved per second (read and written) from RAM by the kernel and by memcpy().
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cvq/cvq.h"

#define L2_NUMBERS  (48u << 10) /* 192 KiB of FP32 and 96 KiB of FP16 */
#define RAM_NUMBERS (64u << 20) /* 256 MiB, far beyond any cache */

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double convert_rate(void *target, const float *source, size_t count, int repeats)
{
	double began = now();
	for (int i = 0; i < repeats; i++)
		cvq_convert(target, source, count, CVQ_FP16, CVQ_OVERFLOW_INF);
	return (double)repeats * (double)count * sizeof(float) / (now() - began) / 1e9;
}

static double copy_rate(void *target, const void *source, size_t bytes)
{
	double began = now();
	memcpy(target, source, bytes);
	return 2 * (double)bytes / (now() - began) / 1e9;
}

int main(int argc, char *argv[])
{
	int rounds = argc > 1 ? atoi(argv[1]) : 5;
	float *source = malloc(RAM_NUMBERS * sizeof(*source));
	float *target = malloc(RAM_NUMBERS * sizeof(*target));
	if (!source || !target)
		return 1;
	for (size_t i = 0; i < RAM_NUMBERS; i++)
		source[i] = (float)(int32_t)(i * 2654435761u) * 1e-9f;
	memset(target, 1, RAM_NUMBERS * sizeof(float));
	for (int i = 0; i < rounds; i++) {
		double l2 = convert_rate(target, source, L2_NUMBERS, 2000);
		/* 4 bytes read and 2 written for each number. */
		double ram = convert_rate(target, source, RAM_NUMBERS, 1) * 1.5;
		double copy = copy_rate(target, source, RAM_NUMBERS * sizeof(float));
		printf("%.2f %.2f %.2f\n", l2, ram, copy);
	}
	free(source);
	free(target);
	return 0;
}
