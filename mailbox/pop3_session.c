/* SPDX-License-Identifier: ISC */
/*
 * A POP3 session on its socket: the machine (pop3.h) in the glue of session_conn.h.
 */
#include <unistd.h>

#include "common/log.h"
#include "common/msg.h"
#include "mailbox/pop3.h"
#include "mailbox/session.h"
#include "mailbox/session_conn.h"

static struct session_conns sessions = LIST_HEAD_INITIALIZER(sessions);

/* Who has the maildrop (RFC 1939, 4): one at a time; IMAP goes on beside it. */
static struct pop3 *holder;

static bool
lock(struct pop3 *p)
{
	if (holder != NULL)
		return false;
	holder = p;
	return true;
}

static size_t
input(void *m, const uint8_t *p, size_t n)
{
	return pop3_input(m, p, n);
}

static int
run(void *m, size_t unsent)
{
	return pop3_run(m, unsent);
}

static int
idle(void *m)
{
	return pop3_idle(m);
}

static struct evbuffer *
output(void *m)
{
	return pop3_output(m);
}

static int
has_ended(void *m)
{
	return pop3_ended(m);
}

static void
machine_free(void *m)
{
	if (holder == m)
		holder = NULL;
	pop3_free(m);
}

static const struct session_machine machine = {
	.input = input,
	.run = run,
	.idle = idle,
	.output = output,
	.ended = has_ended,
	.free = machine_free,
	.high_water = POP3_HIGH_WATER,
};

int
pop3_session_start(struct event_base *base, int fd, struct store *store,
    const struct msg_mbox_label *label, void (*ended)(void *), void *arg)
{
	struct pop3 *pop3 = pop3_new(store, label->pop3_folders, lock);

	if (pop3 == NULL)
		close(fd);
	else if (session_conn_start(base, fd, &sessions, &machine, pop3, ended, arg) !=
		 NULL)
		return 0;
	log_warnx("POP3 session: no memory");
	pop3_free(pop3);
	return -1;
}

void
pop3_sessions_stop(void)
{
	while (!LIST_EMPTY(&sessions))
		session_conn_finish(LIST_FIRST(&sessions));
}
