/* SPDX-License-Identifier: MIT */
/*
 * How long it takes to read a file
 *
 *	read_rate [-c] [-b BYTES] [-t THREADS] [-r COUNT] FILE
 *
 * Prints seconds, from opening to the last byte.  Each thread reads its part of the
 * file from its start to its end, in blocks of BYTES (1 MiB), or with -r COUNT random
 * pages of 4 KiB.  -c first drops what the page cache has of the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 64
#define PAGE_BYTES  4096u

struct part {
	const char *path;
	size_t block;
	uint64_t first, length;
	unsigned long random; /* pages to read instead */
	bool failed;
};

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool read_sequentially(const struct part *part, int fd, char *buffer)
{
	for (uint64_t done = 0; done < part->length;) {
		uint64_t left = part->length - done;
		size_t length = left < part->block ? (size_t)left : part->block;
		ssize_t got = pread(fd, buffer, length, (off_t)(part->first + done));
		if (got <= 0)
			return false;
		done += (uint64_t)got;
	}
	return true;
}

static bool read_randomly(const struct part *part, int fd, char *buffer)
{
	uint64_t state = part->first + 1;
	for (unsigned long i = 0; i < part->random; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		uint64_t page = (state >> 20) % (part->length / PAGE_BYTES);
		off_t offset =
			(off_t)(part->first / PAGE_BYTES * PAGE_BYTES + page * PAGE_BYTES);
		if (pread(fd, buffer, PAGE_BYTES, offset) <= 0)
			return false;
	}
	return true;
}

static void *read_part(void *argument)
{
	struct part *part = argument;
	char *buffer = malloc(part->block < PAGE_BYTES ? PAGE_BYTES : part->block);
	int fd = open(part->path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && part->random)
		posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	part->failed = !buffer || fd < 0 ||
		       !(part->random ? read_randomly(part, fd, buffer)
				      : read_sequentially(part, fd, buffer));
	if (fd >= 0)
		close(fd);
	free(buffer);
	return NULL;
}

static uint64_t prepare(const char *path, bool drop)
{
	struct stat attributes;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &attributes)) {
		fprintf(stderr, "read_rate: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	if (drop)
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	return (uint64_t)attributes.st_size;
}

int main(int argc, char *argv[])
{
	struct part parts[MAX_THREADS];
	pthread_t threads[MAX_THREADS];
	size_t block = 1 << 20;
	unsigned long count = 1, random = 0;
	bool drop = false;
	for (int letter; (letter = getopt(argc, argv, "cb:t:r:")) != -1;) {
		if (letter == 'c')
			drop = true;
		else if (letter == 'b')
			block = strtoul(optarg, NULL, 10);
		else if (letter == 't')
			count = strtoul(optarg, NULL, 10);
		else if (letter == 'r')
			random = strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (optind + 1 != argc || count < 1 || count > MAX_THREADS)
		return 2;
	uint64_t size = prepare(argv[optind], drop);

	double began = now();
	for (unsigned long i = 0; i < count; i++) {
		uint64_t first = size / count * i;
		parts[i] = (struct part){
			.path = argv[optind],
			.block = block,
			.first = first,
			.length = i + 1 < count ? size / count : size - first,
			.random = random / count,
		};
		pthread_create(&threads[i], NULL, read_part, &parts[i]);
	}
	bool failed = false;
	for (unsigned long i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		failed |= parts[i].failed;
	}
	printf("%.6f\n", now() - began);
	return failed;
}
