/* SPDX-License-Identifier: MIT */
/*
 * zip_check FILE...
 *
 * Opens each archive with libzip's strictest checks (the directory agrees with
 * the local headers) and reads every entry to its end, where libzip compares its
 * CRC-32.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <zip.h>

static bool read_entry(zip_t *archive, zip_uint64_t index, const char *path)
{
	static char buffer[1 << 16];
	zip_file_t *file = zip_fopen_index(archive, index, 0);
	zip_int64_t got = -1;

	if (file) {
		while ((got = zip_fread(file, buffer, sizeof(buffer))) > 0)
			;
	}
	if (got < 0)
		fprintf(stderr, "zip_check: %s: %s: %s\n", path,
			zip_get_name(archive, index, ZIP_FL_ENC_RAW),
			file ? zip_file_strerror(file) : zip_strerror(archive));
	if (file)
		zip_fclose(file);
	return got == 0;
}

static bool check(const char *path)
{
	int code;
	zip_t *archive = zip_open(path, ZIP_RDONLY | ZIP_CHECKCONS, &code);
	bool good = true;

	if (!archive) {
		zip_error_t error;

		zip_error_init_with_code(&error, code);
		fprintf(stderr, "zip_check: %s: %s\n", path, zip_error_strerror(&error));
		zip_error_fini(&error);
		return false;
	}
	zip_int64_t count = zip_get_num_entries(archive, 0);
	for (zip_int64_t i = 0; i < count; i++)
		good = read_entry(archive, (zip_uint64_t)i, path) && good;
	if (count <= 0) {
		fprintf(stderr, "zip_check: %s: no entries\n", path);
		good = false;
	}
	zip_discard(archive);
	return good;
}

int main(int argc, char **argv)
{
	bool good = argc > 1;

	for (int i = 1; i < argc; i++)
		good = check(argv[i]) && good;
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
