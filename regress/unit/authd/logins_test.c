/* SPDX-License-Identifier: ISC */
/* Exchanges of a front that was taken over leave room for those of the others, and a
 * login that is ended while its mailbox is being opened does not come to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authd/auth.h"
#include "authd/logins.h"
#include "authd/records.h"
#include "authd/verified.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

struct auth auth;
static struct event_base *base;
static struct channel *ours[2], *theirs[2];
static int status[2];
static unsigned int answers[2];
static channel_answer_cb mailbox_cb; /* NULL: none is being opened */
static void *mailbox_arg;
static int mailboxes; /* they can be opened */

/* In place of main.c. */
void
auth_changed(const char *domain)
{
}

int
auth_open_mailbox(struct channel *for_whom, enum mbox_purpose purpose, uint64_t token,
    const struct user *u, const char *client, channel_answer_cb cb, void *arg)
{
	mailbox_cb = cb;
	mailbox_arg = arg;
	return mailboxes ? 0 : -1;
}

static void
quiet(enum log_kind kind, enum log_level level, int64_t t, const char *text)
{
}

static void
on_message(struct channel *ch, struct msg *m, void *arg)
{
	if (m->type == MSG_FRONT_AUTHD_SASL)
		logins_sasl(ch, m);
	else if (m->type == MSG_FRONT_AUTHD_SASL_ABORT)
		logins_abort(ch, m->p.session_id.session);
}

static void
on_lost(struct channel *ch, const char *why, void *arg)
{
	logins_channel_lost(ch);
}

static void
on_answer(struct msg *m, void *arg)
{
	int i = arg == NULL ? 0 : 1;

	assert_non_null(m);
	status[i] = m->p.sasl_result.status;
	answers[i]++;
}

static void
turn(int times)
{
	for (int i = 0; i < times; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static int
setup(void **state)
{
	static const enum role roles[] = { ROLE_IMAPD, ROLE_SMTPD };
	int p[2];

	log_set_sink(quiet);
	log_set_stderr(0);
	if ((base = event_base_new()) == NULL)
		return -1;
	for (int i = 0; i < 2; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) == -1)
			return -1;
		ours[i] = channel_new(
		    base, p[0], ROLE_AUTHD, 0, roles[i], on_message, on_lost, NULL);
		theirs[i] = channel_new(
		    base, p[1], roles[i], 0, ROLE_AUTHD, on_message, NULL, NULL);
	}
	turn(10);
	return 0;
}

/* A LOGIN exchange whose user name never comes. */
static int
begin(int front, uint64_t session)
{
	struct msg_sasl m = { .session = session, .first = 1, .mechanism = "LOGIN" };
	unsigned int before = answers[front];

	assert_int_not_equal(channel_ask(theirs[front], MSG_FRONT_AUTHD_SASL, &m, -1,
				 10000, on_answer, front == 0 ? NULL : &status),
	    0);
	for (int i = 0; i < 100 && answers[front] == before; i++)
		turn(1);
	return status[front];
}

static void
shares(void **state)
{
	struct msg_session_id abort = { .session = 1 };
	int refused = 0;

	for (uint64_t i = 1; i <= 8200; i++)
		refused += begin(0, i) == SASL_TEMP;
	assert_true(refused > 0);
	assert_int_equal(begin(1, 1), SASL_CONTINUE);
	/* An end makes room. */
	assert_int_equal(begin(0, 9000), SASL_TEMP);
	assert_int_equal(
	    channel_send(theirs[0], MSG_FRONT_AUTHD_SASL_ABORT, 0, &abort, -1), 0);
	assert_int_equal(begin(0, 9001), SASL_CONTINUE);
}

static void
ended_meanwhile(void **state)
{
	struct msg_sasl m = { .session = 9500,
		.first = 1,
		.tls = 1,
		.mechanism = "PLAIN",
		.client = "192.0.2.1" };
	struct msg opened = { .type = MSG_MBOXD_AUTHD_OPENED, .fd = -1 };
	struct user u = { .address = "alice@example.test" };
	struct password *pw = &u.password;
	char dir[] = "/tmp/fife-logins.XXXXXX", path[64];
	unsigned int before = answers[0];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/directory", dir);
	auth.directory = directory_open(path, 50050, 50053);
	assert_non_null(auth.directory);
	assert_int_equal(directory_domain_add(auth.directory, "example.test"), DIR_OK);
	strlcpy(pw->crypt, "$y$none", sizeof(pw->crypt));
	assert_int_equal(directory_user_add(auth.directory, &u), DIR_OK);
	limit_parse(LIMIT_SESSIONS, "default", &auth.limits.v[LIMIT_SESSIONS]);
	assert_int_equal(verified_init(), 0);
	verified_set_life(60000);
	verified_add(u.address, "secret", pw, now_ms());
	mailboxes = 1;
	m.data = (const uint8_t *)"\0alice@example.test\0secret";
	m.data_len = 26;
	assert_int_not_equal(
	    channel_ask(theirs[0], MSG_FRONT_AUTHD_SASL, &m, -1, 10000, on_answer, NULL),
	    0);
	for (int i = 0; i < 100 && mailbox_cb == NULL; i++)
		turn(1);
	assert_non_null(mailbox_cb);
	assert_int_equal(logins_count_of(u.address), 1);
	assert_int_equal(logins_forget(u.address, NULL), 1);
	opened.p.status.status = MSG_OK;
	mailbox_cb(&opened, mailbox_arg);
	for (int i = 0; i < 100 && answers[0] == before; i++)
		turn(1);
	assert_int_equal(status[0], SASL_TEMP);
	assert_int_equal(logins_count(), 0);
	directory_close(auth.directory);
	unlink(path);
	strlcat(path, "-lock", sizeof(path));
	unlink(path);
	rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ended_meanwhile),
		cmocka_unit_test(shares),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
