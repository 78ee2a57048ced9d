/* SPDX-License-Identifier: MIT */
/*
 * One field of an extended attribute that holds a JSON object
 *
 *	json_attribute FILE NAME FIELD
 *
 * Prints a string as it is, anything else as JSON, and an empty line if there is no
 * such field.  The tests ask this thousands of times.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>

int main(int argc, char *argv[])
{
	static char text[1 << 16]; /* an attribute is never longer */
	json_error_t error;

	if (argc != 4)
		return 2;
	ssize_t size = getxattr(argv[1], argv[2], text, sizeof(text));
	if (size < 0) {
		perror(argv[1]);
		return 1;
	}
	json_t *object = json_loadb(text, (size_t)size, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(object)) {
		fprintf(stderr, "%s: %s is no JSON object: %s\n", argv[1], argv[2],
			error.text);
		return 1;
	}
	json_t *field = json_object_get(object, argv[3]);
	if (json_is_string(field))
		fputs(json_string_value(field), stdout);
	else if (field)
		json_dumpf(field, stdout, JSON_ENCODE_ANY);
	putchar('\n');
	json_decref(object);
	return 0;
}
