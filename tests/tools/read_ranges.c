/* SPDX-License-Identifier: MIT */
/*
 * read_ranges FILE REFERENCE [-t THREADS] [-n READS] [-s SEED] [-r]
 *
 * Reads FILE in random ranges by several threads and once from start to end, and
 * compares every byte with REFERENCE, a plain copy of what FILE must be.  With -r
 * the random ranges come first, when nothing of FILE has been read yet.
 *
 * A range is one byte, some bytes about a border of the zip archive (the tool
 * finds its headers in REFERENCE), one that passes the end, or any other of up to
 * a MiB.  Threads read by pread, by pread past the page cache (O_DIRECT: a FUSE
 * file system then sees the very range that was asked for), and through mmap.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_RANGE   (1u << 20)
#define MAX_THREADS 64

enum way { BY_PREAD, BY_DIRECT, BY_MMAP, WAYS };

static const char *const way_names[WAYS] = {"pread", "direct pread", "mmap"};

struct subject {
	int fd;
	int direct_fd; /* or -1 where the file system has no O_DIRECT */
	const uint8_t *map;
	const uint8_t *reference;
	size_t size;
	size_t *borders;
	size_t border_count;
	unsigned reads;
};

struct worker {
	pthread_t thread;
	const struct subject *subject;
	uint64_t random;
	bool failed;
};

struct range {
	size_t offset;
	size_t length;
};

/* splitmix64: small, and the same everywhere. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t value = *state += 0x9E3779B97F4A7C15u;

	value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
	value = (value ^ value >> 27) * 0x94D049BB133111EBu;
	return value ^ value >> 31;
}

static void die(const char *what, const char *path)
{
	fprintf(stderr, "read_ranges: %s: %s: %s\n", path, what, strerror(errno));
	exit(2);
}

static void find_borders(struct subject *subject)
{
	size_t capacity = 0;
	const uint8_t *at = subject->reference;
	const uint8_t *end = at + subject->size;

	if (subject->size < 4)
		return;
	while (at + 4 <= end && (at = memchr(at, 'P', (size_t)(end - at) - 3))) {
		if (at[1] == 'K' && at[2] < 9 && at[3] < 9) {
			if (subject->border_count == capacity) {
				capacity = capacity ? 2 * capacity : 64;
				subject->borders = realloc(subject->borders,
							   capacity * sizeof(size_t));
				if (!subject->borders)
					die("borders", "memory");
			}
			subject->borders[subject->border_count++] =
				(size_t)(at - subject->reference);
		}
		at++;
	}
}

static struct range random_range(const struct subject *subject, uint64_t *random)
{
	struct range range;
	uint64_t kind = next_random(random) % 8;
	size_t anywhere = next_random(random) % (subject->size + 1);

	if (kind == 0) {
		range = (struct range){anywhere, 1};
	} else if (kind <= 3 && subject->border_count) {
		size_t border =
			subject->borders[next_random(random) % subject->border_count];
		size_t before = next_random(random) % 96;

		range.offset = border > before ? border - before : 0;
		range.length = 1 + next_random(random) % 192;
	} else if (kind == 4) {
		size_t before = next_random(random) % 300;

		range.offset = subject->size > before ? subject->size - before : 0;
		range.offset += next_random(random) % 400;
		range.length = 1 + next_random(random) % 10000;
	} else {
		unsigned magnitude = next_random(random) % 21;

		range.offset = anywhere;
		range.length = 1 + next_random(random) % ((size_t)1 << magnitude);
	}
	return range;
}

static ssize_t read_fully(int fd, uint8_t *buffer, size_t length, size_t offset)
{
	size_t done = 0;

	while (done < length) {
		ssize_t got =
			pread(fd, buffer + done, length - done, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

/* Compares what was read with the reference; says where they part. */
static bool check(const struct subject *subject, struct range range, const uint8_t *bytes,
		  ssize_t got, enum way way)
{
	size_t left = range.offset < subject->size ? subject->size - range.offset : 0;
	size_t expected = range.length < left ? range.length : left;

	if (got < 0) {
		fprintf(stderr, "read_ranges: %s of %zu bytes at %zu: %s\n", way_names[way],
			range.length, range.offset, strerror(errno));
		return false;
	}
	if ((size_t)got != expected) {
		fprintf(stderr, "read_ranges: %s of %zu bytes at %zu gave %zd, not %zu\n",
			way_names[way], range.length, range.offset, got, expected);
		return false;
	}
	if (expected && memcmp(bytes, subject->reference + range.offset, expected) != 0) {
		size_t at = 0;

		while (bytes[at] == subject->reference[range.offset + at])
			at++;
		fprintf(stderr,
			"read_ranges: %s of %zu bytes at %zu: byte %zu is %02x, not %02x\n",
			way_names[way], range.length, range.offset, range.offset + at,
			bytes[at], subject->reference[range.offset + at]);
		return false;
	}
	return true;
}

