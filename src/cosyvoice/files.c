/* SPDX-License-Identifier: MIT */
/*
 * The files that AutoModel opens: whether they are there, readable and of their formats
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/descriptors.h"
#include "base/json.h"
#include "cosyvoice/check.h"
#include "cosyvoice/onnx.h"

#define MAX_TEXT_BYTES (32u << 20) /* three times what a tokenizer.json has */
#define MAX_JSON_COST  (4u << 20)  /* four times that, with an array for each merge */

static const char copy_it[] = "copy it from the package again";
static const char take_it[] = "copy it from the package that the yaml is from";
static const char permit[] = "let its owner give you the right to read it";
static const char save_again[] = "copy it again, or load it with torch and save it again";

/* ========================================================================== */
/*                                   Opening                                  */
/* ========================================================================== */

int cvq_package_open_at(void *context, const char *path)
{
	const int *directory = context;
	int fd = cvq_open_any(*directory, path);
	return fd >= 0 ? fd : -errno;
}

/* A file that is being checked. */
struct file {
	struct cvq_check *check;
	const char *path;
	struct cvq_source source;
	uint64_t size;
};

static cvq_err open_file(struct file *file, struct cvq_reason *reason)
{
	struct stat status;
	const struct cvq_package_files *files = file->check->files;
	cleanup_fd int fd = files->open(files->context, file->path);
	if (fd < 0)
		return cvq_explain(reason, fd, "cannot be read: %s", strerror(-fd));
	if (fstat(fd, &status))
		return cvq_explain(reason, -errno, "cannot be read: %s", strerror(errno));
	if (!S_ISREG(status.st_mode))
		return cvq_explain(reason, CVQ_ERR_CONTENT, "is no regular file");
	if (status.st_size == 0)
		return cvq_explain(reason, CVQ_ERR_CONTENT, "is empty");
	file->size = (uint64_t)status.st_size;
	file->source.fd = steal_fd(fd);
	return 0;
}

static void close_file(struct file *file)
{
	if (file->source.fd >= 0)
		close(file->source.fd);
}

bool cvq_package_has(const struct cvq_check *check, const char *path)
{
	int fd = check->files->open(check->files->context, path);
	if (fd >= 0)
		close(fd);
	return fd != -ENOENT && fd != -ENOTDIR;
}

bool cvq_package_fills(const struct cvq_check *check, const char *path)
{
	struct stat status;
	cleanup_fd int fd = check->files->open(check->files->context, path);
	return fd >= 0 && fstat(fd, &status) == 0 &&
	       (!S_ISREG(status.st_mode) || status.st_size > 0);
}

/* Reads all of a file of at most 'most' bytes, to be freed; a NUL follows them.  NULL with
 * the error if that fails. */
static char *read_text(const struct file *file, uint64_t most, cvq_err *err,
		       struct cvq_reason *reason)
{
	if (file->size > most) {
		*err = cvq_explain(reason, CVQ_ERR_CONTENT,
				   "is larger than %llu KiB, which no package's is",
				   (unsigned long long)most >> 10);
		return NULL;
	}
	char *text = malloc(file->size + 1);
	*err = text ? cvq_source_read(&file->source, text, file->size, 0) : -ENOMEM;
	if (*err) {
		cvq_explain(reason, *err, "cannot be read: %s", strerror(-*err));
		free(text);
		return NULL;
	}
	text[file->size] = '\0';
	return text;
}

static bool is_lfs_pointer(const struct file *file)
{
	char begin[CVQ_LFS_POINTER_MAX_BYTES];
	return file->size < sizeof(begin) &&
	       cvq_source_read(&file->source, begin, file->size, 0) == 0 &&
	       cvq_lfs_pointer_begins(begin, file->size);
}

/* ========================================================================== */
/*                                   Formats                                  */
/* ========================================================================== */

/* Where a check of the format leaves what it read. */
struct slots {
	json_t **json;
	struct cvq_weights **weights;
};

typedef cvq_err check_format(struct file *file, const struct slots *slots,
			     struct cvq_reason *reason);

static cvq_err check_onnx(struct file *file, const struct slots *slots,
			  struct cvq_reason *reason)
{
	(void)slots;
	cvq_err err = cvq_onnx_check(&file->source, file->size, reason);
	return err && err != CVQ_ERR_CONTENT
		       ? cvq_explain(reason, err, "cannot be read: %s", strerror(-err))
		       : err;
}

static cvq_err check_text(struct file *file, const struct slots *slots,
			  struct cvq_reason *reason)
{
	(void)slots;
	cvq_err err;
	cleanup_free char *text = read_text(file, MAX_TEXT_BYTES, &err, reason);
	if (text && strlen(text) < file->size)
		err = cvq_explain(reason, CVQ_ERR_CONTENT, "is no text");
	return err;
}

