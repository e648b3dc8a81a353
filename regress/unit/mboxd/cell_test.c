/* SPDX-License-Identifier: ISC */
/* What mboxd does with what a mailbox process says that was taken over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>

#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "mboxd/cell.h"
#include "mboxd/launcher.h"

#define ROUNDS 1000
#define QUESTIONS 100 /* a round */

static struct event_base *base, *elsewhere;
static struct channel *to_logd, *logd, *process;
static unsigned int n_logs;
static int fd_of_process = -1;

/* In place of daemon.c and launcher.c. */
struct channel *
daemon_peer(enum role role)
{
	return role == ROLE_LOGD ? to_logd : NULL;
}

struct channel *
daemon_peer_instance(enum role role, uint32_t instance)
{
	return NULL;
}

struct event_base *
daemon_base(void)
{
	return base;
}

const struct msg_conf *
daemon_conf(void)
{
	static const struct msg_conf conf;

	return &conf;
}

int
launcher_fork(const struct launch *l, int fd)
{
	fd_of_process = fd;
	return 0;
}

static void
on_logd(struct channel *ch, struct msg *m, void *arg)
{
	if (m->type == MSG_MBOXD_LOGD_CHANNEL)
		n_logs++;
}

static void
no_message(struct channel *ch, struct msg *m, void *arg)
{
}

static int
setup(void **state)
{
	int p[2];

	if ((base = event_base_new()) == NULL || (elsewhere = event_base_new()) == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) == -1)
		return -1;
	to_logd =
	    channel_new(base, p[0], ROLE_MBOXD, 0, ROLE_LOGD, no_message, NULL, NULL);
	logd = channel_new(base, p[1], ROLE_LOGD, 0, ROLE_MBOXD, on_logd, NULL, NULL);
	return 0;
}

static int
teardown(void **state)
{
	channel_free(process);
	channel_free(to_logd);
	channel_free(logd);
	event_base_free(elsewhere);
	event_base_free(base);
	return 0;
}

static void
turn(void)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

/* It asks and asks, and reads nothing. */
static void
test_deaf(void **state)
{
	static const enum msg_type questions[] = { MSG_MAILBOX_MBOXD_QUOTA,
		MSG_MAILBOX_MBOXD_URL, MSG_MAILBOX_MBOXD_SHARES, MSG_MAILBOX_MBOXD_GRANTS,
		MSG_MAILBOX_MBOXD_LOG };
	static const struct cells_conf conf;
	union {
		struct msg_quota_ask quota;
		struct msg_url_ask url;
		struct msg_share_grants grants;
		struct msg_none none;
	} q;
	struct msg_mbox_open o = { .mailbox = "x.test/bob" };
	struct cell *c;
	uint64_t id = 0;

	cells_begin(base, &conf);
	memset(&q, 0, sizeof(q));
	assert_non_null(c = cell_new(&o));
	process = channel_new(elsewhere, fd_of_process, ROLE_MAILBOX, 0, ROLE_MBOXD,
	    no_message, NULL, NULL);
	for (int i = 0; i < ROUNDS; i++) {
		for (int k = 0; k < QUESTIONS; k++)
			assert_int_equal(
			    channel_send(process, questions[k % 5], ++id, &q, -1), 0);
		channel_flush(process, 0);
		turn();
	}
	assert_int_equal(n_logs, 1);
	assert_in_range(channel_queued(c->ch), 1, DEAF_MAX + 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_deaf, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