static bool read_range(const struct subject *subject, struct range range, enum way way,
		       uint8_t *buffer)
{
	ssize_t got;

	if (way == BY_MMAP) {
		/* Beyond the end a mapping has nothing to read. */
		if (range.offset >= subject->size)
			return true;
		if (range.length > subject->size - range.offset)
			range.length = subject->size - range.offset;
		memcpy(buffer, subject->map + range.offset, range.length);
		got = (ssize_t)range.length;
	} else {
		bool direct = way == BY_DIRECT && subject->direct_fd >= 0;

		got = read_fully(direct ? subject->direct_fd : subject->fd, buffer,
				 range.length, range.offset);
		/* Disk file systems want aligned ranges; FUSE takes any. */
		if (got < 0 && direct && errno == EINVAL)
			got = read_fully(subject->fd, buffer, range.length, range.offset);
	}
	return check(subject, range, buffer, got, way);
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	uint8_t *buffer = malloc(MAX_RANGE);

	if (!buffer)
		die("buffer", "memory");
	for (unsigned i = 0; i < worker->subject->reads && !worker->failed; i++) {
		struct range range = random_range(worker->subject, &worker->random);
		enum way way = next_random(&worker->random) % WAYS;

		worker->failed = !read_range(worker->subject, range, way, buffer);
	}
	free(buffer);
	return NULL;
}

static bool read_randomly(const struct subject *subject, unsigned threads, uint64_t seed)
{
	struct worker workers[MAX_THREADS] = {0};
	bool good = true;

	for (unsigned i = 0; i < threads; i++) {
		workers[i].subject = subject;
		workers[i].random = seed * MAX_THREADS + i;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			die("thread", "start");
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		good = good && !workers[i].failed;
	}
	return good;
}

static bool read_sequentially(const struct subject *subject)
{
	static uint8_t buffer[MAX_RANGE];

	for (size_t offset = 0; offset <= subject->size; offset += sizeof(buffer)) {
		struct range range = {offset, sizeof(buffer)};

		if (!read_range(subject, range, BY_PREAD, buffer))
			return false;
	}
	return true;
}

static int open_and_map(const char *path, size_t *size, const uint8_t **map)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat attributes;

	if (fd < 0 || fstat(fd, &attributes) != 0)
		die("open", path);
	*size = (size_t)attributes.st_size;
	*map = NULL;
	if (*size) {
		void *address = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);

		if (address == MAP_FAILED)
			die("mmap", path);
		*map = address;
	}
	return fd;
}

int main(int argc, char **argv)
{
	struct subject subject = {.reads = 2000};
	unsigned threads = 4;
	uint64_t seed = 1;
	bool random_first = false;
	size_t reference_size;
	int option;

	while ((option = getopt(argc, argv, "t:n:s:r")) != -1) {
		switch (option) {
		case 't':
			threads = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'n':
			subject.reads = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 10);
			break;
		case 'r':
			random_first = true;
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != 2 || threads < 1 || threads > MAX_THREADS) {
		fprintf(stderr, "read_ranges: see the head of read_ranges.c\n");
		return 2;
	}
	subject.fd = open_and_map(argv[optind], &subject.size, &subject.map);
	subject.direct_fd = open(argv[optind], O_RDONLY | O_CLOEXEC | O_DIRECT);
	open_and_map(argv[optind + 1], &reference_size, &subject.reference);
	if (subject.size != reference_size) {
		fprintf(stderr, "read_ranges: %s has %zu bytes, not %zu\n", argv[optind],
			subject.size, reference_size);
		return 1;
	}
	find_borders(&subject);

	bool good = random_first || read_sequentially(&subject);
	good = good && read_randomly(&subject, threads, seed);
	good = good && (!random_first || read_sequentially(&subject));
	free(subject.borders);
	return good ? 0 : 1;
}
