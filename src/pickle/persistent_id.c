/* SPDX-License-Identifier: MIT */
/*
 * Persistent ids: which storages there are, and classes of modules
 */
#include <inttypes.h>
#include <string.h>

#include "pickle/state.h"

/*
 * torch/serialization.py: ('storage', class, key, location, numel) in a zip archive;
 * in a legacy stream a sixth field follows, None or (view key, offset, numel), and
 * there is ('module', class, source file, source text).
 */
enum {
	PID_KIND,
	PID_CLASS,
	PID_KEY,
	PID_LOCATION,
	PID_NUMEL,
	PID_VIEW,
};
enum { VIEW_KEY, VIEW_OFFSET, VIEW_NUMEL, VIEW_LENGTH };

/* Fills type and key of a storage from the persistent id's fields. */
static cvq_err read_storage_type(struct cvq_machine *machine, cvq_value class,
				 struct cvq_storage *storage)
{
	struct cvq_slice name = {"FloatStorage", strlen("FloatStorage")};
	struct cvq_slice module = {"torch", strlen("torch")};
	if (cvq_value_kind(class) == VALUE_GLOBAL) {
		const struct cvq_global *global =
			&machine->pickle->globals[cvq_value_payload(class)];
		name = global->name;
		module = global->module;
	} else if (cvq_value_kind(class) != VALUE_FLOAT32) {
		return cvq_machine_refuse(machine, "has a storage without a class");
	}
	const struct cvq_storage_type *type = cvq_storage_type_find(module, name);
	if (!type)
		return cvq_machine_refuse(machine, "has a storage of an unknown type");
	storage->type = type->name;
	storage->item_size = type->item_size;
	storage->word_size = type->word_size;
	storage->is_float32 = cvq_value_kind(class) == VALUE_FLOAT32;
	return 0;
}

static bool is_text(const struct cvq_pickle *pickle, cvq_value value, const char *text)
{
	return cvq_value_kind(value) == VALUE_STRING &&
	       cvq_slice_is(cvq_pickle_string(pickle, value), text);
}

static cvq_err unknown_form(struct cvq_machine *machine)
{
	return cvq_machine_refuse(machine, "has a persistent id of an unknown form");
}

static cvq_err read_storage(struct cvq_machine *machine, const cvq_value *fields,
			    struct cvq_storage *storage)
{
	struct cvq_pickle *pickle = machine->pickle;
	int64_t numel;
	if (cvq_value_kind(fields[PID_KEY]) != VALUE_STRING ||
	    !cvq_pickle_int(pickle, fields[PID_NUMEL], &numel) || numel < 0 ||
	    numel > CVQ_PICKLE_MAX_NUMEL)
		return unknown_form(machine);
	struct cvq_slice key = cvq_pickle_string(pickle, fields[PID_KEY]);
	if (key.length > CVQ_PICKLE_MAX_KEY)
		return cvq_machine_refuse(machine, "has a storage with too long a key");
	*storage = (struct cvq_storage){.key = key.data,
					.key_length = key.length,
					.numel = (uint64_t)numel,
					.plain = true};
	return read_storage_type(machine, fields[PID_CLASS], storage);
}

/* Fills which elements of its storage the persistent id stands for. */
static cvq_err read_view(struct cvq_machine *machine, cvq_value view, uint64_t numel,
			 struct cvq_storage_use *use)
{
	use->first = 0;
	use->count = numel;
	if (cvq_value_kind(view) == VALUE_NONE)
		return 0;
	const struct cvq_pickle_node *node = cvq_pickle_tuple(machine->pickle, view);
	if (!node || node->count != VIEW_LENGTH)
		return unknown_form(machine);
	const cvq_value *fields = &machine->pickle->items[node->first];
	int64_t first, count;
	if (!cvq_pickle_int(machine->pickle, fields[VIEW_OFFSET], &first) || first < 0 ||
	    !cvq_pickle_int(machine->pickle, fields[VIEW_NUMEL], &count) || count < 0)
		return unknown_form(machine);
	if ((uint64_t)first > numel || (uint64_t)count > numel - (uint64_t)first)
		return cvq_machine_refuse(machine, "has a view beyond its storage");
	use->first = (uint64_t)first;
	use->count = (uint64_t)count;
	return 0;
}

