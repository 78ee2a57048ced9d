/* SPDX-License-Identifier: MIT */
#include "view/decide.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "view/tree.h"

/* ========================================================================== */
/*                              What is remembered                            */
/* ========================================================================== */

/* With the mutex held.  The place of that version, or NULL. */
static struct cvq_remembered *find_version(struct cvq_decisions *decisions,
					   const struct cvq_version *version)
{
	for (size_t i = 0; i < CVQ_REMEMBERED; i++) {
		struct cvq_remembered *place = &decisions->remembered[i];
		if (place->verdict && cvq_version_same(&place->version, version))
			return place;
	}
	return NULL;
}

/* The verdict that is remembered of the version, and its image unless 'image' is NULL; or
 * NULL. */
static struct cvq_verdict *recall(struct cvq_decisions *decisions,
				  const struct cvq_version *version,
				  struct cvq_image **image)
{
	struct cvq_verdict *found = NULL;

	pthread_mutex_lock(&decisions->mutex);
	struct cvq_remembered *place = find_version(decisions, version);
	if (place) {
		place->last_used = ++decisions->clock;
		found = cvq_verdict_ref(place->verdict);
		if (image)
			*image = place->image ? cvq_image_ref(place->image) : NULL;
	}
	pthread_mutex_unlock(&decisions->mutex);
	return found;
}

static bool holds_much(const struct cvq_verdict *verdict)
{
	return verdict && verdict->converted && verdict->summary.holds_much;
}

/* The place that was not used for longest; of those that hold much if the verdict does too
 * and there are enough of them. */
static struct cvq_remembered *find_place(struct cvq_decisions *decisions,
					 const struct cvq_verdict *verdict)
{
	struct cvq_remembered *oldest = NULL, *oldest_large = NULL;
	unsigned large = 0;
	for (size_t i = 0; i < CVQ_REMEMBERED; i++) {
		struct cvq_remembered *place = &decisions->remembered[i];
		if (!oldest || place->last_used < oldest->last_used)
			oldest = place;
		if (!holds_much(place->verdict))
			continue;
		large++;
		if (!oldest_large || place->last_used < oldest_large->last_used)
			oldest_large = place;
	}
	return holds_much(verdict) && large >= CVQ_REMEMBERED_LARGE ? oldest_large : oldest;
}

/* Two threads may plan one file at once; what the second one found replaces the first's. */
static void remember(struct cvq_decisions *decisions, const struct cvq_version *version,
		     struct cvq_verdict *verdict, struct cvq_image *image)
{
	pthread_mutex_lock(&decisions->mutex);
	struct cvq_remembered *place = find_version(decisions, version);
	if (!place)
		place = find_place(decisions, verdict);
	struct cvq_remembered forgotten = *place;
	*place = (struct cvq_remembered){
		.version = *version,
		.verdict = cvq_verdict_ref(verdict),
		.image = image ? cvq_image_ref(image) : NULL,
		.last_used = ++decisions->clock,
	};
	pthread_mutex_unlock(&decisions->mutex);
	cvq_verdict_unref(forgotten.verdict);
	cvq_image_unref(forgotten.image);
}

/* ========================================================================== */
/*                                  Deciding                                  */
/* ========================================================================== */

#define UNASKED "its name does not ask for conversion"

bool cvq_asks_for_conversion(const struct cvq_policy *policy, const char *path,
			     struct cvq_reason *reason)
{
	if (!cvq_policy_wants_file(policy, path)) {
		cvq_explain(reason, 0, "%s", UNASKED);
		return false;
	}
	const char *keeping = cvq_policy_keeping_pattern(policy, path);
	if (keeping)
		cvq_explain(reason, 0, "it is kept by the pattern '%s'", keeping);
	return !keeping;
}

/*
 * A verdict for now; a later look may come to another.  A file whose content nobody can
 * tell is not passed through either: it may have been seen converted a moment ago.  One
 * that may not be read, opening will refuse by itself.
 */
static cvq_err decide_for_now(cvq_err err, struct cvq_verdict **verdict)
{
	if (cvq_is_shortage(err))
		return err;
	struct cvq_reason reason;
	if (err == -ESTALE)
		cvq_explain(&reason, err, "it was modified while it was looked at");
	else
		cvq_explain(&reason, err, "it cannot be read: %s", strerror(-err));
	cvq_err failed = cvq_verdict_create(NULL, reason.text, verdict);
	if (failed)
		return failed;
	(*verdict)->for_now = true;
	(*verdict)->unfit = err != -ESTALE;
	if (err != -ESTALE && err != -EACCES && err != -EPERM)
		(*verdict)->failure = -EIO;
	return 0;
}

