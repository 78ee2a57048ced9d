/* SPDX-License-Identifier: MIT */
/*
 * What networks are built of: the arguments that the yaml gives to a class, and torch's
 * modules
 *
 * Private to the room.
 */
#ifndef CVQ_COSYVOICE_MODULES_H
#define CVQ_COSYVOICE_MODULES_H

#include "cosyvoice/network.h"

/* ========================================================================== */
/*                                  Arguments                                 */
/* ========================================================================== */

/* An object of the yaml, and the way to it for messages: "flow.decoder.estimator". */
struct cvq_object {
	cvq_yaml_node node;
	const char *class; /* without its module */
	char way[64];
};

/* The object under this name, of the document if 'parent' is NULL. */
struct cvq_object cvq_object_get(struct cvq_network *network,
				 const struct cvq_object *parent, const char *name);

/* The same for a mapping, whatever it is. */
struct cvq_object cvq_mapping_get(const struct cvq_network *network,
				  const struct cvq_object *parent, const char *name);

bool cvq_object_is(const struct cvq_object *object, const char *class);

/* Says what is wrong with an argument of the object, unless something was before. */
void cvq_object_refuse(struct cvq_network *network, const struct cvq_object *object,
		       const char *name, const char *what);

/* Says that cvq knows nothing of this class. */
void cvq_object_refuse_class(struct cvq_network *network, const struct cvq_object *object);

/* What an argument without a default has in its place. */
#define CVQ_REQUIRED (-1)

/* A whole number from 1 to 2^30; if it is none, that is remembered and 1 is returned. */
int64_t cvq_get_size(struct cvq_network *network, const struct cvq_object *object,
		     const char *name, int64_t missing);

/* The same for an argument that may be None, which stands for what is missing, too. */
int64_t cvq_get_optional_size(struct cvq_network *network, const struct cvq_object *object,
			      const char *name, int64_t missing);

/* The same, up to 1000: how many times something is repeated. */
int64_t cvq_get_count(struct cvq_network *network, const struct cvq_object *object,
		      const char *name, int64_t missing);

/* A list or tuple of at most CVQ_LIST_ROOM sizes.  'missing' is NULL if there has to be
 * one. */
#define CVQ_LIST_ROOM 32
struct cvq_sizes {
	size_t count;
	int64_t sizes[CVQ_LIST_ROOM];
};
struct cvq_sizes cvq_get_sizes(struct cvq_network *network, const struct cvq_object *object,
			       const char *name, const struct cvq_sizes *missing);

/* True or False; None counts as False. */
bool cvq_get_flag(struct cvq_network *network, const struct cvq_object *object,
		  const char *name, bool missing);

/* Checks that an argument has one of the values, in a list that ends with NULL, for
 * which cvq knows the tensors.  'missing' is what it is if it is not there. */
void cvq_check_choice(struct cvq_network *network, const struct cvq_object *object,
		      const char *name, const char *missing, const char *const *known);

/* ========================================================================== */
/*                                   Modules                                  */
/* ========================================================================== */

/* Enters a module; what is added until cvq_leave_module() with the result has its path. */
size_t cvq_enter_module(struct cvq_network *network, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void cvq_leave_module(struct cvq_network *network, size_t outer);

/* The name of a module in a list: writes the number and returns 'name'. */
const char *cvq_number_name(char name[16], size_t number);

/* A tensor right in the module: CVQ_TENSOR(network, "weight", out, in) */
#define CVQ_TENSOR(network, name, ...)                                                     \
	cvq_add_tensor(                                                                    \
		network, name,                                                             \
		(struct cvq_shape){sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),     \
				   {__VA_ARGS__}})
void cvq_add_tensor(struct cvq_network *network, const char *name, struct cvq_shape shape);

/* Modules under these names, with a bias unless the name says otherwise. */
void cvq_linear(struct cvq_network *network, const char *name, int64_t in, int64_t out);
void cvq_linear_no_bias(struct cvq_network *network, const char *name, int64_t in,
			int64_t out);
void cvq_embedding(struct cvq_network *network, const char *name, int64_t count,
		   int64_t size);
void cvq_norm(struct cvq_network *network, const char *name, int64_t size);
void cvq_conv(struct cvq_network *network, const char *name, int64_t in, int64_t out,
	      int64_t kernel);

/* A convolution under weight_norm(), which stores its weight's length apart.  The first
 * of its sizes is the output's; a transposed one has the input's there. */
void cvq_conv_normed(struct cvq_network *network, const char *name, int64_t in, int64_t out,
		     int64_t kernel);
void cvq_conv_normed_transposed(struct cvq_network *network, const char *name, int64_t in,
				int64_t out, int64_t kernel);

#endif
