/* SPDX-License-Identifier: MIT */
#include "cli/compare.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/threads.h"
#include "cli/matching.h"
#include "numeric/convert.h"

/* What one thread takes at a time: 16 MiB of FP32, if the boxes are full. */
#define TASK_BOXES 64

/* A run of boxes of one tensor, and what was found there. */
struct task {
	size_t tensor;
	uint64_t first, end;
	struct cvq_differences differences;
	struct cvq_accuracy accuracy;
	uint64_t other_nans;
	cvq_err view_error;
};

struct work {
	struct cvq_comparison *comparison;
	/* The oracle: the portable kernel, whichever one made the view. */
	cvq_convert_function *convert;
	const struct cvq_compare_watch *watch;
	uint64_t elements; /* of all tensors that are compared ... */
	uint64_t stored;   /* ... and of all storages of both sides */
	struct task *tasks;
	size_t count, capacity;
	atomic_size_t next;
	_Atomic uint64_t done; /* bytes of the source */
	atomic_int error;      /* of the source, or -ENOMEM */
};

static struct cvq_tensor_at tensor_at(const struct cvq_opened *opened,
				      const struct cvq_tensor *tensor)
{
	return (struct cvq_tensor_at){opened->checkpoint, &opened->source, tensor};
}

static cvq_err open_pair(const struct cvq_comparison *comparison,
			 const struct cvq_compared *tensor, struct cvq_pair *pair,
			 struct cvq_reason *reason)
{
	const struct cvq_tensor_at source = tensor_at(comparison->source, tensor->source);
	const struct cvq_tensor_at view = tensor_at(comparison->view, tensor->view);
	return cvq_pair_open(pair, &source, &view, reason);
}

size_t cvq_compared_index(const struct cvq_comparison *comparison,
			  const struct cvq_compared *tensor, uint64_t **index)
{
	const struct cvq_tensor_at source = tensor_at(comparison->source, tensor->source);
	size_t dimensions = tensor->source->dimensions;
	bool is_bytes = cvq_pair_is_bytes(&source);
	*index = calloc(dimensions + 1, sizeof(**index));
	if (!*index)
		return 0;
	**index = tensor->differences.position;
	if (!is_bytes)
		cvq_pair_index(tensor->source, tensor->view, tensor->differences.position,
			       *index);
	return is_bytes ? 1 : dimensions;
}

const char *cvq_compare_failure(cvq_err err)
{
	switch (err) {
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		return "there is no space in TMPDIR to inflate it";
	case -EBADMSG:
		return "its compressed data is damaged";
	case -ENODATA:
		return "the file is cut off";
	default:
		return strerror(-err);
	}
}

/* ========================================================================== */
/*                                   Elements                                 */
/* ========================================================================== */

/* What a thread works with. */
struct bench {
	uint8_t *sides[CVQ_SIDES];
	uint8_t *expected; /* the source's box, converted */
	uint8_t *scratch;
};

static bool prepare(struct bench *bench)
{
	/* One allocation, in the order of their alignment. */
	bench->sides[0] = malloc(3 * CVQ_PAIR_BOX_BYTES + CVQ_PAIR_SCRATCH_BYTES);
	if (!bench->sides[0])
		return false;
	bench->sides[1] = bench->sides[0] + CVQ_PAIR_BOX_BYTES;
	bench->expected = bench->sides[1] + CVQ_PAIR_BOX_BYTES;
	bench->scratch = bench->expected + CVQ_PAIR_BOX_BYTES;
	return true;
}

/* Where in the walk the elements are that are compared. */
struct place {
	const struct cvq_pair *pair;
	const struct cvq_box *box;
};

/* An element differs; the first one of all is remembered. */
static void note_difference(struct cvq_differences *differences, const struct place *place,
			    size_t index, const uint8_t *expected, const uint8_t *found,
			    unsigned size)
{
	uint64_t position = cvq_pair_position(place->pair, place->box, index);
	if (differences->count++ > 0 && position > differences->position)
		return;
	differences->position = position;
	memcpy(differences->expected, expected, size);
	memcpy(differences->found, found, size);
}

static bool is_nan(uint16_t half, enum cvq_dtype dtype)
{
	return (half & 0x7FFF) > (dtype == CVQ_FP16 ? 0x7C00 : 0x7F80);
}