cvq_err cvq_decide_content(const struct cvq_source *source, const struct cvq_policy *policy,
			   struct stat *attributes, struct cvq_verdict **verdict,
			   struct cvq_image **image)
{
	struct cvq_version before = cvq_version_of(attributes);

	cleanup_image struct cvq_image *planned = NULL;
	struct cvq_reason reason = {""};
	cvq_err err = cvq_image_plan(source, before.size, policy, &planned, &reason);

	/* A plan made while somebody wrote the file may be of two versions. */
	if (fstat(source->fd, attributes))
		return -errno;
	if (!cvq_version_unmodified(&before, attributes))
		return -ESTALE;
	if (err && !cvq_is_of_content(err))
		return err;
	bool unfit = err == CVQ_ERR_CONTENT;
	err = planned ? cvq_verdict_create(cvq_image_summary(planned), NULL, verdict)
		      : cvq_verdict_create(NULL, reason.text, verdict);
	if (err)
		return err;
	(*verdict)->unfit = unfit;
	*image = steal_pointer(planned);
	return 0;
}

/* The same of a file of the view, and remembers it. */
static cvq_err decide_and_remember(struct cvq_decisions *decisions, int fd,
				   struct stat *attributes, struct cvq_verdict **verdict,
				   struct cvq_image **image)
{
	const struct cvq_source source = {.fd = fd, .counters = decisions->counters};
	cvq_err err =
		cvq_decide_content(&source, decisions->policy, attributes, verdict, image);
	if (err)
		return err;
	struct cvq_version version = cvq_version_of(attributes);
	remember(decisions, &version, *verdict, *image);
	return 0;
}

cvq_err cvq_decide(struct cvq_decisions *decisions, const char *path, int path_fd,
		   const struct cvq_known *known, struct stat *attributes,
		   struct cvq_verdict **verdict)
{
	const struct cvq_policy *policy = decisions->policy;

	if (!cvq_policy_wants_file(policy, path)) {
		*verdict = cvq_verdict_ref(decisions->unasked);
		return 0;
	}
	struct cvq_reason reason;
	if (!cvq_asks_for_conversion(policy, path, &reason))
		return cvq_verdict_create(NULL, reason.text, verdict);

	struct cvq_version version = cvq_version_of(attributes);
	if (known && !known->verdict->for_now &&
	    cvq_version_same(known->version, &version)) {
		*verdict = cvq_verdict_ref(known->verdict);
		return 0;
	}
	*verdict = recall(decisions, &version, NULL);
	if (*verdict)
		return 0;

	cleanup_fd int fd = cvq_tree_reopen(path_fd, O_RDONLY | O_NOCTTY);
	if (fd == -ESTALE)
		return fd;
	cleanup_image struct cvq_image *image = NULL;
	cvq_err err =
		fd < 0 ? fd
		       : decide_and_remember(decisions, fd, attributes, verdict, &image);
	return err ? decide_for_now(err, verdict) : 0;
}

cvq_err cvq_decisions_image(struct cvq_decisions *decisions, int fd,
			    const struct cvq_version *version, struct cvq_image **image)
{
	struct cvq_verdict *verdict = recall(decisions, version, image);
	cvq_err err = 0;
	if (!verdict) {
		struct stat now;
		if (fstat(fd, &now))
			return -errno;
		if (!cvq_version_unmodified(version, &now))
			return -ESTALE;
		err = decide_and_remember(decisions, fd, &now, &verdict, image);
	}
	if (!err && !*image)
		err = -ESTALE;
	cvq_verdict_unref(verdict);
	return err;
}

cvq_err cvq_decisions_init(struct cvq_decisions *decisions, const struct cvq_policy *policy,
			   struct cvq_counters *counters)
{
	*decisions = (struct cvq_decisions){.policy = policy, .counters = counters};
	pthread_mutex_init(&decisions->mutex, NULL);
	return cvq_verdict_create(NULL, UNASKED, &decisions->unasked);
}

void cvq_decisions_release(struct cvq_decisions *decisions)
{
	for (size_t i = 0; i < CVQ_REMEMBERED; i++) {
		cvq_verdict_unref(decisions->remembered[i].verdict);
		cvq_image_unref(decisions->remembered[i].image);
	}
	cvq_verdict_unref(decisions->unasked);
	pthread_mutex_destroy(&decisions->mutex);
}
