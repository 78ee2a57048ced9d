/* SPDX-License-Identifier: MIT */
/*
 * Makes a small sample model: make-sample DIRECTORY
 *
 * quickstart.sh shows cvq at work before a real model is there, on machines
 * without PyTorch.  The checkpoints are what torch.save() writes: a zip archive
 * with the pickle of a state dict and one aligned, stored record per tensor.
 * Names and shapes are a few of CosyVoice2's; the weights are random.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define MAX_RECORDS 16
#define ALIGNMENT   64

struct tensor {
	const char *name;
	uint32_t rows;
	uint32_t columns; /* 0: one dimension */
};

struct record {
	char name[64];
	uint32_t offset;
	uint32_t size;
	uint32_t crc;
};

struct archive {
	FILE *file;
	const char *folder;
	struct record records[MAX_RECORDS];
	size_t count;
};

static const struct tensor llm[] = {
	{"llm_embedding.weight", 2, 896},
	{"speech_embedding.weight", 6564, 896},
	{"llm_decoder.weight", 6564, 896},
	{"llm_decoder.bias", 6564, 0},
	{NULL, 0, 0},
};

static const struct tensor flow[] = {
	{"input_embedding.weight", 6561, 512},
	{"spk_embed_affine_layer.weight", 80, 192},
	{"encoder_proj.weight", 80, 512},
	{NULL, 0, 0},
};

static const struct tensor hift[] = {
	{"m_source.l_linear.weight", 1, 9},
	{"f0_predictor.classifier.weight", 1, 512},
	{"conv_pre.bias", 512, 0},
	{NULL, 0, 0},
};

static void fail(const char *path)
{
	fprintf(stderr, "make-sample: %s: %s\n", path, strerror(errno));
	exit(1);
}

static void write_u16(FILE *file, uint32_t value)
{
	putc((int)(value & 0xff), file);
	putc((int)(value >> 8 & 0xff), file);
}

static void write_u32(FILE *file, uint32_t value)
{
	write_u16(file, value & 0xffff);
	write_u16(file, value >> 16);
}

/* What local header and directory entry have in common, from the flags on. */
static void write_description(FILE *file, const struct record *record)
{
	write_u16(file, 0x0800); /* names are UTF-8 */
	write_u16(file, 0);      /* stored */
	write_u32(file, 0);      /* no date, as torch has it */
	write_u32(file, record->crc);
	write_u32(file, record->size);
	write_u32(file, record->size);
	write_u16(file, (uint32_t)strlen(record->name));
}

static void add_record(struct archive *archive, const char *name, const void *data,
		       size_t size)
{
	struct record *record = &archive->records[archive->count++];
	uint32_t end_of_header, padding;

	snprintf(record->name, sizeof(record->name), "%s/%s", archive->folder, name);
	record->offset = (uint32_t)ftell(archive->file);
	record->size = (uint32_t)size;
	record->crc = (uint32_t)crc32(0, data, (uInt)size);
	end_of_header = record->offset + 30 + (uint32_t)strlen(record->name) + 4;
	padding = (ALIGNMENT - end_of_header % ALIGNMENT) % ALIGNMENT;

	write_u32(archive->file, 0x04034b50);
	write_u16(archive->file, 0);
	write_description(archive->file, record);
	write_u16(archive->file, 4 + padding); /* of the extra field after the name */
	fputs(record->name, archive->file);
	fputs("FB", archive->file); /* the name of torch's padding field */
	write_u16(archive->file, padding);
	for (; padding; padding--)
		putc('Z', archive->file);
	fwrite(data, 1, size, archive->file);
}

static void finish_archive(struct archive *archive)
{
	uint32_t start = (uint32_t)ftell(archive->file), size;

	for (size_t i = 0; i < archive->count; i++) {
		const struct record *record = &archive->records[i];

		write_u32(archive->file, 0x02014b50);
		write_u32(archive->file, 0);
		write_description(archive->file, record);
		write_u32(archive->file, 0); /* no extra field, no comment */
		write_u32(archive->file, 0); /* disk, internal attributes */
		write_u32(archive->file, 0); /* external attributes */
		write_u32(archive->file, record->offset);
		fputs(record->name, archive->file);
	}
	size = (uint32_t)ftell(archive->file) - start;
	write_u32(archive->file, 0x06054b50);
	write_u32(archive->file, 0);
	write_u16(archive->file, (uint32_t)archive->count);
	write_u16(archive->file, (uint32_t)archive->count);
	write_u32(archive->file, size);
	write_u32(archive->file, start);
	write_u16(archive->file, 0);
}