static bool is_same_nan(uint16_t a, uint16_t b, enum cvq_dtype dtype)
{
	bool same_sign = ((a ^ b) & 0x8000) == 0;
	return is_nan(a, dtype) && is_nan(b, dtype) && (same_sign || dtype == CVQ_BF16);
}

static void compare_halves(struct task *task, const struct place *place,
			   const uint16_t *expected, const uint16_t *found,
			   enum cvq_dtype dtype)
{
	size_t count = place->box->elements;
	if (memcmp(expected, found, count * sizeof(*found)) == 0)
		return;
	for (size_t i = 0; i < count; i++) {
		if (expected[i] == found[i])
			continue;
		if (is_same_nan(expected[i], found[i], dtype))
			task->other_nans++;
		else
			note_difference(&task->differences, place, i,
					(const uint8_t *)&expected[i],
					(const uint8_t *)&found[i], sizeof(*found));
	}
}

static void compare_bits(struct task *task, const struct place *place,
			 const uint8_t *expected, const uint8_t *found, unsigned size)
{
	size_t count = place->box->elements;
	if (memcmp(expected, found, count * size) == 0)
		return;
	for (size_t i = 0; i < count; i++)
		if (memcmp(expected + i * size, found + i * size, size) != 0)
			note_difference(&task->differences, place, i, expected + i * size,
					found + i * size, size);
}

/* Returns 0 or what reading the source failed with. */
static cvq_err compare_box(struct work *work, struct task *task, const struct place *place,
			   const struct bench *bench)
{
	const struct cvq_compared *tensor = &work->comparison->tensors[task->tensor];
	const enum cvq_dtype dtype = work->comparison->rules->policy->dtype;
	size_t count = place->box->elements;
	cvq_err err = cvq_pair_read(place->pair, place->box, CVQ_SIDE_SOURCE,
				    bench->sides[CVQ_SIDE_SOURCE], bench->scratch);
	if (err)
		return err;
	task->view_error = cvq_pair_read(place->pair, place->box, CVQ_SIDE_VIEW,
					 bench->sides[CVQ_SIDE_VIEW], bench->scratch);
	if (task->view_error)
		return 0;
	const void *numbers = bench->sides[CVQ_SIDE_SOURCE];
	const void *found = bench->sides[CVQ_SIDE_VIEW];
	if (!tensor->converted) {
		compare_bits(task, place, numbers, found,
			     place->pair->sides[CVQ_SIDE_SOURCE].item_size);
		return 0;
	}
	void *expected = bench->expected;
	work->convert(expected, numbers, count);
	cvq_accuracy_add(&task->accuracy, numbers, expected, count, dtype);
	compare_halves(task, place, expected, found, dtype);
	return 0;
}

/* ========================================================================== */
/*                                    Tasks                                   */
/* ========================================================================== */

static cvq_err run_task(struct work *work, struct task *task, const struct bench *bench)
{
	const struct cvq_compared *tensor = &work->comparison->tensors[task->tensor];
	struct cvq_pair pair;
	struct cvq_box box;
	const struct place place = {&pair, &box};
	cvq_err err = open_pair(work->comparison, tensor, &pair, NULL);
	for (uint64_t i = task->first; i < task->end && !err && !task->view_error; i++) {
		cvq_pair_box(&pair, i, &box);
		err = compare_box(work, task, &place, bench);
		atomic_fetch_add(&work->done,
				 box.elements * pair.sides[CVQ_SIDE_SOURCE].item_size);
	}
	return err;
}

static void run_tasks(void *context, bool is_caller)
{
	struct work *work = context;
	struct bench bench;
	size_t taken;
	if (!prepare(&bench)) {
		atomic_store(&work->error, -ENOMEM);
		return;
	}
	while (!atomic_load(&work->error) &&
	       (taken = atomic_fetch_add(&work->next, 1)) < work->count) {
		cvq_err err = run_task(work, &work->tasks[taken], &bench);
		if (err)
			atomic_store(&work->error, err);
		if (is_caller && work->watch)
			work->watch->report(work->watch->context, atomic_load(&work->done));
	}
	free(bench.sides[0]);
}

/* What one tensor may be, many together may not be. */
static cvq_err count_elements(struct work *work, const struct cvq_pair *pair,
			      struct cvq_reason *reason)
{
	uint64_t elements = work->elements + pair->elements;
	cvq_err err = cvq_pair_limit(elements, work->stored, reason);
	if (!err)
		work->elements = elements;
	return err;
}

