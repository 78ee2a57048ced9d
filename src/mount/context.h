/* SPDX-License-Identifier: MIT */
/*
 * Everything one mount consists of: what libfuse hands to each operation
 */
#ifndef CVQ_MOUNT_CONTEXT_H
#define CVQ_MOUNT_CONTEXT_H

#include <sys/types.h>

#include "base/log.h"
#include "mount/ahead.h"
#include "mount/buffers.h"
#include "mount/ending.h"
#include "mount/handles.h"
#include "mount/lifeline.h"
#include "mount/nodes.h"
#include "mount/options.h"
#include "mount/passthrough.h"
#include "mount/serving.h"
#include "mount/status.h"
#include "view/view.h"

struct cvq_context {
	/* Set up before the first request, then only read: */
	const struct cvq_mount_options *options;
	char *source;     /* absolute */
	char *mountpoint; /* absolute */
	dev_t device;     /* of the view, once it is mounted */
	struct cvq_log log;
	struct cvq_census census;
	/* Each looks after its own threads: */
	struct cvq_view *view;
	struct cvq_nodes nodes;
	struct cvq_handles handles;
	struct cvq_statistics statistics;
	struct cvq_passthrough passthrough;
	struct cvq_lifeline lifeline;
	struct cvq_buffers buffers;
	struct cvq_serving serving;
	struct cvq_ahead ahead;
	struct cvq_ending ending;
};

#endif
