/* SPDX-License-Identifier: ISC */
/*
 * A POP3 session on its socket: octets between the connection to the front and the
 * machine (pop3.h), with back-pressure both ways. Long messages are brought
 * forward by an event of their own, so that all sessions of the mailbox get their turn.
 */
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/conn.h"
#include "common/log.h"
#include "common/msg.h"
#include "mailbox/pop3.h"
#include "mailbox/session.h"

#define INPUT_MAX 65536
#define CLOSE_MS 5000

struct session {
	LIST_ENTRY(session) entry;
	struct conn *conn;
	struct pop3 *pop3;
	struct event *step; /* there is work without input */
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
	pop3_free(s->pop3);
	if (s->step != NULL)
		event_free(s->step);
	if (s->conn != NULL)
		conn_free(s->conn);
	s->ended(s->arg);
	free(s);
}

/* The only place where a session ends. Not to be touched afterwards. */
static void
finish(struct session *s)
{
	conn_write_buffer(s->conn, pop3_output(s->pop3));
	conn_close(s->conn, CLOSE_MS);
	s->conn = NULL;
	session_free(s);
}

static void
forward(struct session *s)
{
	struct evbuffer *in = conn_input(s->conn);
	int more = pop3_run(s->pop3, conn_unsent(s->conn));

	while (pop3_idle(s->pop3) && evbuffer_get_length(in) > 0 &&
	    conn_unsent(s->conn) < POP3_HIGH_WATER) {
		struct evbuffer_iovec v;
		size_t took;

		if (evbuffer_peek(in, -1, NULL, &v, 1) < 1)
			break;
		took = pop3_input(s->pop3, v.iov_base, v.iov_len);
		evbuffer_drain(in, took);
		more |= pop3_run(s->pop3, conn_unsent(s->conn));
		if (took == 0)
			break;
		if (evbuffer_get_length(pop3_output(s->pop3)) >= POP3_HIGH_WATER)
			break;
	}
	if (pop3_ended(s->pop3)) {
		finish(s);
		return;
	}
	if (evbuffer_get_length(pop3_output(s->pop3)) > 0 &&
	    conn_write_buffer(s->conn, pop3_output(s->pop3)) == -1) {
		session_free(s);
		return;
	}
	if (s->eof && pop3_idle(s->pop3) && evbuffer_get_length(in) == 0) {
		finish(s);
		return;
	}
	/* Below high water there may be more at once; otherwise CONN_LOW_WATER comes. */
	if (more || (conn_unsent(s->conn) == 0 && pop3_idle(s->pop3) &&
	    evbuffer_get_length(in) > 0))
		event_add(s->step, &at_once);
}

static void
step_cb(int fd, short what, void *arg)
{
	forward(arg);
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
pop3_session_start(struct event_base *base, int fd, struct store *store,
    const struct msg_mbox_label *label, void (*ended)(void *), void *arg)
{
	enum store_error error = STORE_OK;
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		close(fd);
		return -1;
	}
	s->ended = ended;
	s->arg = arg;
	s->conn = conn_new(base, fd, INPUT_MAX, conn_event, s);
	s->pop3 = pop3_new(store, &error);
	s->step = event_new(base, -1, 0, step_cb, s);
	if (s->conn == NULL || s->pop3 == NULL || s->step == NULL) {
		log_warnx("POP3 session: %s",
		    error == STORE_OK ? "no memory" : store_error_text(error));
		pop3_free(s->pop3);
		if (s->step != NULL)
			event_free(s->step);
		conn_free(s->conn);
		free(s);
		return -1;
	}
	LIST_INSERT_HEAD(&sessions, s, entry);
	return 0;
}

void
pop3_sessions_stop(void)
{
	while (!LIST_EMPTY(&sessions)) {
		struct session *s = LIST_FIRST(&sessions);

		finish(s);
	}
}
