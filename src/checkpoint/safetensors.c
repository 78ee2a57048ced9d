/* SPDX-License-Identifier: MIT */
#include "checkpoint/safetensors.h"

#include <jansson.h>
#include <string.h>

#include "base/bytes.h"
#include "base/json.h"
#include "checkpoint/formats.h"

#define LENGTH_BYTES     8u
#define MAX_HEADER_BYTES 100000000u /* safetensors' own limit */

/* Alignment of the tensors, for which the header is filled up with blanks. */
#define ALIGNMENT 8u

#define MAX_ITEM_BYTES 16u

/* A tensor is an object with two arrays in it, and has a comma behind it, two between its
 * three members, one between its two places, and one less than it has dimensions: this
 * leaves room for nine of those, or for metadata. */
#define MAX_TENSOR_COST (3u * CVQ_JSON_CONTAINER_COST + 12u)
#define MAX_HEADER_COST ((size_t)CVQ_PICKLE_MAX_TENSORS * MAX_TENSOR_COST)

#define METADATA_KEY "__metadata__"

struct cvq_safetensors {
	json_t *header;
	struct cvq_storage *storages; /* one for each tensor */
	struct cvq_tensor *tensors;
	uint64_t *numbers; /* all shapes and strides */
};

struct reading {
	const struct cvq_file_bytes *file;
	struct cvq_checkpoint *checkpoint;
	struct cvq_safetensors *own;
	struct cvq_reason *reason;
	uint64_t data; /* where the tensors begin */
	size_t numbers_used;
};

void cvq_safetensors_free(struct cvq_safetensors *own)
{
	if (!own)
		return;
	json_decref(own->header);
	free(own->storages);
	free(own->tensors);
	free(own->numbers);
	free(own);
}

bool cvq_safetensors_begins(const uint8_t *bytes, size_t length)
{
	return length > LENGTH_BYTES && cvq_get_u64(bytes) <= MAX_HEADER_BYTES &&
	       bytes[LENGTH_BYTES] == '{';
}

/* ========================================================================== */
/*                                   Header                                   */
/* ========================================================================== */

static cvq_err refuse(const struct reading *reading, const char *what)
{
	return cvq_explain(reading->reason, CVQ_ERR_CONTENT, "its safetensors header %s",
			   what);
}

static cvq_err refuse_tensor(const struct reading *reading, const char *name)
{
	return cvq_explain(reading->reason, CVQ_ERR_CONTENT,
			   "its tensor '%.100s' contradicts itself or the file", name);
}

static cvq_err read_header(struct reading *reading)
{
	uint8_t length_bytes[LENGTH_BYTES];
	cvq_err err = cvq_source_read(reading->file->source, length_bytes, LENGTH_BYTES, 0);
	if (err)
		return err;
	uint64_t length = cvq_get_u64(length_bytes);
	if (length > reading->file->size - LENGTH_BYTES)
		return refuse(reading, "is cut off");
	cleanup_free char *text = malloc((size_t)length);
	if (!text)
		return -ENOMEM;
	err = cvq_source_read(reading->file->source, text, (size_t)length, LENGTH_BYTES);
	if (err)
		return err;
	if (cvq_json_cost(text, (size_t)length) > MAX_HEADER_COST)
		return refuse(reading, "has too many values");
	reading->data = LENGTH_BYTES + length;
	json_error_t error;
	reading->own->header =
		json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &error);
	if (!reading->own->header)
		return json_error_code(&error) == json_error_out_of_memory
			       ? -ENOMEM
			       : refuse(reading, "is no JSON");
	return 0;
}

/* ========================================================================== */
/*                                   Tensors                                  */
/* ========================================================================== */

/* Reads an array of sizes; false if it holds anything else. */
static bool read_sizes(const json_t *array, uint64_t *sizes)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		json_t *item = json_array_get(array, i);
		if (!json_is_integer(item) || json_integer_value(item) < 0)
			return false;
		sizes[i] = (uint64_t)json_integer_value(item);
	}
	return json_is_array(array);
}

