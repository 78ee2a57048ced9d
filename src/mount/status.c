/* SPDX-License-Identifier: MIT */
#include "mount/status.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "cvq/cvq.h"
#include "mount/context.h"

/* ========================================================================== */
/*                                 Statistics                                 */
/* ========================================================================== */

void cvq_statistics_init(struct cvq_statistics *statistics)
{
	*statistics = (struct cvq_statistics){0};
	clock_gettime(CLOCK_MONOTONIC, &statistics->started);
	pthread_mutex_init(&statistics->mutex, NULL);
}

void cvq_statistics_release(struct cvq_statistics *statistics)
{
	pthread_mutex_destroy(&statistics->mutex);
}

/* The highest bit and the two after it: bucket 4 * n + m is from (4 + m) << (n - 2) on. */
static unsigned bucket_of(uint64_t nanoseconds)
{
	if (nanoseconds < 4)
		return (unsigned)nanoseconds;
	unsigned highest = 63 - (unsigned)__builtin_clzll(nanoseconds);
	return 4 * highest + (unsigned)(nanoseconds >> (highest - 2) & 3);
}

/* Where the bucket after 'bucket' begins. */
static double end_of_bucket(unsigned bucket)
{
	if (bucket < 8)
		return bucket < 4 ? bucket + 1 : 4;
	return ldexp(5 + bucket % 4, (int)(bucket / 4) - 2);
}

void cvq_statistics_count_read(struct cvq_statistics *statistics, uint64_t began)
{
	unsigned bucket = bucket_of(cvq_clock_nanoseconds() - began);
	atomic_fetch_add_explicit(&statistics->latency[bucket], 1, memory_order_relaxed);
}

void cvq_statistics_count_error(struct cvq_statistics *statistics, const char *message)
{
	atomic_fetch_add_explicit(&statistics->errors, 1, memory_order_relaxed);
	pthread_mutex_lock(&statistics->mutex);
	snprintf(statistics->last_error, sizeof(statistics->last_error), "%s", message);
	pthread_mutex_unlock(&statistics->mutex);
}

uint64_t cvq_statistics_reads(const struct cvq_statistics *statistics)
{
	uint64_t reads = 0;
	for (unsigned i = 0; i < CVQ_LATENCY_BUCKETS; i++)
		reads +=
			atomic_load_explicit(&statistics->latency[i], memory_order_relaxed);
	return reads;
}

/* The time in microseconds that this share of the reads kept to. */
static double quantile(const struct cvq_statistics *statistics, double share)
{
	double left = share * (double)cvq_statistics_reads(statistics);
	unsigned last = 0;

	if (left == 0)
		return 0;
	for (unsigned i = 0; i < CVQ_LATENCY_BUCKETS && left > 0; i++) {
		uint64_t reads =
			atomic_load_explicit(&statistics->latency[i], memory_order_relaxed);
		left -= (double)reads;
		if (reads)
			last = i;
	}
	return end_of_bucket(last) / 1000;
}

/* ========================================================================== */
/*                                    JSON                                    */
/* ========================================================================== */

static json_t *describe_patterns(const struct cvq_globs *globs)
{
	json_t *patterns = json_array();
	for (size_t i = 0; i < globs->count; i++)
		json_array_append_new(patterns, cvq_json_text(globs->patterns[i]));
	return patterns;
}

static json_t *describe_aliases(const struct cvq_aliases *aliases)
{
	json_t *object = json_object();
	for (size_t i = 0; i < aliases->count; i++) {
		const struct cvq_alias *alias = &aliases->list[i];
		json_t *name = cvq_json_text(alias->path);
		json_object_set_new(object, json_string_value(name),
				    cvq_json_text(alias->target));
		json_decref(name);
	}
	return object;
}

static json_t *describe_options(const struct cvq_context *context)
{
	const struct cvq_policy *policy = cvq_view_policy(context->view);
	const char *config = context->options->config;
	json_t *align = policy->align ? json_integer(policy->align) : json_string("source");

	return json_pack(
		"{s:o, s:s, s:s, s:s, s:o, s:s, s:f, s:o, s:o, s:o, s:o, s:b, s:b, s:b}",
		"config", config ? cvq_json_text(config) : json_null(), "dtype",
		cvq_dtype_name(policy->dtype), "overflow",
		cvq_overflow_name(policy->overflow), "checksum",
		cvq_checksum_name(policy->checksum), "align", align, "symlinks",
		cvq_symlinks_name(policy->symlinks), "timeout", policy->timeout, "convert",
		describe_patterns(&policy->convert_files), "keep",
		describe_patterns(&policy->keep_files), "keep_tensor",
		describe_patterns(&policy->keep_tensors), "alias",
		describe_aliases(&policy->aliases), "passthrough",
		(int)context->passthrough.negotiated, "direct_io",
		(int)context->options->direct_io, "drop_source_cache",
		(int)context->options->drop_source_cache);
}

static json_t *describe_last_error(struct cvq_statistics *statistics)
{
	pthread_mutex_lock(&statistics->mutex);
	json_t *text = statistics->last_error[0] ? cvq_json_text(statistics->last_error)
						 : json_null();
	pthread_mutex_unlock(&statistics->mutex);
	return text;
}

static json_t *describe_activity(struct cvq_context *context)
{
	struct cvq_statistics *statistics = &context->statistics;
	const struct cvq_counters *counters = cvq_view_counters(context->view);

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:f, s:f, s:f}", "reads",
			 (json_int_t)cvq_statistics_reads(statistics), "bytes_read",
			 (json_int_t)atomic_load(&counters->bytes_read), "bytes_converted",
			 (json_int_t)atomic_load(&counters->bytes_converted), "bytes_ahead",
			 (json_int_t)atomic_load(&context->ahead.bytes), "errors",
			 (json_int_t)atomic_load(&statistics->errors), "last_error",
			 describe_last_error(statistics), "read_p50_us",
			 quantile(statistics, 0.5), "read_p90_us",
			 quantile(statistics, 0.9), "read_p99_us",
			 quantile(statistics, 0.99));
}

char *cvq_status_describe(struct cvq_context *context)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	const struct cvq_census *census = &context->census;

	json_t *status = json_pack(
		"{s:s, s:i, s:I, s:o, s:o, s:I, s:I, s:I, s:I, s:b}", "version",
		CVQ_VERSION_STRING, "pid", (int)getpid(), "uptime_s",
		(json_int_t)(now.tv_sec - context->statistics.started.tv_sec), "source",
		cvq_json_text(context->source), "options", describe_options(context),
		"files_converted", (json_int_t)census->converted, "files_passed",
		(json_int_t)census->passed, "source_bytes",
		(json_int_t)census->source_bytes, "view_bytes",
		(json_int_t)census->view_bytes, "census_complete", (int)census->complete);
	json_t *activity = describe_activity(context);
	char *text = NULL;
	if (status && activity && json_object_update(status, activity) == 0)
		text = json_dumps(status, JSON_COMPACT);
	json_decref(status);
	json_decref(activity);
	return text;
}