static void pickle_string(FILE *pickle, const char *text)
{
	putc('X', pickle); /* BINUNICODE */
	write_u32(pickle, (uint32_t)strlen(text));
	fputs(text, pickle);
}

static void pickle_number(FILE *pickle, uint32_t number)
{
	putc('J', pickle); /* BININT */
	write_u32(pickle, number);
}

/* The tuple of shape or stride. */
static void pickle_pair(FILE *pickle, uint32_t first, uint32_t second, int two)
{
	putc('(', pickle);
	pickle_number(pickle, first);
	if (two)
		pickle_number(pickle, second);
	putc('t', pickle);
}

static uint32_t element_count(const struct tensor *tensor)
{
	return tensor->rows * (tensor->columns ? tensor->columns : 1);
}

/* name: _rebuild_tensor_v2(storage, 0, shape, stride, False, OrderedDict()) */
static void pickle_tensor(FILE *pickle, const struct tensor *tensor, const char *key)
{
	int matrix = tensor->columns != 0;

	pickle_string(pickle, tensor->name);
	fputs("ctorch._utils\n_rebuild_tensor_v2\n((", pickle);
	pickle_string(pickle, "storage");
	fputs("ctorch\nFloatStorage\n", pickle);
	pickle_string(pickle, key);
	pickle_string(pickle, "cpu");
	pickle_number(pickle, element_count(tensor));
	fputs("tQ", pickle);
	pickle_number(pickle, 0);
	pickle_pair(pickle, tensor->rows, tensor->columns, matrix);
	pickle_pair(pickle, matrix ? tensor->columns : 1, 1, matrix);
	fputs("\x89"
	      "ccollections\nOrderedDict\n)RtR",
	      pickle);
}

static void add_pickle(struct archive *archive, const struct tensor *tensors)
{
	char *data = NULL, key[16];
	size_t size = 0;
	FILE *pickle = open_memstream(&data, &size);

	if (!pickle)
		fail("memory");
	fputs("\x80\x02}(", pickle);
	for (unsigned i = 0; tensors[i].name; i++) {
		snprintf(key, sizeof(key), "%u", i);
		pickle_tensor(pickle, &tensors[i], key);
	}
	fputs("u.", pickle);
	if (fclose(pickle))
		fail("memory");
	add_record(archive, "data.pkl", data, size);
	free(data);
}

/* A weight as training leaves them: near zero, bell-shaped, the same every time. */
static float next_weight(uint64_t *state)
{
	float sum = 0;

	for (int i = 0; i < 4; i++) {
		*state = *state * 6364136223846793005u + 1442695040888963407u;
		sum += (float)(*state >> 40) / (float)(1 << 24) - 0.5f;
	}
	return sum * 0.04f;
}

static void add_weights(struct archive *archive, const struct tensor *tensors)
{
	uint64_t state = 1;
	char name[32];

	for (unsigned i = 0; tensors[i].name; i++) {
		uint32_t count = element_count(&tensors[i]);
		float *weights = malloc(count * sizeof(*weights));

		if (!weights)
			fail("memory");
		for (uint32_t j = 0; j < count; j++)
			weights[j] = next_weight(&state);
		snprintf(name, sizeof(name), "data/%u", i);
		add_record(archive, name, weights, count * sizeof(*weights));
		free(weights);
	}
}

static void make_checkpoint(const char *folder, const struct tensor *tensors)
{
	const uint16_t probe = 1;
	const char *byteorder = *(const unsigned char *)&probe ? "little" : "big";
	struct archive archive = {.folder = folder};
	char path[16];

	snprintf(path, sizeof(path), "%s.pt", folder);
	archive.file = fopen(path, "wb");
	if (!archive.file)
		fail(path);
	add_pickle(&archive, tensors);
	add_record(&archive, "byteorder", byteorder, strlen(byteorder));
	add_weights(&archive, tensors);
	add_record(&archive, "version", "3\n", 2);
	finish_archive(&archive);
	if (ferror(archive.file) | fclose(archive.file))
		fail(path);
}

static void make_yaml(const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file)
		fail(path);
	fputs("# A sample of cvq: a few tensors with random weights, no model that "
	      "speaks.\n"
	      "sample_rate: 24000\n",
	      file);
	if (fclose(file))
		fail(path);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("Usage: make-sample DIRECTORY\n", stderr);
		return 2;
	}
	if (mkdir(argv[1], 0777) && errno != EEXIST)
		fail(argv[1]);
	if (chdir(argv[1]))
		fail(argv[1]);
	make_checkpoint("llm", llm);
	make_checkpoint("flow", flow);
	make_checkpoint("hift", hift);
	make_yaml("cosyvoice2.yaml");
	return 0;
}