static cvq_err add_tasks(struct work *work, size_t tensor, uint64_t boxes)
{
	for (uint64_t first = 0; first < boxes; first += TASK_BOXES) {
		if (cvq_grow((void **)&work->tasks, &work->capacity, work->count,
			     sizeof(*work->tasks)))
			return -ENOMEM;
		uint64_t left = boxes - first;
		work->tasks[work->count++] = (struct task){
			.tensor = tensor,
			.first = first,
			.end = first + (left < TASK_BOXES ? left : TASK_BOXES),
		};
	}
	return 0;
}

/* ========================================================================== */
/*                                  Findings                                  */
/* ========================================================================== */

static cvq_err find(struct cvq_compared *tensor, enum cvq_outcome outcome,
		    const char *format, ...) __attribute__((format(printf, 3, 4)));

static cvq_err find(struct cvq_compared *tensor, enum cvq_outcome outcome,
		    const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	tensor->outcome = outcome;
	if (vasprintf(&tensor->fault, format, arguments) < 0)
		tensor->fault = NULL;
	va_end(arguments);
	return tensor->fault ? 0 : -ENOMEM;
}

static cvq_err find_shape(struct cvq_compared *tensor)
{
	cleanup_free char *wanted =
		cvq_shape_print(tensor->source->shape, tensor->source->dimensions);
	cleanup_free char *found =
		cvq_shape_print(tensor->view->shape, tensor->view->dimensions);
	return wanted && found ? find(tensor, CVQ_OUTCOME_SHAPE, "has the shape %s, not %s",
				      found, wanted)
			       : -ENOMEM;
}

static cvq_err find_type(const struct cvq_comparison *comparison,
			 struct cvq_compared *tensor, const struct cvq_storage *found)
{
	const char *is = cvq_element_type_name(found->type);
	const char *wanted = cvq_element_type_name(tensor->expected_type);
	const struct cvq_checkpoint *checkpoint = comparison->source->checkpoint;
	size_t index = (size_t)(tensor->source - checkpoint->tensors);
	struct cvq_reason why;
	if (strcmp(is, wanted) == 0)
		return find(tensor, CVQ_OUTCOME_DTYPE, "has elements of %u bytes, not %u",
			    found->item_size, tensor->expected_size);
	if (cvq_selection_converts(&comparison->selection, checkpoint, index, &why))
		return find(tensor, CVQ_OUTCOME_DTYPE, "is %s, not %s", is, wanted);
	return find(tensor, CVQ_OUTCOME_DTYPE, "is %s, not %s (%s)", is, wanted, why.text);
}

static cvq_err find_values(const struct cvq_comparison *comparison,
			   struct cvq_compared *tensor)
{
	const struct cvq_differences *differences = &tensor->differences;
	char expected[CVQ_ELEMENT_TEXT], found[CVQ_ELEMENT_TEXT];
	cleanup_free uint64_t *numbers = NULL;
	size_t count = cvq_compared_index(comparison, tensor, &numbers);
	cleanup_free char *index = numbers ? cvq_shape_print(numbers, count) : NULL;
	if (!index)
		return -ENOMEM;
	cvq_element_print(tensor->expected_type, differences->expected,
			  tensor->expected_size, expected);
	cvq_element_print(tensor->expected_type, differences->found, tensor->expected_size,
			  found);
	return find(tensor, CVQ_OUTCOME_VALUES,
		    "is %s at %s, not %s; %" PRIu64 " element%s differ%s", found, index,
		    expected, differences->count, differences->count == 1 ? "" : "s",
		    differences->count == 1 ? "s" : "");
}

/* ========================================================================== */
/*                                   Tensors                                  */
/* ========================================================================== */

static bool same_shape(const struct cvq_tensor *a, const struct cvq_tensor *b)
{
	return a->dimensions == b->dimensions &&
	       (a->dimensions == 0 ||
		memcmp(a->shape, b->shape, a->dimensions * sizeof(*a->shape)) == 0);
}