/* The strides of a contiguous tensor; false if its elements cannot be counted. */
static bool count_elements(const uint64_t *shape, uint64_t *stride, size_t dimensions,
			   uint64_t *numel)
{
	*numel = 1;
	bool overflow = false;
	for (size_t i = dimensions; i-- > 0;) {
		stride[i] = *numel;
		overflow |= __builtin_mul_overflow(*numel, shape[i], numel);
	}
	return !overflow && *numel <= CVQ_PICKLE_MAX_NUMEL;
}

/* Adds one tensor, which is a storage and a record as well. */
static cvq_err add_tensor(struct reading *reading, const struct cvq_tensor *tensor,
			  const struct cvq_record *record, const char *dtype,
			  uint64_t numel)
{
	struct cvq_checkpoint *checkpoint = reading->checkpoint;
	uint32_t index = tensor->storage;
	bool is_float32 = strcmp(dtype, "F32") == 0;
	/* Elements of less than a byte have no size of their own, nor need they. */
	uint64_t quotient = numel && record->size % numel == 0 ? record->size / numel : 1;
	unsigned item_size = is_float32                   ? sizeof(float)
			     : quotient <= MAX_ITEM_BYTES ? (unsigned)quotient
							  : 1;
	if (is_float32 && record->size != numel * sizeof(float))
		return refuse_tensor(reading, tensor->name);
	reading->own->storages[index] = (struct cvq_storage){
		.key = tensor->name,
		.key_length = strlen(tensor->name),
		.type = dtype,
		.item_size = item_size,
		.word_size = item_size,
		.numel = numel,
		.plain = true,
		.is_float32 = is_float32,
	};
	reading->own->tensors[index] = *tensor;
	checkpoint->storage_records[index] = index;
	checkpoint->records[index] = *record;
	checkpoint->storage_count++;
	return 0;
}

static cvq_err read_tensor(struct reading *reading, const char *name, const json_t *entry)
{
	const char *dtype = json_string_value(json_object_get(entry, "dtype"));
	const json_t *shape = json_object_get(entry, "shape");
	const json_t *place = json_object_get(entry, "data_offsets");
	size_t dimensions = json_array_size(shape);
	uint64_t *sizes = reading->own->numbers + reading->numbers_used;
	uint64_t *strides = sizes + dimensions;
	uint64_t numel, offsets[2];
	if (!dtype || json_array_size(place) != 2 || !read_sizes(place, offsets) ||
	    !read_sizes(shape, sizes) ||
	    !count_elements(sizes, strides, dimensions, &numel) ||
	    offsets[0] > offsets[1] || offsets[1] > reading->file->size - reading->data)
		return refuse_tensor(reading, name);
	reading->numbers_used += 2 * dimensions;

	uint32_t index = (uint32_t)reading->checkpoint->storage_count;
	const struct cvq_tensor tensor = {
		.name = name,
		.storage = index,
		.dimensions = (uint32_t)dimensions,
		.shape = sizes,
		.stride = strides,
	};
	const struct cvq_record record = {
		.offset = reading->data + offsets[0],
		.size = offsets[1] - offsets[0],
		.storage = (int32_t)index,
	};
	return add_tensor(reading, &tensor, &record, dtype, numel);
}

/* Room for all tensors of the header. */
static cvq_err make_room(struct reading *reading, size_t count, size_t dimensions)
{
	struct cvq_checkpoint *checkpoint = reading->checkpoint;
	struct cvq_safetensors *own = reading->own;
	own->storages = calloc(count + 1, sizeof(*own->storages));
	own->tensors = calloc(count + 1, sizeof(*own->tensors));
	own->numbers = calloc(2 * dimensions + 1, sizeof(*own->numbers));
	checkpoint->records = calloc(count + 1, sizeof(*checkpoint->records));
	checkpoint->storage_records =
		calloc(count + 1, sizeof(*checkpoint->storage_records));
	checkpoint->storages = own->storages;
	checkpoint->tensors = own->tensors;
	return own->storages && own->tensors && own->numbers && checkpoint->records &&
			       checkpoint->storage_records
		       ? 0
		       : -ENOMEM;
}

