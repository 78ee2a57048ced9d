/* SPDX-License-Identifier: MIT */
#include "mount/serving.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>

#include "base/threads.h"

/* One takes a request, and the next one is there already. */
#define MOST_WAITING 2u

/* All but one, which is for those who ask. */
static unsigned processors_to_use(void)
{
	unsigned processors = cvq_processors();
	return processors > 2 ? processors - 1 : 1;
}

struct cvq_server {
	struct cvq_serving *serving;
	pthread_t thread;
	bool computes;           /* it answers a request, and has not left */
	struct fuse_buf request; /* its memory is libfuse's to allocate, and ours to free */
};

cvq_err cvq_serving_init(struct cvq_serving *serving, struct fuse_session *session,
			 unsigned most)
{
	*serving = (struct cvq_serving){.session = session, .most = most};
	serving->most_computing = processors_to_use();
	serving->most_waiting = serving->most_computing < MOST_WAITING
					? serving->most_computing
					: MOST_WAITING;
	pthread_mutex_init(&serving->mutex, NULL);
	pthread_cond_init(&serving->wanted, NULL);
	pthread_cond_init(&serving->stopped, NULL);
	serving->servers = calloc(most, sizeof(*serving->servers));
	return serving->servers ? 0 : -ENOMEM;
}

void cvq_serving_release(struct cvq_serving *serving)
{
	free(serving->servers);
	pthread_cond_destroy(&serving->stopped);
	pthread_cond_destroy(&serving->wanted);
	pthread_mutex_destroy(&serving->mutex);
}

/* ========================================================================== */
/*                             Who waits, who rests                           */
/* ========================================================================== */

static void *serve(void *data);

static _Thread_local struct cvq_server *this_server;

/* The mutex is held, as for call_if_wanted().  Where a thread cannot be had, those that
 * there are have more to do. */
static bool start(struct cvq_serving *serving)
{
	if (serving->started == serving->most || serving->is_over)
		return false;
	struct cvq_server *server = &serving->servers[serving->started];
	server->serving = serving;
	if (cvq_thread_start(&server->thread, serve, server))
		return false;
	serving->started++;
	serving->waiting++;
	return true;
}

/* Sends another one to the device if nobody is there, and a processor is free for it. */
static void call_if_wanted(struct cvq_serving *serving)
{
	if (serving->waiting > 0 || serving->computing >= serving->most_computing)
		return;
	if (serving->resting == 0) {
		start(serving);
		return;
	}
	serving->resting--;
	serving->waiting++;
	serving->calls++;
	pthread_cond_signal(&serving->wanted);
}

static void begin(struct cvq_server *server, bool computes)
{
	struct cvq_serving *serving = server->serving;
	pthread_mutex_lock(&serving->mutex);
	server->computes = computes;
	serving->waiting--;
	serving->computing += computes;
	call_if_wanted(serving);
	pthread_mutex_unlock(&serving->mutex);
}

/* Returns when it is time to wait for the next request; or false if there is none. */
static bool end(struct cvq_server *server)
{
	struct cvq_serving *serving = server->serving;
	pthread_mutex_lock(&serving->mutex);
	/* Where threads leave, to call one for every request would cost more. */
	unsigned most = server->computes ? serving->most_waiting : MOST_WAITING;
	serving->computing -= server->computes;
	if (serving->waiting < most) {
		serving->waiting++;
	} else {
		serving->resting++;
		while (serving->calls == 0 && !serving->is_over)
			pthread_cond_wait(&serving->wanted, &serving->mutex);
		serving->calls -= serving->calls > 0;
	}
	bool goes_on = !serving->is_over;
	pthread_mutex_unlock(&serving->mutex);
	return goes_on;
}

void cvq_serving_leave(struct cvq_serving *serving)
{
	pthread_mutex_lock(&serving->mutex);
	serving->computing -= this_server->computes;
	this_server->computes = false;
	call_if_wanted(serving);
	pthread_mutex_unlock(&serving->mutex);
}

bool cvq_serving_provide(struct cvq_serving *serving, unsigned count)
{
	pthread_mutex_lock(&serving->mutex);
	while (serving->started < count && start(serving))
		;
	bool has = serving->started >= count;
	pthread_mutex_unlock(&serving->mutex);
	return has;
}

/* ========================================================================== */
/*                                  A thread                                  */
/* ========================================================================== */

/* Receives a request.  Returns 1, 0 if there is none any more, or a negative errno. */
static int receive(struct fuse_session *session, struct fuse_buf *request)
{
	int result;
	do {
		/* The end does not come by itself to who waits here. */
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
		result = fuse_session_receive_buf(session, request);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	} while (result == -EINTR);
	return result > 0 ? 1 : result;
}

/* Whether the operation leaves by itself, or cannot take long. */
static bool is_quick(const struct fuse_buf *request)
{
	const struct fuse_in_header *header = request->mem;
	if (request->flags & FUSE_BUF_IS_FD)
		return false;
	switch (header->opcode) {
	case FUSE_READ:
	case FUSE_INTERRUPT:
		return true;
	default:
		return false;
	}
}

static void stop(struct cvq_serving *serving, cvq_err err)
{
	pthread_mutex_lock(&serving->mutex);
	if (!serving->is_over)
		serving->err = err;
	serving->is_over = true;
	pthread_cond_broadcast(&serving->wanted);
	pthread_cond_signal(&serving->stopped);
	pthread_mutex_unlock(&serving->mutex);
}

void cvq_serving_stop(struct cvq_serving *serving)
{
	stop(serving, 0);
}

static void *serve(void *data)
{
	struct cvq_server *server = data;
	struct cvq_serving *serving = server->serving;
	int received;
	this_server = server;
	while ((received = receive(serving->session, &server->request)) > 0) {
		begin(server, is_quick(&server->request));
		fuse_session_process_buf(serving->session, &server->request);
		if (!end(server))
			return NULL;
	}
	stop(serving, received);
	return NULL;
}

/* ========================================================================== */
/*                                  The whole                                 */
/* ========================================================================== */

/* The first request says how large a request may be, so nobody else may receive one yet.
 * Returns as receive(). */
static int introduce(struct fuse_session *session)
{
	struct fuse_buf request = {0};
	int received = receive(session, &request);
	if (received > 0) {
		fuse_session_process_buf(session, &request);
		if (fuse_session_exited(session))
			received = -EPROTO; /* libfuse has said why */
	}
	free(request.mem);
	return received;
}

static void await_end(struct cvq_serving *serving)
{
	pthread_mutex_lock(&serving->mutex);
	while (!serving->is_over)
		pthread_cond_wait(&serving->stopped, &serving->mutex);
	pthread_mutex_unlock(&serving->mutex);
	/* From now on none is started. */
	for (unsigned i = 0; i < serving->started; i++)
		pthread_cancel(serving->servers[i].thread);
	for (unsigned i = 0; i < serving->started; i++) {
		pthread_join(serving->servers[i].thread, NULL);
		free(serving->servers[i].request.mem);
	}
}

cvq_err cvq_serving_run(struct cvq_serving *serving)
{
	int received = introduce(serving->session);
	if (received <= 0)
		return received;
	if (!cvq_serving_provide(serving, 1))
		stop(serving, -EAGAIN); /* if it was not stopped before */
	await_end(serving);
	return serving->err;
}