/* Looks at what two tensors are, and makes tasks of comparing what is in them. */
static cvq_err match(struct work *work, struct cvq_compared *tensor)
{
	struct cvq_comparison *comparison = work->comparison;
	const struct cvq_checkpoint *view = comparison->view->checkpoint;
	struct cvq_pair pair;
	struct cvq_reason reason;
	if (!tensor->source)
		return find(tensor, CVQ_OUTCOME_SURPLUS, "is not in the source");
	if (!tensor->view)
		return find(tensor, CVQ_OUTCOME_MISSING, "is missing");
	if (!same_shape(tensor->source, tensor->view))
		return find_shape(tensor);
	const struct cvq_storage *found = &view->storages[tensor->view->storage];
	bool same_size = found->item_size == tensor->expected_size || found->numel == 0;
	if (strcmp(cvq_element_type_name(found->type),
		   cvq_element_type_name(tensor->expected_type)) != 0 ||
	    !same_size)
		return find_type(comparison, tensor, found);
	if (open_pair(comparison, tensor, &pair, &reason) ||
	    count_elements(work, &pair, &reason))
		return find(tensor, CVQ_OUTCOME_UNREADABLE, "%s", reason.text);
	return add_tasks(work, (size_t)(tensor - comparison->tensors), pair.boxes);
}

static uint64_t count_stored(const struct cvq_checkpoint *checkpoint)
{
	uint64_t elements = 0;
	for (size_t i = 0; i < checkpoint->storage_count; i++)
		elements += checkpoint->storages[i].numel;
	return elements;
}

/* ========================================================================== */
/*                                  The whole                                 */
/* ========================================================================== */

/* Adds up what was found, in the order of the tensors: so the sums are always the same. */
static cvq_err collect(struct work *work)
{
	cvq_err err = 0;
	for (size_t i = 0; i < work->count && !err; i++) {
		const struct task *task = &work->tasks[i];
		struct cvq_compared *tensor = &work->comparison->tensors[task->tensor];
		struct cvq_differences *all = &tensor->differences;
		uint64_t before = all->count;
		if (task->differences.count > 0 &&
		    (before == 0 || task->differences.position < all->position))
			*all = task->differences;
		all->count = before + task->differences.count;
		cvq_accuracy_merge(&tensor->accuracy, &task->accuracy);
		tensor->other_nans += task->other_nans;
		if (task->view_error && !tensor->fault)
			err = find(tensor, CVQ_OUTCOME_UNREADABLE, "cannot be read: %s",
				   cvq_compare_failure(task->view_error));
	}
	return err;
}

static cvq_err conclude(struct cvq_comparison *comparison, struct cvq_compared *tensor)
{
	struct cvq_pair pair;
	cvq_err err = 0;
	if (tensor->differences.count > 0 && !tensor->fault)
		err = find_values(comparison, tensor);
	if (tensor->accuracy.count > 0 && !open_pair(comparison, tensor, &pair, NULL))
		cvq_accuracy_repeat(&tensor->accuracy, pair.repeat);
	comparison->faults += tensor->fault != NULL;
	return err;
}

cvq_err cvq_compare(const struct cvq_opened *source, const struct cvq_opened *view,
		    const struct cvq_rules *rules, const struct cvq_compare_watch *watch,
		    struct cvq_comparison *comparison)
{
	const struct cvq_policy *policy = rules->policy;
	*comparison = (struct cvq_comparison){
		.source = source,
		.view = view,
		.rules = rules,
	};
	size_t kernels;
	struct work work = {
		.comparison = comparison,
		.convert = cvq_kernel_function(cvq_kernels(&kernels)[0], policy->dtype,
					       policy->overflow),
		.watch = watch,
		.stored = count_stored(source->checkpoint) + count_stored(view->checkpoint),
	};
	cvq_err err =
		cvq_selection_make(source->checkpoint, policy, &comparison->selection);
	if (!err)
		err = cvq_match_tensors(comparison);
	for (size_t i = 0; i < comparison->count && !err; i++)
		err = match(&work, &comparison->tensors[i]);
	if (!err) {
		cvq_run_on_all_cores(work.count, run_tasks, &work);
		err = atomic_load(&work.error);
	}
	if (!err)
		err = collect(&work);
	for (size_t i = 0; i < comparison->count && !err; i++)
		err = conclude(comparison, &comparison->tensors[i]);
	free(work.tasks);
	return err;
}

void cvq_comparison_release(struct cvq_comparison *comparison)
{
	for (size_t i = 0; i < comparison->count; i++)
		free(comparison->tensors[i].fault);
	free(comparison->tensors);
	cvq_selection_release(&comparison->selection);
	*comparison = (struct cvq_comparison){0};
}
