/* SPDX-License-Identifier: ISC */
/* Who may set limits over IMAP: the word of a mailbox process, which may have been taken
 * over, against authd's own records. */
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

#include "authd/auth.h"
#include "authd/quota_admin.h"
#include "authd/records.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

#define ROOT "root@x.test"
#define BOB "bob@x.test"
#define ROOTS "x.test/root"
#define BOBS "x.test/bob"

struct auth auth;
static char dir[64], lines[4000];
static struct event_base *base;
static struct channel *ours, *theirs;
static struct msg_quota_is got;
static int answered;

/* In place of main.c. */
void
auth_changed(const char *domain)
{
}

int
auth_open_mailbox(struct channel *for_whom, enum mbox_purpose purpose, uint64_t token,
    const struct user *u, const char *client, channel_answer_cb cb, void *arg)
{
	return -1;
}

static void
collect(enum log_kind kind, enum log_level level, int64_t t, const char *text)
{
	strlcat(lines, text, sizeof(lines));
	strlcat(lines, "\n", sizeof(lines));
}

static void
on_message(struct channel *ch, struct msg *m, void *arg)
{
	if (m->type == MSG_MBOXD_AUTHD_QUOTA)
		quota_admin_message(ch, m);
}

static void
add(const char *address, int administrator)
{
	struct user u = { .administrator = administrator, .closed = administrator };

	snprintf(u.address, sizeof(u.address), "%s", address);
	assert_int_equal(directory_user_add(auth.directory, &u), DIR_OK);
}

static int
setup(void **state)
{
	char path[80];
	int p[2];

	log_set_sink(collect);
	log_set_stderr(0);
	strcpy(dir, "/tmp/fife-quota-admin.XXXXXX");
	if (mkdtemp(dir) == NULL || (base = event_base_new()) == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) == -1)
		return -1;
	snprintf(path, sizeof(path), "%s/directory", dir);
	auth.directory = directory_open(path, 60000, 60100);
	if (auth.directory == NULL ||
	    directory_domain_add(auth.directory, "x.test") != DIR_OK)
		return -1;
	strlcpy(auth.default_domain, "x.test", sizeof(auth.default_domain));
	auth.quotaset = 1;
	add(ROOT, 1);
	add(BOB, 0);
	ours = channel_new(base, p[0], ROLE_AUTHD, 0, ROLE_MBOXD, on_message, NULL, NULL);
	theirs =
	    channel_new(base, p[1], ROLE_MBOXD, 0, ROLE_AUTHD, on_message, NULL, NULL);
	lines[0] = '\0';
	return 0;
}

