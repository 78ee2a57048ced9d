/* SPDX-License-Identifier: MIT */
/*
 * Persistent ids: which storages there are
 */
#include <inttypes.h>
#include <string.h>

#include "pickle/state.h"

/* torch/serialization.py: ('storage', class, key, location, numel[, view
 * metadata]) */
enum {
	PID_KIND,
	PID_CLASS,
	PID_KEY,
	PID_LOCATION,
	PID_NUMEL,
	PID_LENGTH,
};

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
	storage->is_float32 = cvq_value_kind(class) == VALUE_FLOAT32;
	return 0;
}

static cvq_err read_persistent_id(struct cvq_machine *machine, const cvq_value *fields,
				  struct cvq_storage *storage)
{
	struct cvq_pickle *pickle = machine->pickle;
	int64_t numel;
	if (cvq_value_kind(fields[PID_KIND]) != VALUE_STRING ||
	    !cvq_slice_is(cvq_pickle_string(pickle, fields[PID_KIND]), "storage") ||
	    cvq_value_kind(fields[PID_KEY]) != VALUE_STRING ||
	    !cvq_pickle_int(pickle, fields[PID_NUMEL], &numel) || numel < 0)
		return cvq_machine_refuse(machine,
					  "has a persistent id of an unknown form");
	struct cvq_slice key = cvq_pickle_string(pickle, fields[PID_KEY]);
	*storage = (struct cvq_storage){.key = key.data,
					.key_length = key.length,
					.numel = (uint64_t)numel,
					.plain = true};
	return read_storage_type(machine, fields[PID_CLASS], storage);
}

/* Finds the storage of that key or adds it; one key has one type and one
 * length. */
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

/* Remembers which bytes of the stream speak of this storage. */
static cvq_err note_pushes(struct cvq_machine *machine, const cvq_value *fields,
			   uint32_t index)
{
	struct cvq_pickle *pickle = machine->pickle;
	if (cvq_value_kind(fields[PID_CLASS]) == VALUE_FLOAT32) {
		struct cvq_class_push *class_push =
			&pickle->class_pushes[cvq_value_payload(fields[PID_CLASS])];
		if (class_push->storage != NO_INDEX && class_push->storage != index)
			return cvq_machine_refuse(machine,
						  "shares a class between storages");
		class_push->storage = index;
	}
	if (cvq_grow((void **)&pickle->numel_pushes, &pickle->numel_push_capacity,
		     pickle->numel_push_count, sizeof(*pickle->numel_pushes)))
		return -ENOMEM;
	pickle->numel_pushes[pickle->numel_push_count++] = (struct cvq_numel_push){
		(uint32_t)cvq_value_payload(fields[PID_NUMEL]), index};
	return 0;
}

cvq_err cvq_build_storage(struct cvq_machine *machine)
{
	struct cvq_pickle *pickle = machine->pickle;
	cvq_err err = cvq_machine_need(machine, 1);
	if (err)
		return err;
	cvq_value id = cvq_machine_pop(machine);
	const struct cvq_node *node = NULL;
	if (cvq_value_kind(id) == VALUE_NODE)
		node = &pickle->nodes[cvq_value_payload(id)];
	if (!node || node->type != NODE_TUPLE || node->count != PID_LENGTH)
		return cvq_machine_refuse(machine,
					  "has a persistent id of an unknown form");
	const cvq_value *fields = &pickle->items[node->first];
	struct cvq_storage storage;
	uint32_t index;
	err = read_persistent_id(machine, fields, &storage);
	if (!err)
		err = intern_storage(machine, &storage, &index);
	if (!err)
		err = note_pushes(machine, fields, index);
	return err ? err : cvq_machine_push(machine, cvq_value_make(VALUE_STORAGE, index));
}