static cvq_err check_json(struct file *file, const struct slots *slots,
			  struct cvq_reason *reason)
{
	cvq_err err;
	cleanup_free char *text = read_text(file, MAX_TEXT_BYTES, &err, reason);
	if (!text)
		return err;
	if (cvq_json_cost(text, file->size) > MAX_JSON_COST)
		return cvq_explain(reason, CVQ_ERR_CONTENT,
				   "has more values than any package's");
	json_error_t error;
	json_t *json = json_loadb(text, file->size, JSON_ALLOW_NUL, &error);
	if (!json)
		return cvq_explain(reason, CVQ_ERR_CONTENT, "is no JSON: line %d: %.100s",
				   error.line, error.text);
	if (slots->json)
		*slots->json = json;
	else
		json_decref(json);
	return 0;
}

static cvq_err explain_weights(cvq_err err, const struct cvq_reason *why,
			       struct cvq_reason *reason)
{
	if (cvq_is_of_content(err))
		return cvq_explain(reason, err, "is not understood: %.200s", why->text);
	return err ? cvq_explain(reason, err, "cannot be read: %s", strerror(-err)) : 0;
}

/* The file is taken over. */
static cvq_err open_weights(struct file *file, const struct slots *slots,
			    struct cvq_reason *reason)
{
	struct cvq_reason why = {""};
	cvq_err err = cvq_weights_open(steal_fd(file->source.fd), file->size,
				       slots->weights, &why);
	return explain_weights(err, &why, reason);
}

static cvq_err read_names(const struct slots *slots, struct cvq_reason *reason)
{
	struct cvq_reason why = {""};
	return explain_weights(cvq_weights_read_names(*slots->weights, &why), &why, reason);
}

/* What torch.load() takes. */
static cvq_err check_checkpoint(struct file *file, const struct slots *slots,
				struct cvq_reason *reason)
{
	cvq_err err = open_weights(file, slots, reason);
	if (err)
		return err;
	const struct cvq_checkpoint *checkpoint = (*slots->weights)->checkpoint;
	struct cvq_slice module, name;
	if (!checkpoint->pickle)
		err = cvq_explain(reason, CVQ_ERR_CONTENT,
				  "holds safetensors, which torch.load does not read");
	else if (cvq_pickle_foreign_name(checkpoint->pickle, &module, &name))
		err = cvq_explain(reason, CVQ_ERR_CONTENT,
				  "holds a %.*s.%.*s, which torch.load(weights_only=True) "
				  "refuses",
				  (int)(module.length < 60 ? module.length : 60),
				  module.data, (int)(name.length < 60 ? name.length : 60),
				  name.data);
	return err;
}

/* What load_state_dict() takes, too. */
static cvq_err check_state(struct file *file, const struct slots *slots,
			   struct cvq_reason *reason)
{
	cvq_err err = check_checkpoint(file, slots, reason);
	return err ? err : read_names(slots, reason);
}

static cvq_err check_safetensors(struct file *file, const struct slots *slots,
				 struct cvq_reason *reason)
{
	cvq_err err = open_weights(file, slots, reason);
	if (!err && (*slots->weights)->checkpoint->pickle)
		err = cvq_explain(reason, CVQ_ERR_CONTENT, "holds no safetensors");
	return err ? err : read_names(slots, reason);
}

/* ========================================================================== */
/*                                 The formats                                */
/* ========================================================================== */

struct format {
	const char *name;
	check_format *check;
	const char *remedy;
};

static const struct format onnx_format = {"an ONNX model", check_onnx, copy_it};
static const struct format text_format = {"text", check_text, copy_it};
static const struct format json_format = {"JSON", check_json, copy_it};
static const struct format safetensors_format = {"safetensors", check_safetensors, copy_it};
static const struct format checkpoint_format = {"a checkpoint", check_checkpoint,
						save_again};
static const struct format state_format = {"a checkpoint", check_state, save_again};

/* Whether the file is there and of its format; reports that, and returns it. */
static bool check_file(struct cvq_check *check, const char *path,
		       const struct format *format, const struct slots *slots)
{
	struct cvq_reason reason = {""};
	struct file file = {.check = check, .path = path, .source = {.fd = -1}};
	const char *remedy = format->remedy;
	cvq_err err = open_file(&file, &reason);
	if (err == -ENOENT || err == -ENOTDIR) {
		cvq_explain(&reason, err, "is missing");
		remedy = take_it;
	} else if (err == -EACCES || err == -EPERM) {
		remedy = permit;
	} else if (err) {
		remedy = copy_it;
	} else if (is_lfs_pointer(&file)) {
		err = cvq_explain(&reason, CVQ_ERR_CONTENT,
				  "is not the file but what Git LFS has in its place");
		remedy = "fetch it with git lfs pull";
	} else {
		err = format->check(&file, slots, &reason);
	}
	close_file(&file);
	if (err && slots->weights) { /* nothing more is said of what is faulty */
		cvq_weights_close(*slots->weights);
		*slots->weights = NULL;
	}
	if (err == -ENOMEM)
		check->error = err;
	else if (err)
		cvq_found(check, CVQ_MARK_FAULT, "file", path, remedy, "%s", reason.text);
	else
		cvq_found(check, CVQ_MARK_OK, "file", path, NULL, "is there, and is %s",
			  format->name);
	return !err;
}

