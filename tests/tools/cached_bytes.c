/* SPDX-License-Identifier: MIT */
/*
 * How much of a file is in the page cache
 *
 *	cached_bytes FILE
 *
 * Prints bytes, in whole pages.  fincore(1) does the same, where it is installed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
	if (argc != 2)
		return 2;
	struct stat attributes;
	int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &attributes)) {
		perror(argv[1]);
		return 1;
	}
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = (size_t)attributes.st_size;
	size_t pages = (size + page - 1) / page, cached = 0;
	unsigned char *resident = malloc(pages + 1);
	void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (!resident || bytes == MAP_FAILED || mincore(bytes, size, resident)) {
		perror(argv[1]);
		return 1;
	}
	for (size_t i = 0; i < pages; i++)
		cached += resident[i] & 1;
	printf("%zu\n", cached * page);
	free(resident);
	return 0;
}
