/* SPDX-License-Identifier: MIT */
#include "view/verdict.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

cvq_err cvq_verdict_create(const struct cvq_image_summary *summary, const char *reason,
			   struct cvq_verdict **verdict)
{
	struct cvq_verdict *made = calloc(1, sizeof(*made));
	char *copy = reason ? strdup(reason) : NULL;
	if (!made || (reason && !copy)) {
		free(copy);
		free(made);
		return -ENOMEM;
	}
	atomic_init(&made->references, 1);
	made->converted = summary != NULL;
	if (summary)
		made->summary = *summary;
	made->reason = copy;
	*verdict = made;
	return 0;
}

struct cvq_verdict *cvq_verdict_ref(struct cvq_verdict *verdict)
{
	atomic_fetch_add_explicit(&verdict->references, 1, memory_order_relaxed);
	return verdict;
}

void cvq_verdict_unref(struct cvq_verdict *verdict)
{
	if (!verdict ||
	    atomic_fetch_sub_explicit(&verdict->references, 1, memory_order_acq_rel) > 1)
		return;
	free(verdict->reason);
	free(verdict);
}

char *cvq_verdict_describe(const struct cvq_verdict *verdict,
			   const struct cvq_policy *policy, uint64_t source_size,
			   const char *alias_of)
{
	json_t *info;

	if (verdict->converted) {
		const struct cvq_image_summary *summary = &verdict->summary;
		info = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "state", "converted",
				 "dtype", cvq_dtype_name(policy->dtype), "source_size",
				 (json_int_t)source_size, "view_size",
				 (json_int_t)summary->view_size, "storages",
				 (json_int_t)summary->storages, "converted_storages",
				 (json_int_t)summary->converted_storages);
	} else {
		/* How many storages such a file has, and of what, is not known. */
		info = json_pack("{s:s, s:s, s:n, s:I, s:I, s:n, s:i}", "state",
				 "passthrough", "reason", verdict->reason, "dtype",
				 "source_size", (json_int_t)source_size, "view_size",
				 (json_int_t)source_size, "storages", "converted_storages",
				 0);
	}
	if (alias_of)
		json_object_set_new(info, "alias_of", cvq_json_text(alias_of));
	char *text = info ? json_dumps(info, JSON_COMPACT) : NULL;
	json_decref(info);
	return text;
}