static void check_optional(struct cvq_check *check, const char *path,
			   const struct format *format, const struct slots *slots)
{
	if (cvq_package_has(check, path))
		check_file(check, path, format, slots);
}

/* ========================================================================== */
/*                                  The package                               */
/* ========================================================================== */

static void check_part(struct cvq_check *check, enum cvq_part part)
{
	const struct slots slots = {.weights = &check->parts[part]};
	if (check_file(check, cvq_part_files[part], &state_format, &slots) &&
	    part == CVQ_HIFT)
		check->error = cvq_weights_rename_hift(check->parts[part]);
}

/* What from_pretrained() opens in the language model's folder. */
static void check_language_model(struct cvq_check *check)
{
	const struct slots none = {0};
	const struct slots config = {.json = &check->qwen};
	const struct slots pretrained = {.weights = &check->pretrained};

	check_file(check, CVQ_QWEN_FOLDER "config.json", &json_format, &config);
	check_file(check, CVQ_QWEN_FOLDER "model.safetensors", &safetensors_format,
		   &pretrained);
	check_optional(check, CVQ_QWEN_FOLDER "generation_config.json", &json_format,
		       &none);
	check_optional(check, CVQ_QWEN_FOLDER "tokenizer_config.json", &json_format, &none);
	if (cvq_package_has(check, CVQ_QWEN_FOLDER "tokenizer.json")) {
		check_file(check, CVQ_QWEN_FOLDER "tokenizer.json", &json_format, &none);
		check_optional(check, CVQ_QWEN_FOLDER "vocab.json", &json_format, &none);
		check_optional(check, CVQ_QWEN_FOLDER "merges.txt", &text_format, &none);
	} else {
		check_file(check, CVQ_QWEN_FOLDER "vocab.json", &json_format, &none);
		check_file(check, CVQ_QWEN_FOLDER "merges.txt", &text_format, &none);
	}
}

void cvq_check_files(struct cvq_check *check)
{
	static const char *const tokenizers[] = {"speech_tokenizer_v1.onnx",
						 "speech_tokenizer_v2.onnx",
						 "speech_tokenizer_v3.onnx"};
	const struct slots none = {0};
	const struct slots speakers = {.weights = &check->speakers};

	if (check->kind > 1)
		check_language_model(check);
	check_file(check, "campplus.onnx", &onnx_format, &none);
	check_file(check, tokenizers[check->kind - 1], &onnx_format, &none);
	for (enum cvq_part part = 0; part < CVQ_PARTS && !check->error; part++)
		check_part(check, part);
	check_optional(check, "spk2info.pt", &checkpoint_format, &speakers);
}

void cvq_check_weights_alone(struct cvq_check *check)
{
	for (enum cvq_part part = 0; part < CVQ_PARTS && !check->error; part++)
		if (cvq_package_has(check, cvq_part_files[part]))
			check_part(check, part);
}

/* ========================================================================== */
/*                                  The yaml                                  */
/* ========================================================================== */

static cvq_err check_yaml(struct file *file, const struct slots *slots,
			  struct cvq_reason *reason)
{
	(void)slots;
	struct cvq_reason why = {""};
	cvq_err err;
	cleanup_free char *text = read_text(file, CVQ_YAML_MAX_BYTES, &err, reason);
	if (!text)
		return err;
	err = cvq_yaml_parse(text, file->size, &file->check->yaml, &why);
	return err ? cvq_explain(reason, err, "cannot be loaded: %.200s", why.text) : 0;
}

void cvq_check_yaml(struct cvq_check *check)
{
	static const char *const names[] = {"cosyvoice.yaml", "cosyvoice2.yaml",
					    "cosyvoice3.yaml"};
	static const struct format yaml = {"HyperPyYAML", check_yaml,
					   "correct it, or take the package's own"};
	const struct slots none = {0};
	for (unsigned i = 0; i < 3 && check->kind == 0; i++) {
		if (!cvq_package_has(check, names[i]))
			continue;
		check->kind = i + 1;
		check->yaml_name = names[i];
		cvq_found(check, CVQ_MARK_OK, "kind", names[i], NULL,
			  "is what AutoModel finds first, so this is a %s",
			  cvq_kind_name(check->kind));
		check_file(check, names[i], &yaml, &none);
	}
}
