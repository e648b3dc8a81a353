/* SPDX-License-Identifier: ISC */
/* Sessions that wait without a process; see sleepers.h. */
#include "mboxd/sleepers.h"

#include <sys/queue.h>
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/msg.h"

/* Of all and of a mailbox; mboxd has 65536 descriptors, and needs some of them awake. */
#define SESSIONS_MAX 40000
#define DESCRIPTORS_MAX 56000 /* watches too */
#define MAILBOX_SESSIONS_MAX 500
#define MAILBOX_WATCHES_MAX 4
#define BUCKETS 4096

struct sleeper;

struct resting {
	TAILQ_ENTRY(resting) entry;
	struct sleeper *sleeper;
	struct event *ev;
	int fd;
	int watch; /* no session, but what tells of news */
	size_t len;
	uint8_t state[];
};

struct sleeper {
	LIST_ENTRY(sleeper) chain;
	TAILQ_ENTRY(sleeper) entry;
	struct sleeper_cell cell;
	TAILQ_HEAD(, resting) resting;
	size_t sessions, watches;
	int called; /* a process was asked for */
	int again;  /* that could not be */
};

static struct event_base *base;
static int (*wake)(const struct sleeper_cell *);
static LIST_HEAD(, sleeper) buckets[BUCKETS];
static TAILQ_HEAD(, sleeper) sleepers = TAILQ_HEAD_INITIALIZER(sleepers);
static size_t n_sessions, n_watches;
static int retry;

static size_t
bucket(const char *mailbox)
{
	uint32_t h = 2166136261u;

	for (; *mailbox != '\0'; mailbox++)
		h = (h ^ (uint8_t)*mailbox) * 16777619u;
	return h % BUCKETS;
}

static struct sleeper *
find(const char *mailbox)
{
	struct sleeper *s;

	LIST_FOREACH (s, &buckets[bucket(mailbox)], chain)
		if (strcmp(s->cell.mailbox, mailbox) == 0)
			return s;
	return NULL;
}

static void
sleeper_free(struct sleeper *s)
{
	LIST_REMOVE(s, chain);
	TAILQ_REMOVE(&sleepers, s, entry);
	free(s);
}

/* Its descriptor stays open. */
static void
resting_free(struct resting *r)
{
	TAILQ_REMOVE(&r->sleeper->resting, r, entry);
	if (r->watch) {
		r->sleeper->watches--;
		n_watches--;
	} else {
		r->sleeper->sessions--;
		n_sessions--;
	}
	event_free(r->ev);
	free(r);
}

static void
drop(struct resting *r)
{
	int fd = r->fd;

	resting_free(r);
	close(fd);
}

static void
call(struct sleeper *s)
{
	if (s->called)
		return;
	s->called = 1;
	if (wake(&s->cell) == -1) {
		s->called = 0;
		s->again = retry = 1;
	}
}

/* A client spoke, or is gone, which needs no process; or there is news. */
static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct resting *r = arg;
	struct sleeper *s = r->sleeper;
	ssize_t n;
	char c;

	if (!r->watch) {
		n = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
		if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR)) {
			drop(r);
			if (s->sessions == 0)
				sleepers_drop(s->cell.mailbox);
			return;
		}
		if (n == -1) {
			event_add(r->ev, NULL);
			return;
		}
	}
	call(s);
}

void
sleepers_start(struct event_base *b, int (*cb)(const struct sleeper_cell *))
{
	base = b;
	wake = cb;
}

static struct sleeper *
make(const struct sleeper_cell *cell)
{
	struct sleeper *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	TAILQ_INIT(&s->resting);
	LIST_INSERT_HEAD(&buckets[bucket(cell->mailbox)], s, chain);
	TAILQ_INSERT_TAIL(&sleepers, s, entry);
	return s;
}

/* A process that was taken over must not fill the table of descriptors: a watch is for
 * sessions that rest. */
static int
has_room(const struct sleeper *s, int watch)
{
	if (n_sessions + n_watches >= DESCRIPTORS_MAX)
		return 0;
	if (watch)
		return s != NULL && s->sessions > 0 && s->watches < MAILBOX_WATCHES_MAX;
	return n_sessions < SESSIONS_MAX &&
	       (s == NULL || s->sessions < MAILBOX_SESSIONS_MAX);
}

int
sleepers_take(const struct sleeper_cell *cell, struct msg *m)
{
	const struct msg_mbox_rest *p = &m->p.mbox_rest;
	struct sleeper *s = find(cell->mailbox);
	struct resting *r;

	if (!has_room(s, p->state_len == 0))
		return -1;
	if (s == NULL && (s = make(cell)) == NULL)
		return -1;
	s->cell = *cell;
	if ((r = calloc(1, sizeof(*r) + p->state_len)) == NULL)
		goto fail;
	r->sleeper = s;
	r->fd = m->fd;
	r->watch = p->state_len == 0;
	r->len = p->state_len;
	if (r->len > 0)
		memcpy(r->state, p->state, r->len);
	r->ev = event_new(base, m->fd, EV_READ, on_event, r);
	/* What cannot be waited for is no socket. */
	if (r->ev == NULL || event_add(r->ev, NULL) == -1) {
		if (r->ev != NULL)
			event_free(r->ev);
		free(r);
		goto fail;
	}
	(void)msg_take_fd(m);
	TAILQ_INSERT_TAIL(&s->resting, r, entry);
	if (r->watch) {
		s->watches++;
		n_watches++;
	} else {
		s->sessions++;
		n_sessions++;
	}
	return 0;
fail:
	if (TAILQ_EMPTY(&s->resting))
		sleeper_free(s);
	return -1;
}

void
sleepers_give(const char *mailbox,
    int (*give)(int fd, const uint8_t *state, size_t len, void *arg), void *arg)
{
	struct sleeper *s = find(mailbox);
	struct resting *r;

	if (s == NULL)
		return;
	while ((r = TAILQ_FIRST(&s->resting)) != NULL)
		if (r->watch)
			drop(r);
		else {
			(void)give(r->fd, r->state, r->len, arg);
			resting_free(r);
		}
	sleeper_free(s);
}

void
sleepers_limits(const struct msg_mbox_limits *m)
{
	struct sleeper *s = find(m->mailbox);

	if (s == NULL)
		return;
	s->cell.quota = m->quota;
	s->cell.quota_messages = m->quota_messages;
	s->cell.quota_hard = m->quota_hard;
}

void
sleepers_drop(const char *mailbox)
{
	struct sleeper *s = find(mailbox);
	struct resting *r;

	if (s == NULL)
		return;
	while ((r = TAILQ_FIRST(&s->resting)) != NULL)
		drop(r);
	sleeper_free(s);
}

static struct sleeper *
first_again(void)
{
	struct sleeper *s;

	TAILQ_FOREACH (s, &sleepers, entry)
		if (s->again)
			break;
	return s;
}

void
sleepers_retry(void)
{
	struct sleeper *s;

	/* With a call this one and others may be gone. */
	while (retry && (s = first_again()) != NULL) {
		s->again = 0;
		s->called = 1;
		if (wake(&s->cell) == -1) {
			s->called = 0;
			s->again = 1;
			return;
		}
	}
	retry = 0;
}

size_t
sleepers_sessions(void)
{
	return n_sessions;
}

int
sleepers_at(size_t i, const struct sleeper_cell **cell, size_t *sessions)
{
	struct sleeper *s;

	TAILQ_FOREACH (s, &sleepers, entry)
		if (i-- == 0) {
			*cell = &s->cell;
			*sessions = s->sessions;
			return 1;
		}
	return 0;
}