static cvq_err read_tensors(struct reading *reading)
{
	json_t *header = reading->own->header;
	const char *name;
	json_t *entry;
	size_t dimensions = 0;
	if (!json_is_object(header))
		return refuse(reading, "is no object");
	if (json_object_size(header) > CVQ_PICKLE_MAX_TENSORS)
		return refuse(reading, "has too many tensors");
	json_object_foreach(header, name, entry) dimensions +=
		json_array_size(json_object_get(entry, "shape"));
	cvq_err err = make_room(reading, json_object_size(header), dimensions);
	if (err)
		return err;
	json_object_foreach(header, name, entry)
	{
		if (strcmp(name, METADATA_KEY) == 0)
			continue;
		err = read_tensor(reading, name, entry);
		if (err)
			return err;
	}
	reading->checkpoint->record_count = reading->checkpoint->storage_count;
	reading->checkpoint->tensor_count = reading->checkpoint->storage_count;
	return 0;
}

static int compare_places(const void *left, const void *right)
{
	const struct cvq_record *a = left;
	const struct cvq_record *b = right;
	if (a->offset != b->offset)
		return a->offset < b->offset ? -1 : 1;
	return a->size < b->size ? -1 : a->size > b->size;
}

/* The tensors must lie behind each other and fill the file. */
static cvq_err check_places(struct reading *reading)
{
	const struct cvq_checkpoint *checkpoint = reading->checkpoint;
	size_t count = checkpoint->record_count;
	cleanup_free struct cvq_record *sorted = calloc(count + 1, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	memcpy(sorted, checkpoint->records, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), compare_places);
	uint64_t end = reading->data;
	for (size_t i = 0; i < count; i++) {
		if (sorted[i].offset != end)
			return refuse(reading, "leaves gaps between the tensors, or lets "
					       "them overlap");
		end += sorted[i].size;
	}
	return end == reading->file->size ? 0 : refuse(reading, "does not fit the file");
}

cvq_err cvq_safetensors_read(const struct cvq_file_bytes *file,
			     struct cvq_checkpoint *checkpoint, struct cvq_reason *reason)
{
	checkpoint->format = CVQ_FORMAT_SAFETENSORS;
	checkpoint->safetensors = calloc(1, sizeof(*checkpoint->safetensors));
	if (!checkpoint->safetensors)
		return -ENOMEM;
	struct reading reading = {file, checkpoint, checkpoint->safetensors, reason, 0, 0};
	cvq_err err = read_header(&reading);
	if (!err)
		err = read_tensors(&reading);
	return err ? err : check_places(&reading);
}

/* ========================================================================== */
/*                                   Writing                                  */
/* ========================================================================== */

static json_t *changed_entry(json_t *entry, const struct cvq_safetensor *tensor)
{
	json_t *changed = json_copy(entry);
	int failed = json_object_set_new(
		changed, "data_offsets",
		json_pack("[I, I]", (json_int_t)tensor->begin, (json_int_t)tensor->end));
	if (tensor->dtype)
		failed |= json_object_set_new(changed, "dtype", json_string(tensor->dtype));
	if (failed)
		json_decref(changed);
	return failed ? NULL : changed;
}

cvq_err cvq_safetensors_write(const struct cvq_checkpoint *checkpoint,
			      const struct cvq_safetensor *tensors, struct cvq_buffer *out)
{
	json_t *source = checkpoint->safetensors->header;
	json_t *header = json_object();
	const char *name;
	json_t *entry;
	size_t index = 0;
	int failed = 0;
	json_object_foreach(source, name, entry)
	{
		/* The tensors are numbered as the reader met them. */
		json_t *changed = strcmp(name, METADATA_KEY)
					  ? changed_entry(entry, &tensors[index++])
					  : json_incref(entry);
		failed |= json_object_set_new(header, name, changed);
	}
	cleanup_free char *text = failed ? NULL : json_dumps(header, JSON_COMPACT);
	json_decref(header);
	if (!text)
		return -ENOMEM;
	size_t length = strlen(text);
	size_t blanks = -length & (ALIGNMENT - 1);
	cvq_buffer_append_u64(out, length + blanks);
	cvq_buffer_append(out, text, length);
	cvq_buffer_append_fill(out, ' ', blanks);
	return out->error;
}
