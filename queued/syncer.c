/*
 * The sync thread, the one exception from one loop and one thread a process. The loop
 * must not wait for the disk, and what arrives while a sync runs shares the next.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/queue.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queued/syncer.h"
#include "queued/sys.h"

struct job {
	int fds[SYNCER_FDS_MAX];
	int nfds;
	int full_last;
	int error;
	syncer_cb cb;
	void *arg;
	STAILQ_ENTRY(job) entry;
};
STAILQ_HEAD(jobs, job);

struct syncer {
	struct event_base *base;
	struct event *ev;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	pthread_cond_t idle;
	int running;
	int pipe[2];
	int stop;
	struct jobs todo; /* under the mutex */
	struct jobs done; /* under the mutex */
};

static int
job_run(const struct job *j)
{
	for (int i = 0; i < j->nfds; i++) {
		int rv;

		do {
			rv = j->full_last && i == j->nfds - 1 ? sys_fsync(j->fds[i])
							      : sys_fdatasync(j->fds[i]);
		} while (rv == -1 && errno == EINTR);
		if (rv == -1)
			return errno;
	}
	return 0;
}

static void *
syncer_main(void *arg)
{
	struct syncer *s = arg;
	struct job *j;

	pthread_mutex_lock(&s->mutex);
	for (;;) {
		while ((j = STAILQ_FIRST(&s->todo)) == NULL && !s->stop)
			pthread_cond_wait(&s->cond, &s->mutex);
		if (j == NULL)
			break;
		STAILQ_REMOVE_HEAD(&s->todo, entry);
		s->running = 1;
		pthread_mutex_unlock(&s->mutex);
		j->error = job_run(j);
		pthread_mutex_lock(&s->mutex);
		s->running = 0;
		STAILQ_INSERT_TAIL(&s->done, j, entry);
		pthread_cond_signal(&s->idle);
		/* A full pipe has woken the loop already. */
		(void)!write(s->pipe[1], "", 1);
	}
	pthread_mutex_unlock(&s->mutex);
	return NULL;
}

static void
syncer_ready(evutil_socket_t fd, short what, void *arg)
{
	struct syncer *s = arg;
	char buf[64];
	struct jobs done = STAILQ_HEAD_INITIALIZER(done);
	struct job *j;

	(void)what;
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	pthread_mutex_lock(&s->mutex);
	STAILQ_CONCAT(&done, &s->done);
	pthread_mutex_unlock(&s->mutex);
	while ((j = STAILQ_FIRST(&done)) != NULL) {
		STAILQ_REMOVE_HEAD(&done, entry);
		j->cb(j->error, j->arg);
		free(j);
	}
}

void
syncer_drain(struct syncer *s)
{
	if (s->base == NULL)
		return;
	pthread_mutex_lock(&s->mutex);
	while (s->running || STAILQ_FIRST(&s->todo) != NULL)
		pthread_cond_wait(&s->idle, &s->mutex);
	pthread_mutex_unlock(&s->mutex);
	syncer_ready(s->pipe[0], 0, s);
}

struct syncer *
syncer_new(struct event_base *base)
{
	struct syncer *s;
	sigset_t all, old;
	int rv;

	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->base = base;
	s->pipe[0] = s->pipe[1] = -1;
	STAILQ_INIT(&s->todo);
	STAILQ_INIT(&s->done);
	if (base == NULL)
		return s;
	if (pipe2(s->pipe, O_CLOEXEC | O_NONBLOCK) == -1)
		goto fail;
	s->ev = event_new(base, s->pipe[0], EV_READ | EV_PERSIST, syncer_ready, s);
	if (s->ev == NULL || event_add(s->ev, NULL) == -1)
		goto fail;
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->cond, NULL);
	pthread_cond_init(&s->idle, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rv = pthread_create(&s->thread, NULL, syncer_main, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rv != 0) {
		errno = rv;
		goto fail;
	}
	return s;
fail:
	if (s->ev != NULL)
		event_free(s->ev);
	if (s->pipe[0] != -1) {
		close(s->pipe[0]);
		close(s->pipe[1]);
	}
	free(s);
	return NULL;
}

void
syncer_free(struct syncer *s)
{
	struct job *j;

	if (s == NULL)
		return;
	if (s->base != NULL) {
		pthread_mutex_lock(&s->mutex);
		s->stop = 1;
		pthread_cond_signal(&s->cond);
		pthread_mutex_unlock(&s->mutex);
		pthread_join(s->thread, NULL);
		event_free(s->ev);
		close(s->pipe[0]);
		close(s->pipe[1]);
		pthread_cond_destroy(&s->cond);
		pthread_cond_destroy(&s->idle);
		pthread_mutex_destroy(&s->mutex);
	}
	while ((j = STAILQ_FIRST(&s->done)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->done, entry);
		free(j);
	}
	free(s);
}

int
syncer_submit(
    struct syncer *s, const int *fds, int nfds, int full_last, syncer_cb cb, void *arg)
{
	struct job *j;

	if (nfds > SYNCER_FDS_MAX) {
		errno = EINVAL;
		return -1;
	}
	j = calloc(1, sizeof(*j));
	if (j == NULL)
		return -1;
	memcpy(j->fds, fds, sizeof(*fds) * (size_t)nfds);
	j->nfds = nfds;
	j->full_last = full_last;
	j->cb = cb;
	j->arg = arg;
	if (s->base == NULL) {
		j->error = job_run(j);
		cb(j->error, arg);
		free(j);
		return 0;
	}
	pthread_mutex_lock(&s->mutex);
	STAILQ_INSERT_TAIL(&s->todo, j, entry);
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->mutex);
	return 0;
}
