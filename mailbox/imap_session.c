/* SPDX-License-Identifier: ISC */
/*
 * An IMAP session on its socket: octets between the connection to the front and the
 * machine (imap.h), with back-pressure both ways. Long commands are brought
 * forward by an event of their own, so that all sessions of the mailbox get their turn.
 */
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/conn.h"
#include "common/log.h"
#include "common/msg.h"
#include "mailbox/imap.h"
#include "mailbox/session.h"

#define INPUT_MAX 65536
#define CLOSE_MS 5000
#define POLL_S 10 /* changes from outside, while in IDLE */

struct session {
	LIST_ENTRY(session) entry;
	struct conn *conn;
	struct imap *imap;
	struct event *step; /* there is work without input */
	struct event *poll;
	void (*ended)(void *);
	void *arg;
	bool eof;
};

static const struct timeval at_once; /* a timer, so that sockets have their turn before */
static LIST_HEAD(, session) sessions = LIST_HEAD_INITIALIZER(sessions);

static void
session_free(struct session *s)
{
	LIST_REMOVE(s, entry);
	imap_free(s->imap);
	if (s->step != NULL)
		event_free(s->step);
	if (s->poll != NULL)
		event_free(s->poll);
	if (s->conn != NULL)
		conn_free(s->conn);
	s->ended(s->arg);
	free(s);
}

/* The only place where a session ends. Not to be touched afterwards. */
static void
finish(struct session *s)
{
	conn_write_buffer(s->conn, imap_output(s->imap));
	conn_close(s->conn, CLOSE_MS);
	s->conn = NULL;
	session_free(s);
}

static void
forward(struct session *s)
{
	struct evbuffer *in = conn_input(s->conn);
	int more = imap_run(s->imap, conn_unsent(s->conn));

	while (imap_idle(s->imap) && evbuffer_get_length(in) > 0 &&
	    conn_unsent(s->conn) < IMAP_HIGH_WATER) {
		struct evbuffer_iovec v;
		size_t took;

		if (evbuffer_peek(in, -1, NULL, &v, 1) < 1)
			break;
		took = imap_input(s->imap, v.iov_base, v.iov_len);
		evbuffer_drain(in, took);
		more |= imap_run(s->imap, conn_unsent(s->conn));
		if (took == 0)
			break;
		if (evbuffer_get_length(imap_output(s->imap)) >= IMAP_HIGH_WATER)
			break;
	}
	if (imap_ended(s->imap)) {
		finish(s);
		return;
	}
	if (evbuffer_get_length(imap_output(s->imap)) > 0 &&
	    conn_write_buffer(s->conn, imap_output(s->imap)) == -1) {
		session_free(s);
		return;
	}
	if (s->eof && imap_idle(s->imap) && evbuffer_get_length(in) == 0) {
		finish(s);
		return;
	}
	/* Below high water there may be more at once; otherwise CONN_LOW_WATER comes. */
	if (more || (conn_unsent(s->conn) == 0 && imap_idle(s->imap) &&
	    evbuffer_get_length(in) > 0))
		event_add(s->step, &at_once);
}

static void
step_cb(int fd, short what, void *arg)
{
	forward(arg);
}

static void
poll_cb(int fd, short what, void *arg)
{
	struct session *s = arg;

	imap_poll(s->imap);
	forward(s);
}

static void
wake(void *arg)
{
	struct session *s = arg;

	event_add(s->step, &at_once);
}

static void
conn_event(struct conn *c, enum conn_event ev, void *arg)
{
	struct session *s = arg;

	switch (ev) {
	case CONN_INPUT:
	case CONN_LOW_WATER:
		forward(s);
		break;
	case CONN_EOF:
		s->eof = true;
		forward(s);
		break;
	case CONN_ERROR:
		session_free(s);
		break;
	default:
		break;
	}
}

int
imap_session_start(struct event_base *base, int fd, struct store *store,
    const struct msg_mbox_label *label, void (*ended)(void *), void *arg)
{
	static const struct timeval poll_every = { POLL_S, 0 };
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		close(fd);
		return -1;
	}
	s->ended = ended;
	s->arg = arg;
	s->conn = conn_new(base, fd, INPUT_MAX, conn_event, s);
	s->imap = imap_new(store, wake, s);
	s->step = event_new(base, -1, 0, step_cb, s);
	s->poll = event_new(base, -1, EV_PERSIST, poll_cb, s);
	if (s->conn == NULL || s->imap == NULL || s->step == NULL || s->poll == NULL ||
	    event_add(s->poll, &poll_every) == -1) {
		log_warnx("no memory for an IMAP session");
		imap_free(s->imap);
		if (s->step != NULL)
			event_free(s->step);
		if (s->poll != NULL)
			event_free(s->poll);
		conn_free(s->conn);
		free(s);
		return -1;
	}
	LIST_INSERT_HEAD(&sessions, s, entry);
	return 0;
}

void
imap_sessions_stop(void)
{
	while (!LIST_EMPTY(&sessions)) {
		struct session *s = LIST_FIRST(&sessions);

		imap_bye(s->imap, "Server is stopping");
		finish(s);
	}
}
