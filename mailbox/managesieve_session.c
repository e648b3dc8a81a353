/* SPDX-License-Identifier: ISC */
/*
 * A ManageSieve session on its socket: the machine (managesieve_engine.h) in the glue of
 * session_conn.h.
 */
#include <unistd.h>

#include "common/log.h"
#include "common/msg.h"
#include "mailbox/managesieve_engine.h"
#include "mailbox/session.h"
#include "mailbox/session_conn.h"

static struct session_conns sessions = LIST_HEAD_INITIALIZER(sessions);

static size_t
input(void *m, const uint8_t *p, size_t n)
{
	return managesieve_input(m, p, n);
}

static int
run(void *m, size_t unsent)
{
	return 0;
}

static int
idle(void *m)
{
	return 1;
}

static struct evbuffer *
output(void *m)
{
	return managesieve_output(m);
}

static int
has_ended(void *m)
{
	return managesieve_ended(m);
}

static void
machine_free(void *m)
{
	managesieve_free(m);
}

static const struct session_machine machine = {
	.input = input,
	.run = run,
	.idle = idle,
	.output = output,
	.ended = has_ended,
	.free = machine_free,
	.high_water = MANAGESIEVE_HIGH_WATER,
};

int
sieve_session_start(struct event_base *base, int fd, struct store *store,
    const struct msg_mbox_label *label, void (*ended)(void *), void *arg)
{
	struct managesieve *m = managesieve_new(store, label->address);

	if (m == NULL)
		close(fd);
	else if (session_conn_start(base, fd, &sessions, &machine, m, ended, arg) != NULL)
		return 0;
	log_warnx("ManageSieve session: no memory");
	managesieve_free(m);
	return -1;
}

void
sieve_sessions_stop(void)
{
	while (!LIST_EMPTY(&sessions))
		session_conn_finish(LIST_FIRST(&sessions));
}
