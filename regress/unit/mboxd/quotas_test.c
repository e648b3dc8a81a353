/* SPDX-License-Identifier: ISC */
/* Questions about limits on their way: what a mailbox process that was taken over may say
 * of itself, and how often. */
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
#include "mboxd/quotas.h"

static struct event_base *base;
static struct channel *cell, *of_cell, *to_authd, *authd;
static struct msg_quota_ask seen; /* by authd */
static unsigned int n_seen;
static uint64_t seen_id;
static int silent;
static uint64_t clock_ms = 5000;
static struct quotas_pace pace;
static unsigned int n_answers, statuses[10];

/* In place of daemon.c. */
struct channel *
daemon_peer(enum role role)
{
	return role == ROLE_AUTHD ? to_authd : NULL;
}

uint64_t __wrap_now_ms(void);
uint64_t
__wrap_now_ms(void)
{
	return clock_ms;
}

static void
on_cell(struct channel *ch, struct msg *m, void *arg)
{
	assert_int_equal(m->type, MSG_MAILBOX_MBOXD_QUOTA);
	quotas_ask(ch, "x.test/bob", &pace, m);
}

static void
on_authd(struct channel *ch, struct msg *m, void *arg)
{
	struct msg_quota_is r = { .status = MSG_OK, .octets_max = 7 };

	assert_int_equal(m->type, MSG_MBOXD_AUTHD_QUOTA);
	seen = m->p.quota_ask;
	seen_id = m->id;
	n_seen++;
	if (!silent)
		channel_send(ch, MSG_AUTHD_MBOXD_QUOTA_IS, m->id, &r, -1);
}

static void
no_message(struct channel *ch, struct msg *m, void *arg)
{
}

static void
lost_cell(struct channel *ch, const char *why, void *arg)
{
	of_cell = NULL;
}

static void
lost_authd(struct channel *ch, const char *why, void *arg)
{
	to_authd = NULL;
}

static void
on_answer(struct msg *m, void *arg)
{
	assert_non_null(m);
	assert_int_equal(m->type, MSG_MBOXD_MAILBOX_QUOTA_IS);
	n_answers++;
	statuses[m->p.quota_is.status]++;
	if (m->p.quota_is.status == MSG_OK)
		assert_int_equal(m->p.quota_is.octets_max, 7);
}

static void
turn(void)
{
	for (int i = 0; i < 50; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static int
setup(void **state)
{
	int p[2], q[2];

	if ((base = event_base_new()) == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, q) == -1)
		return -1;
	of_cell = channel_new(
	    base, p[0], ROLE_MBOXD, 0, ROLE_MAILBOX, on_cell, lost_cell, NULL);
	cell =
	    channel_new(base, p[1], ROLE_MAILBOX, 0, ROLE_MBOXD, no_message, NULL, NULL);
	to_authd = channel_new(
	    base, q[0], ROLE_MBOXD, 0, ROLE_AUTHD, no_message, lost_authd, NULL);
	authd = channel_new(base, q[1], ROLE_AUTHD, 0, ROLE_MBOXD, on_authd, NULL, NULL);
	n_seen = n_answers = 0;
	silent = 0;
	memset(statuses, 0, sizeof(statuses));
	clock_ms += 5000;
	turn();
	return 0;
}

static int
teardown(void **state)
{
	channel_free(cell);
	channel_free(of_cell);
	channel_free(authd);
	turn();
	channel_free(to_authd);
	event_base_free(base);
	return 0;
}

static void
ask(unsigned int times)
{
	struct msg_quota_ask q = { .login = 99,
		.mailbox = "x.test/root",
		.address = "carol@x.test",
		.set = 1,
		.octets = 5,
		.messages = 6 };

	while (times-- > 0)
		assert_int_not_equal(channel_ask(cell, MSG_MAILBOX_MBOXD_QUOTA, &q, -1,
					 60000, on_answer, NULL),
		    0);
	turn();
}

/* It is whose channel it is, whatever it says. */
static void
test_whose(void **state)
{
	ask(1);
	assert_int_equal(n_seen, 1);
	assert_string_equal(seen.mailbox, "x.test/bob");
	assert_string_equal(seen.address, "carol@x.test");
	assert_true(
	    seen.login == 99 && seen.set == 1 && seen.octets == 5 && seen.messages == 6);
	assert_true(n_answers == 1 && statuses[MSG_OK] == 1);
}

static void
test_how_many(void **state)
{
	silent = 1;
	ask(10);
	assert_int_equal(n_seen, 4);
	assert_true(n_answers == 6 && statuses[MSG_TEMP] == 6);
	/* authd is gone with what it was asked. */
	channel_free(authd);
	authd = NULL;
	turn();
	assert_true(n_answers == 10 && statuses[MSG_TEMP] == 10);
	ask(1);
	assert_int_equal(statuses[MSG_TEMP], 11);
}

static void
test_how_often(void **state)
{
	for (int i = 0; i < 60; i++)
		ask(1);
	assert_int_equal(n_seen, QUOTAS_PER_S);
	assert_true(
	    statuses[MSG_OK] == QUOTAS_PER_S && statuses[MSG_FULL] == 60 - QUOTAS_PER_S);
	clock_ms += 1000;
	ask(1);
	assert_int_equal(n_seen, QUOTAS_PER_S + 1);
}

/* The answer finds nobody. */
static void
test_asker_gone(void **state)
{
	struct msg_quota_is r = { .status = MSG_OK, .octets_max = 7 };

	silent = 1;
	ask(1);
	channel_free(cell);
	cell = NULL;
	turn();
	assert_null(of_cell);
	channel_send(authd, MSG_AUTHD_MBOXD_QUOTA_IS, seen_id, &r, -1);
	turn();
	assert_int_equal(n_answers, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whose, setup, teardown),
		cmocka_unit_test_setup_teardown(test_how_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_how_often, setup, teardown),
		cmocka_unit_test_setup_teardown(test_asker_gone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
