/* SPDX-License-Identifier: MIT */
#include "cosyvoice/modules.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_SIZE  (1 << 30)
#define MAX_TIMES 1000

/* ========================================================================== */
/*                                  Arguments                                 */
/* ========================================================================== */

static void __attribute__((format(printf, 2, 3)))
refuse(struct cvq_network *network, const char *format, ...)
{
	if (network->error)
		return;
	va_list arguments;
	va_start(arguments, format);
	network->error =
		cvq_explain_list(&network->reason, CVQ_ERR_CONTENT, format, arguments);
	va_end(arguments);
}

void cvq_object_refuse(struct cvq_network *network, const struct cvq_object *object,
		       const char *name, const char *what)
{
	refuse(network, "%s.%s %s", object->way, name, what);
}

void cvq_object_refuse_class(struct cvq_network *network, const struct cvq_object *object)
{
	if (object->class)
		refuse(network, "%s is of the class %.60s, whose tensors cvq does not know",
		       object->way, object->class);
}

struct cvq_object cvq_mapping_get(const struct cvq_network *network,
				  const struct cvq_object *parent, const char *name)
{
	struct cvq_object object = {.node = CVQ_YAML_NONE};
	cvq_yaml_node outer = parent ? parent->node : cvq_yaml_root(network->yaml);
	object.node = cvq_yaml_get(network->yaml, outer, name);
	snprintf(object.way, sizeof(object.way), "%.40s%s%.20s", parent ? parent->way : "",
		 parent ? "." : "", name);
	return object;
}

struct cvq_object cvq_object_get(struct cvq_network *network,
				 const struct cvq_object *parent, const char *name)
{
	struct cvq_object object = cvq_mapping_get(network, parent, name);
	object.class = cvq_yaml_class(network->yaml, object.node);
	if (!object.class)
		refuse(network,
		       object.node == CVQ_YAML_NONE ? "%s is missing"
						    : "%s is no !new: object",
		       object.way);
	return object;
}

bool cvq_object_is(const struct cvq_object *object, const char *class)
{
	return object->class && strcmp(object->class, class) == 0;
}

/* The number if it is a size, else 1. */
static int64_t check_size(struct cvq_network *network, const struct cvq_object *object,
			  const char *name, int64_t number, int64_t most)
{
	if (number >= 1 && number <= most)
		return number;
	refuse(network, "%s.%s is %lld, and should be from 1 to %lld", object->way, name,
	       (long long)number, (long long)most);
	return 1;
}

static int64_t read_size(struct cvq_network *network, const struct cvq_object *object,
			 const char *name, cvq_yaml_node node, int64_t most)
{
	struct cvq_reason why;
	int64_t number = 1;
	if (cvq_yaml_integer(network->yaml, node, &number, &why))
		refuse(network, "%s.%s %.150s", object->way, name, why.text);
	return check_size(network, object, name, number, most);
}

static int64_t number_argument(struct cvq_network *network, const struct cvq_object *object,
			       const char *name, int64_t missing, int64_t most)
{
	cvq_yaml_node node = cvq_yaml_get(network->yaml, object->node, name);
	if (node == CVQ_YAML_NONE && missing != CVQ_REQUIRED)
		return missing;
	return read_size(network, object, name, node, most);
}

int64_t cvq_get_size(struct cvq_network *network, const struct cvq_object *object,
		     const char *name, int64_t missing)
{
	return number_argument(network, object, name, missing, MAX_SIZE);
}

int64_t cvq_get_optional_size(struct cvq_network *network, const struct cvq_object *object,
			      const char *name, int64_t missing)
{
	cvq_yaml_node node = cvq_yaml_get(network->yaml, object->node, name);
	return cvq_yaml_is_null(network->yaml, node)
		       ? missing
		       : cvq_get_size(network, object, name, missing);
}

int64_t cvq_get_count(struct cvq_network *network, const struct cvq_object *object,
		      const char *name, int64_t missing)
{
	return number_argument(network, object, name, missing, MAX_TIMES);
}

static void read_tuple(struct cvq_network *network, const struct cvq_object *object,
		       const char *name, cvq_yaml_node node, struct cvq_sizes *list)
{
	list->count = CVQ_LIST_ROOM;
	if (!cvq_yaml_tuple(network->yaml, node, list->sizes, &list->count)) {
		refuse(network, "%s.%s is no tuple of at most %d whole numbers",
		       object->way, name, CVQ_LIST_ROOM);
		list->count = 0;
	}
	for (size_t i = 0; i < list->count; i++)
		list->sizes[i] =
			check_size(network, object, name, list->sizes[i], MAX_SIZE);
}

static void read_list(struct cvq_network *network, const struct cvq_object *object,
		      const char *name, cvq_yaml_node node, struct cvq_sizes *list)
{
	if (!cvq_yaml_count(network->yaml, node, &list->count) ||
	    list->count > CVQ_LIST_ROOM) {
		refuse(network, "%s.%s is no list of at most %d numbers", object->way, name,
		       CVQ_LIST_ROOM);
		list->count = 0;
	}
	for (size_t i = 0; i < list->count; i++)
		list->sizes[i] = read_size(network, object, name,
					   cvq_yaml_at(network->yaml, node, i), MAX_SIZE);
}

