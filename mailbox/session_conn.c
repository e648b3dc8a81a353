/* SPDX-License-Identifier: ISC */
/*
 * A session on its socket, whatever its protocol: octets between the connection to
 * the front and the machine.
 */
#include "mailbox/session_conn.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/conn.h"
#include "common/daemon.h"

#define INPUT_MAX 65536
#define CLOSE_MS 5000

struct session_conn {
	LIST_ENTRY(session_conn) entry;
	struct conn *conn;
	const struct session_machine *machine;
	void *m;
	struct event *step; /* there is work without input */
	void (*ended)(void *);
	void *arg;
	enum {
		RETURN_NOT,
		RETURN_OUTPUT, /* the last answer is on its way */
		RETURN_INPUT   /* what comes goes back */
	} returning;
	bool eof;
};

static const struct timeval at_once; /* a timer, so that sockets have their turn before */

static void
session_free(struct session_conn *s)
{
	LIST_REMOVE(s, entry);
	s->machine->free(s->m);
	event_free(s->step);
	if (s->conn != NULL)
		conn_free(s->conn);
	s->ended(s->arg);
	free(s);
}

/* But for a broken connection the only place where a session ends. Not to be touched
 * afterwards. */
void
session_conn_finish(struct session_conn *s)
{
	conn_write_buffer(s->conn, s->machine->output(s->m));
	/* What the front has not read stays in its socket: no need to wait for its end.
	 */
	conn_part(s->conn, CLOSE_MS);
	s->conn = NULL;
	session_free(s);
}

/* The last answer, the mark, and then what comes is sent back until the front's end. */
static void
hand_back(struct session_conn *s)
{
	if (conn_write_buffer(s->conn, s->machine->output(s->m)) == -1) {
		session_free(s);
		return;
	}
	if (s->returning == RETURN_NOT) {
		s->returning = RETURN_OUTPUT;
		event_del(s->step);
	}
	if (s->returning == RETURN_OUTPUT) {
		if (conn_unsent(s->conn) > 0)
			return; /* CONN_LOW_WATER comes */
		if (conn_send_mark(s->conn) == -1) {
			session_conn_finish(s);
			return;
		}
		s->returning = RETURN_INPUT;
	}
	(void)conn_write_buffer(s->conn, conn_input(s->conn));
	if (s->eof)
		session_conn_finish(s);
}

void
session_conn_forward(struct session_conn *s)
{
	const struct session_machine *machine = s->machine;
	struct evbuffer *in = conn_input(s->conn);
	uint64_t began = now_ms();
	int more = machine->run(s->m, conn_unsent(s->conn));

	while (machine->idle(s->m) && evbuffer_get_length(in) > 0 &&
	       conn_unsent(s->conn) < machine->high_water) {
		struct evbuffer_iovec v;
		size_t took;

		if (evbuffer_peek(in, -1, NULL, &v, 1) < 1)
			break;
		took = machine->input(s->m, v.iov_base, v.iov_len);
		evbuffer_drain(in, took);
		more |= machine->run(s->m, conn_unsent(s->conn));
		if (took == 0)
			break;
		if (evbuffer_get_length(machine->output(s->m)) >= machine->high_water)
			break;
		if (now_ms() - began >= SESSION_TURN_MS) {
			more = 1;
			break;
		}
	}
	if (machine->ended(s->m)) {
		if (machine->hands_back != NULL && machine->hands_back(s->m))
			hand_back(s);
		else
			session_conn_finish(s);
		return;
	}
	if (evbuffer_get_length(machine->output(s->m)) > 0 &&
	    conn_write_buffer(s->conn, machine->output(s->m)) == -1) {
		session_free(s);
		return;
	}
	if (s->eof && machine->idle(s->m) && evbuffer_get_length(in) == 0) {
		session_conn_finish(s);
		return;
	}
	/* Below high water there may be more at once; otherwise CONN_LOW_WATER comes. */
	if (more || (conn_unsent(s->conn) == 0 && machine->idle(s->m) &&
			evbuffer_get_length(in) > 0))
		session_conn_wake(s);
}

static void
step_cb(int fd, short what, void *arg)
{
	session_conn_forward(arg);
}

void
session_conn_wake(struct session_conn *s)
{
	event_add(s->step, &at_once);
}

int
session_conn_quiet(const struct session_conn *s)
{
	return !s->eof && evbuffer_get_length(conn_input(s->conn)) == 0 &&
	       conn_unsent(s->conn) == 0 &&
	       evbuffer_get_length(s->machine->output(s->m)) == 0 &&
	       !event_pending(s->step, EV_TIMEOUT, NULL);
}

int
session_conn_detach(struct session_conn *s)
{
	int fd = session_conn_quiet(s) ? conn_detach(s->conn) : -1;

	if (fd == -1)
		return -1;
	s->conn = NULL;
	session_free(s);
	return fd;
}

void *
session_conn_machine(struct session_conn *s)
{
	return s->m;
}

static void
conn_event(struct conn *c, enum conn_event ev, void *arg)
{
	struct session_conn *s = arg;

	switch (ev) {
	case CONN_INPUT:
	case CONN_LOW_WATER:
		session_conn_forward(s);
		break;
	case CONN_EOF:
		s->eof = true;
		session_conn_forward(s);
		break;
	case CONN_ERROR:
		session_free(s);
		break;
	default:
		break;
	}
}

struct session_conn *
session_conn_start(struct event_base *base, int fd, struct session_conns *list,
    const struct session_machine *machine, void *m, void (*ended)(void *), void *arg)
{
	struct session_conn *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		close(fd);
		return NULL;
	}
	s->machine = machine;
	s->m = m;
	s->ended = ended;
	s->arg = arg;
	s->conn = conn_new(base, fd, INPUT_MAX, conn_event, s);
	s->step = event_new(base, -1, 0, step_cb, s);
	if (s->conn == NULL || s->step == NULL) {
		if (s->step != NULL)
			event_free(s->step);
		conn_free(s->conn);
		free(s);
		return NULL;
	}
	LIST_INSERT_HEAD(list, s, entry);
	return s;
}