static int
teardown(void **state)
{
	char cmd[100];

	logins_forget(ROOT, NULL);
	logins_forget(BOB, NULL);
	channel_free(ours);
	channel_free(theirs);
	event_base_free(base);
	directory_close(auth.directory);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static struct user
user(const char *address)
{
	struct user u;

	assert_int_equal(directory_user_get(auth.directory, address, &u), DIR_OK);
	return u;
}

/* As logins.c makes it. */
static struct login *
login(const char *address)
{
	struct login *l = login_new(77, address);
	struct user u = user(address);

	assert_non_null(l);
	l->service = SERVICE_IMAP;
	strlcpy(l->client, "192.0.2.7", sizeof(l->client));
	strlcpy(l->tls, "TLSv1.3", sizeof(l->tls));
	l->quotaset = quota_admin_grants(l, &u) != 0;
	return l;
}

static const char *
why(uint64_t id, const char *mailbox, uint64_t now)
{
	const char *text = "?";

	return quota_admin_may(id, mailbox, now, &text) != NULL ? "" : text;
}

static void
test_grants(void **state)
{
	struct login l = { .service = SERVICE_IMAP, .tls = "TLSv1.3" };
	struct user u = user(ROOT), bob = user(BOB);

	assert_int_equal(u.administrator, 1);
	assert_true(quota_admin_grants(&l, &u));
	assert_false(quota_admin_grants(&l, &bob));
	for (uint8_t s = SERVICE_SMTP; s <= SERVICE_SIEVE; s++) {
		l.service = s;
		assert_int_equal(quota_admin_grants(&l, &u) != 0, s == SERVICE_IMAP);
	}
	l.service = SERVICE_IMAP;
	/* Not for programs that read mail, but for a certificate. */
	strlcpy(l.by, "app phone", sizeof(l.by));
	assert_false(quota_admin_grants(&l, &u));
	strlcpy(l.by, "certificate laptop", sizeof(l.by));
	assert_true(quota_admin_grants(&l, &u));
	/* What others on the way could add to. */
	strlcpy(l.tls, "no", sizeof(l.tls));
	strlcpy(l.client, "192.0.2.7", sizeof(l.client));
	assert_false(quota_admin_grants(&l, &u));
	strlcpy(l.client, "127.0.0.1", sizeof(l.client));
	assert_true(quota_admin_grants(&l, &u));
	u.disabled = 1;
	assert_false(quota_admin_grants(&l, &u));
	u.disabled = 0;
	u.closed = 0;
	assert_false(quota_admin_grants(&l, &u));
	u.closed = 1;
	strlcpy(u.suspect, "logins from 5 networks", sizeof(u.suspect));
	assert_false(quota_admin_grants(&l, &u));
	u.suspect[0] = '\0';
	auth.quotaset = 0;
	assert_false(quota_admin_grants(&l, &u));
}

static void
test_sessions(void **state)
{
	struct login *l = login(ROOT), *other = login(ROOT), *bob = login(BOB);
	uint64_t id = l->id, now = now_ms();
	struct user u;

	assert_string_equal(why(id, ROOTS, now), "");
	/* Forged, or of nobody. */
	assert_string_equal(why(0, ROOTS, now), "no such session");
	assert_string_equal(why(id + 1, ROOTS, now), "no such session");
	assert_string_equal(why(id ^ (1ull << 63), ROOTS, now), "no such session");
	/* Another's mailbox process that has got hold of it. */
	assert_string_equal(why(id, BOBS, now), "the session is another user's");
	assert_string_equal(why(bob->id, ROOTS, now), "the session is another user's");
	assert_string_equal(why(bob->id, BOBS, now), "no session of an administrator");
	assert_string_equal(why(id, "", now), "the session is another user's");
	/* What was no administrator's at the login does not become it. */
	u = user(BOB);
	u.administrator = 1;
	assert_int_equal(directory_user_put(auth.directory, &u), DIR_OK);
	assert_string_equal(why(bob->id, BOBS, now), "no session of an administrator");
	/* Its time. */
	assert_string_equal(why(id, ROOTS, l->began_ms + QUOTA_ADMIN_LIFE_MS), "");
	assert_string_equal(why(id, ROOTS, l->began_ms + QUOTA_ADMIN_LIFE_MS + 1),
	    "the login is too old");
	/* The flag, the account, the configuration. */
	u = user(ROOT);
	u.administrator = 0;
	assert_int_equal(directory_user_put(auth.directory, &u), DIR_OK);
	assert_string_equal(why(id, ROOTS, now), "no administrator any more");
	u.administrator = 1;
	u.closed = 0;
	assert_int_equal(directory_user_put(auth.directory, &u), DIR_OK);
	assert_string_equal(why(id, ROOTS, now), "no administrator any more");
	u.closed = 1;
	u.disabled = 1;
	assert_int_equal(directory_user_put(auth.directory, &u), DIR_OK);
	assert_string_equal(why(id, ROOTS, now), "no administrator any more");
	u.disabled = 0;
	assert_int_equal(directory_user_put(auth.directory, &u), DIR_OK);
	auth.quotaset = 0;
	assert_string_equal(why(id, ROOTS, now), "quotaset is off");
	auth.quotaset = 1;
	assert_string_equal(why(id, ROOTS, now), "");
	/* Another session of the same does not keep it alive; a kick ends all. */
	id = other->id;
	login_free(other);
	assert_string_equal(why(id, ROOTS, now), "no such session");
	id = l->id;
	assert_string_equal(why(id, ROOTS, now), "");
	assert_int_equal(logins_forget(ROOT, NULL), 1);
	assert_string_equal(why(id, ROOTS, now), "no such session");
	/* A front that is gone. */
	id = login(ROOT)->id;
	assert_string_equal(why(id, ROOTS, now_ms()), "");
	logins_front_gone(77);
	assert_string_equal(why(id, ROOTS, now), "no such session");
	/* The account has another mailbox. */
	id = login(ROOT)->id;
	assert_int_equal(
	    directory_user_rename(auth.directory, ROOT, "boss@x.test"), DIR_OK);
	assert_string_equal(why(id, ROOTS, now), "the session is another user's");
}

static void
on_answer(struct msg *m, void *arg)
{
	assert_non_null(m);
	got = m->p.quota_is;
	answered = 1;
}

static int
ask(struct msg_quota_ask *q, const char *mailbox, const char *address)
{
	answered = 0;
	strlcpy(q->mailbox, mailbox, sizeof(q->mailbox));
	strlcpy(q->address, address, sizeof(q->address));
	assert_int_not_equal(
	    channel_ask(theirs, MSG_MBOXD_AUTHD_QUOTA, q, -1, 5000, on_answer, NULL), 0);
	for (int i = 0; i < 1000 && !answered; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_true(answered);
	return got.status;
}

static void
test_sets(void **state)
{
	struct login *l = login(ROOT);
	struct msg_quota_ask q = { .login = l->id };
	struct user u;

	/* Of nobody's mailbox, and of one without limits. */
	assert_int_equal(ask(&q, ROOTS, "nobody@x.test"), MSG_UNKNOWN);
	assert_int_equal(ask(&q, ROOTS, "no address@"), MSG_UNKNOWN);
	assert_int_equal(ask(&q, ROOTS, ""), MSG_UNKNOWN);
	assert_int_equal(ask(&q, ROOTS, "Bob@X.test"), MSG_OK);
	assert_true(got.octets_max == 0 && got.messages_max == 0);
	q.set = 1;
	q.octets = 10240;
	q.messages = 50;
	assert_int_equal(ask(&q, ROOTS, "bob"), MSG_OK);
	assert_true(got.octets_max == 10240 && got.messages_max == 50);
	u = user(BOB);
	assert_true(
	    u.limits.v[LIMIT_QUOTA] == 10240 && u.limits.v[LIMIT_QUOTA_MESSAGES] == 50);
	assert_non_null(strstr(
	    lines, "quota-set user=bob@x.test by=root@x.test client=192.0.2.7 login="));
	assert_non_null(strstr(
	    lines, "quota=10240 was=default quota-messages=50 messages-was=default"));
	/* The same again is no change, and no line. */
	lines[0] = '\0';
	assert_int_equal(ask(&q, ROOTS, BOB), MSG_OK);
	assert_string_equal(lines, "");
	/* Nothing else of the account moves; what is left out goes to the default. */
	auth.limits.v[LIMIT_QUOTA_MESSAGES] = 1000;
	u.limits.v[LIMIT_SESSIONS] = 4;
	strlcpy(u.forward, "x@y.test", sizeof(u.forward));
	assert_int_equal(directory_user_put(auth.directory, &u), DIR_OK);
	q.messages = 0;
	assert_int_equal(ask(&q, ROOTS, BOB), MSG_OK);
	assert_true(got.octets_max == 10240 && got.messages_max == 1000);
	u = user(BOB);
	assert_int_equal(u.limits.v[LIMIT_SESSIONS], 4);
	assert_string_equal(u.forward, "x@y.test");
	/* What the directory could not hold. */
	q.octets = (uint64_t)INT64_MAX + 1;
	assert_int_equal(ask(&q, ROOTS, BOB), MSG_PERM);
	q.octets = UINT64_MAX;
	assert_int_equal(ask(&q, ROOTS, BOB), MSG_PERM);
	q.octets = 1024;
	q.messages = UINT64_MAX;
	assert_int_equal(ask(&q, ROOTS, BOB), MSG_PERM);
	q.messages = (uint64_t)UINT32_MAX + 1;
	assert_int_equal(ask(&q, ROOTS, BOB), MSG_PERM);
	assert_int_equal(user(BOB).limits.v[LIMIT_QUOTA], 10240);
	/* Not his. */
	lines[0] = '\0';
	q.messages = 0;
	assert_int_equal(ask(&q, BOBS, BOB), MSG_DENIED);
	assert_non_null(
	    strstr(lines, "quota-refused mailbox=x.test/bob user=bob@x.test set=1"));
	assert_int_equal(user(BOB).limits.v[LIMIT_QUOTA], 10240);
	assert_int_equal(got.octets_max, 0);
	q.set = 0;
	assert_int_equal(ask(&q, BOBS, ROOT), MSG_DENIED);
}

/* A process that was taken over has a hurry. */
static void
test_rate(void **state)
{
	uint64_t sessions[2] = { login(ROOT)->id, login(ROOT)->id }, began = now_ms();
	struct msg_quota_ask q = { .set = 1 };
	uint64_t ok = 0, full = 0;

	for (uint64_t i = 1; i <= 1000 && full < 3; i++) {
		q.login = sessions[i % 2];
		q.octets = i * 1024;
		if (ask(&q, ROOTS, BOB) == MSG_OK)
			ok++;
		else {
			assert_int_equal(got.status, MSG_FULL);
			full++;
		}
	}
	/* What an account has, less what the other tests took of it, and what time gives;
	 * another session does not have more. */
	assert_int_equal(full, 3);
	assert_true(ok >= 30 && ok <= 61 + (now_ms() - began) * 2 / 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_grants, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sessions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
