/* SPDX-License-Identifier: ISC */
/*
 * An IMAP session on its socket: the machine (imap.h) in the glue of session_conn.h, and
 * a timer that looks for changes from outside.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/msg.h"
#include "mailbox/imap.h"
#include "mailbox/session.h"
#include "mailbox/session_conn.h"

#define POLL_S 10 /* changes from outside, while in IDLE */

struct session {
	struct session_conn *sc;
	struct imap *imap;
	struct event *poll;
};

static struct session_conns sessions = LIST_HEAD_INITIALIZER(sessions);

static size_t
input(void *m, const uint8_t *p, size_t n)
{
	return imap_input(((struct session *)m)->imap, p, n);
}

static int
run(void *m, size_t unsent)
{
	return imap_run(((struct session *)m)->imap, unsent);
}

static int
idle(void *m)
{
	return imap_idle(((struct session *)m)->imap);
}

static struct evbuffer *
output(void *m)
{
	return imap_output(((struct session *)m)->imap);
}

static int
has_ended(void *m)
{
	return imap_ended(((struct session *)m)->imap);
}

static void
session_free(void *m)
{
	struct session *s = m;

	imap_free(s->imap);
	if (s->poll != NULL)
		event_free(s->poll);
	free(s);
}

static const struct session_machine machine = {
	.input = input,
	.run = run,
	.idle = idle,
	.output = output,
	.ended = has_ended,
	.free = session_free,
	.high_water = IMAP_HIGH_WATER,
};

static void
poll_cb(int fd, short what, void *arg)
{
	struct session *s = arg;

	imap_poll(s->imap);
	session_conn_forward(s->sc);
}

static void
wake(void *arg)
{
	session_conn_wake(((struct session *)arg)->sc);
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
	s->imap = imap_new(store, wake, s);
	s->poll = event_new(base, -1, EV_PERSIST, poll_cb, s);
	if (s->imap == NULL || s->poll == NULL || event_add(s->poll, &poll_every) == -1)
		close(fd);
	else
		s->sc = session_conn_start(base, fd, &sessions, &machine, s, ended, arg);
	if (s->sc == NULL) {
		log_warnx("no memory for an IMAP session");
		session_free(s);
		return -1;
	}
	return 0;
}

void
imap_sessions_stop(void)
{
	while (!LIST_EMPTY(&sessions)) {
		struct session_conn *sc = LIST_FIRST(&sessions);
		struct session *s = session_conn_machine(sc);

		imap_bye(s->imap, "Server is stopping");
		session_conn_finish(sc);
	}
}
