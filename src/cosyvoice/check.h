/* SPDX-License-Identifier: MIT */
/*
 * A check while it runs: what is known of the package so far, and the single checks
 *
 * Private to the room.
 */
#ifndef CVQ_COSYVOICE_CHECK_H
#define CVQ_COSYVOICE_CHECK_H

#include <jansson.h>

#include "cosyvoice/network.h"
#include "cosyvoice/package.h"
#include "cosyvoice/weights.h"

#define CVQ_QWEN_FOLDER "CosyVoice-BlankEN/"

/* The files with weights that AutoModel loads strictly. */
enum cvq_part { CVQ_LLM, CVQ_FLOW, CVQ_HIFT };
#define CVQ_PARTS 3

struct cvq_check {
	const struct cvq_package_files *files;
	struct cvq_package_report *report;
	cvq_err error; /* -ENOMEM */
	unsigned kind; /* 1, 2 or 3, by the yaml's name until it is read; 0 without one */
	const char *yaml_name;
	struct cvq_yaml *yaml; /* NULL if it cannot be read */
	json_t *qwen;          /* config.json of the language model, or NULL */
	struct cvq_weights *parts[CVQ_PARTS]; /* NULL if they cannot be read */
	struct cvq_weights *speakers; /* without names: nothing loads them by these */
	struct cvq_weights *pretrained;
};

extern const char *const cvq_part_files[CVQ_PARTS];

/* "CosyVoice", "CosyVoice2", "CosyVoice3" */
const char *cvq_kind_name(unsigned kind);

/* Adds a finding.  'name', 'file' and 'remedy' are constants. */
void cvq_found(struct cvq_check *check, enum cvq_mark mark, const char *name,
	       const char *file, const char *remedy, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

/* --- files.c -------------------------------------------------------------------- */

/* Whether there is something at 'path'; and whether that is more than an empty file. */
bool cvq_package_has(const struct cvq_check *check, const char *path);
bool cvq_package_fills(const struct cvq_check *check, const char *path);

/* Finds the yaml, and with it the kind, and reads it. */
void cvq_check_yaml(struct cvq_check *check);

/* Checks that the files which AutoModel opens are there and of their formats. */
void cvq_check_files(struct cvq_check *check);

/* Without a yaml: the same for those weights that are there. */
void cvq_check_weights_alone(struct cvq_check *check);

/* --- model.c -------------------------------------------------------------------- */

/* Whether the yaml describes a model of the kind that its name says; if of another, all
 * else is held against that. */
void cvq_check_model(struct cvq_check *check);

/* Which kind's weights these are, by their names; 0 if that cannot be told. */
unsigned cvq_kind_of_part(enum cvq_part part, const struct cvq_weights *weights);

/* --- parts.c -------------------------------------------------------------------- */

/* Holds the weights against the networks of the yaml. */
void cvq_check_parts(struct cvq_check *check);

/* --- rules.c -------------------------------------------------------------------- */

/* Whether the files fit each other. */
void cvq_check_rules(struct cvq_check *check);

/* What programs would write into the package. */
void cvq_check_writes(struct cvq_check *check);

#endif