/* Finds the storage of that key or adds it; one key has one type and one length. */
static cvq_err intern_storage(struct cvq_machine *machine,
			      const struct cvq_storage *storage, uint32_t *index)
{
	struct cvq_pickle *pickle = machine->pickle;
	if (pickle->storage_count >= CVQ_PICKLE_MAX_TENSORS)
		return cvq_machine_refuse(machine, "has too many storages");
	cvq_err err = cvq_grow((void **)&pickle->storages, &pickle->storage_capacity,
			       pickle->storage_count, sizeof(*pickle->storages));
	if (!err)
		err = cvq_storage_index_find(&machine->index, pickle->storages,
					     pickle->storage_count, storage, index);
	if (err == CVQ_ERR_CONTENT)
		return cvq_machine_refuse(machine, "has storage keys chosen to collide");
	if (err)
		return err;
	if (*index == pickle->storage_count) {
		pickle->storages[pickle->storage_count++] = *storage;
		return 0;
	}
	const struct cvq_storage *known = &pickle->storages[*index];
	if (known->type != storage->type || known->numel != storage->numel)
		return cvq_explain(machine->reason, CVQ_ERR_CONTENT,
				   "its storage '%.*s' is used as %s of %" PRIu64
				   " and as %s of %" PRIu64 " elements",
				   (int)(known->key_length < 40 ? known->key_length : 40),
				   known->key, known->type, known->numel, storage->type,
				   storage->numel);
	return 0;
}

/* Says for which storage the class was pushed: only one, see machine.c. */
static void note_class(struct cvq_pickle *pickle, cvq_value class, uint32_t storage)
{
	if (cvq_value_kind(class) == VALUE_FLOAT32)
		pickle->class_pushes[cvq_value_payload(class)].storage = storage;
}

static cvq_err push_use(struct cvq_machine *machine, const struct cvq_storage_use *use)
{
	struct cvq_pickle *pickle = machine->pickle;
	if (pickle->storage_use_count >= CVQ_PICKLE_MAX_USES)
		return cvq_machine_refuse(machine, "has too many persistent ids");
	if (cvq_grow((void **)&pickle->storage_uses, &pickle->storage_use_capacity,
		     pickle->storage_use_count, sizeof(*pickle->storage_uses)))
		return -ENOMEM;
	pickle->storage_uses[pickle->storage_use_count] = *use;
	return cvq_machine_push(machine,
				cvq_value_make(VALUE_STORAGE, pickle->storage_use_count++));
}

static cvq_err build_storage(struct cvq_machine *machine, const cvq_value *fields,
			     cvq_value view)
{
	struct cvq_storage storage;
	struct cvq_storage_use use = {
		.numel_offset = (uint32_t)cvq_value_payload(fields[PID_NUMEL])};
	cvq_err err = read_storage(machine, fields, &storage);
	if (!err)
		err = read_view(machine, view, storage.numel, &use);
	if (!err)
		err = intern_storage(machine, &storage, &use.storage);
	if (err)
		return err;
	note_class(machine->pickle, fields[PID_CLASS], use.storage);
	return push_use(machine, &use);
}

cvq_err cvq_build_persistent(struct cvq_machine *machine)
{
	struct cvq_pickle *pickle = machine->pickle;
	cvq_err err = cvq_machine_need(machine, 1);
	if (err)
		return err;
	const struct cvq_pickle_node *id =
		cvq_pickle_tuple(pickle, cvq_machine_pop(machine));
	if (!id || id->count <= PID_CLASS)
		return unknown_form(machine);
	const cvq_value *fields = &pickle->items[id->first];
	if (is_text(pickle, fields[PID_KIND], "storage") && id->count == PID_VIEW)
		return build_storage(machine, fields, cvq_value_make(VALUE_NONE, 0));
	if (is_text(pickle, fields[PID_KIND], "storage") && id->count == PID_VIEW + 1)
		return build_storage(machine, fields, fields[PID_VIEW]);
	/* torch's loader returns the class and uses the text for a warning. */
	if (is_text(pickle, fields[PID_KIND], "module") &&
	    cvq_value_kind(fields[PID_CLASS]) == VALUE_GLOBAL)
		return cvq_machine_push(machine, fields[PID_CLASS]);
	return unknown_form(machine);
}