struct cvq_sizes cvq_get_sizes(struct cvq_network *network, const struct cvq_object *object,
			       const char *name, const struct cvq_sizes *missing)
{
	cvq_yaml_node node = cvq_yaml_get(network->yaml, object->node, name);
	struct cvq_sizes list = {0};
	if (node == CVQ_YAML_NONE && missing)
		return *missing;
	if (node == CVQ_YAML_NONE)
		refuse(network, "%s.%s is missing", object->way, name);
	else if (cvq_yaml_is_tuple(network->yaml, node))
		read_tuple(network, object, name, node, &list);
	else
		read_list(network, object, name, node, &list);
	return list;
}

bool cvq_get_flag(struct cvq_network *network, const struct cvq_object *object,
		  const char *name, bool missing)
{
	struct cvq_reason why;
	bool truth = missing;
	cvq_yaml_node node = cvq_yaml_get(network->yaml, object->node, name);
	if (cvq_yaml_is_null(network->yaml, node))
		return false;
	if (node != CVQ_YAML_NONE && cvq_yaml_boolean(network->yaml, node, &truth, &why))
		refuse(network, "%s.%s %.150s", object->way, name, why.text);
	return truth;
}

void cvq_check_choice(struct cvq_network *network, const struct cvq_object *object,
		      const char *name, const char *missing, const char *const *known)
{
	cvq_yaml_node node = cvq_yaml_get(network->yaml, object->node, name);
	const char *value =
		node == CVQ_YAML_NONE ? missing : cvq_yaml_text(network->yaml, node);
	for (; value && *known; known++)
		if (strcmp(value, *known) == 0)
			return;
	refuse(network, "%s.%s is '%.60s', for which cvq does not know the tensors",
	       object->way, name, value ? value : "?");
}

/* ========================================================================== */
/*                                    Paths                                   */
/* ========================================================================== */

size_t cvq_enter_module(struct cvq_network *network, const char *format, ...)
{
	char name[64];
	size_t outer = network->path.length;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(name, sizeof(name), format, arguments);
	va_end(arguments);
	cvq_buffer_append(&network->path, name, strlen(name));
	cvq_buffer_append(&network->path, ".", 1);
	return outer;
}

void cvq_leave_module(struct cvq_network *network, size_t outer)
{
	network->path.length = outer;
}

const char *cvq_number_name(char name[16], size_t number)
{
	snprintf(name, 16, "%u", (unsigned)number);
	return name;
}

/* ========================================================================== */
/*                                   Modules                                  */
/* ========================================================================== */

static cvq_err add_tensor(struct cvq_network *network, const char *name,
			  const struct cvq_shape *shape)
{
	if (network->path.error || cvq_grow((void **)&network->tensors, &network->capacity,
					    network->count, sizeof(*network->tensors)))
		return -ENOMEM;
	struct cvq_expected tensor = {.shape = *shape};
	const char *path = network->path.length ? (const char *)network->path.data : "";
	if (asprintf(&tensor.name, "%.*s%s", (int)network->path.length, path, name) < 0)
		return -ENOMEM;
	network->tensors[network->count++] = tensor;
	return 0;
}

void cvq_add_tensor(struct cvq_network *network, const char *name, struct cvq_shape shape)
{
	if (network->count >= CVQ_NETWORK_MAX_TENSORS)
		refuse(network, "it describes more than %u tensors",
		       CVQ_NETWORK_MAX_TENSORS);
	if (!network->error)
		network->error = add_tensor(network, name, &shape);
}

void cvq_linear_no_bias(struct cvq_network *network, const char *name, int64_t in,
			int64_t out)
{
	size_t outer = cvq_enter_module(network, "%s", name);
	CVQ_TENSOR(network, "weight", out, in);
	cvq_leave_module(network, outer);
}

void cvq_linear(struct cvq_network *network, const char *name, int64_t in, int64_t out)
{
	size_t outer = cvq_enter_module(network, "%s", name);
	CVQ_TENSOR(network, "weight", out, in);
	CVQ_TENSOR(network, "bias", out);
	cvq_leave_module(network, outer);
}

void cvq_embedding(struct cvq_network *network, const char *name, int64_t count,
		   int64_t size)
{
	cvq_linear_no_bias(network, name, size, count);
}

void cvq_norm(struct cvq_network *network, const char *name, int64_t size)
{
	size_t outer = cvq_enter_module(network, "%s", name);
	CVQ_TENSOR(network, "weight", size);
	CVQ_TENSOR(network, "bias", size);
	cvq_leave_module(network, outer);
}

void cvq_conv(struct cvq_network *network, const char *name, int64_t in, int64_t out,
	      int64_t kernel)
{
	size_t outer = cvq_enter_module(network, "%s", name);
	CVQ_TENSOR(network, "weight", out, in, kernel);
	CVQ_TENSOR(network, "bias", out);
	cvq_leave_module(network, outer);
}

static void add_normed(struct cvq_network *network, const char *name, int64_t first,
		       int64_t second, int64_t kernel, int64_t bias)
{
	size_t outer = cvq_enter_module(network, "%s", name);
	CVQ_TENSOR(network, "parametrizations.weight.original0", first, 1, 1);
	CVQ_TENSOR(network, "parametrizations.weight.original1", first, second, kernel);
	CVQ_TENSOR(network, "bias", bias);
	cvq_leave_module(network, outer);
}

void cvq_conv_normed(struct cvq_network *network, const char *name, int64_t in, int64_t out,
		     int64_t kernel)
{
	add_normed(network, name, out, in, kernel, out);
}

void cvq_conv_normed_transposed(struct cvq_network *network, const char *name, int64_t in,
				int64_t out, int64_t kernel)
{
	add_normed(network, name, in, out, kernel, out);
}
