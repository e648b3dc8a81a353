/* SPDX-License-Identifier: ISC */
/*
 * Jobs from queued to mailboxes and back. queued, authd, mboxd and the mailbox
 * processes are other ends of socket pairs in the same loop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <sys/stat.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "deliverd/local/jobs.h"
#include "deliverd/local/mailboxes.h"

#define CONTENT "From: a@b.test\r\nDelivered-To: looped@d.test\r\n\r\nhello\r\n"
#define RESULTS_MAX 700
#define CELLS_MAX 2000

static struct event_base *base;
/* Ours, and the other ends. */
static struct channel *to_authd, *to_mboxd, *to_queued;
static struct channel *authd, *mboxd, *queued;
/* Mailbox processes' ends of sessions. */
static struct channel *cells[CELLS_MAX];
static size_t n_cells, n_live;

static struct result {
	uint64_t job;
	uint32_t rcpt;
	uint8_t status;
	char enhanced[16];
	char text[512];
} results[RESULTS_MAX];
static size_t n_results;
static char expands[64][64];
static size_t n_expands, n_done;
static uint64_t last_done;
static size_t n_opens, n_delivers, hold_resolves;
static struct msg_deliver last;
static char last_prefix[8193];
static int descriptors_before;

/* What the fakes do. */
static int open_fails, session_fails, no_session, mailbox_silent, mailbox_dies,
    wrong_name;

static void
quiet(enum log_kind kind, enum log_level level, int64_t t, const char *text)
{
}

static struct channel *
by_role(enum role r)
{
	return r == ROLE_AUTHD ? to_authd : r == ROLE_MBOXD ? to_mboxd : NULL;
}

static int
count_descriptors(void)
{
	struct stat st;
	int n = 0;

	for (int i = 0; i < 4096; i++)
		n += fstat(i, &st) == 0;
	return n;
}

/* ---- our side ---- */

static void
our_message(struct channel *ch, struct msg *m, void *arg)
{
	if (m->type == MSG_MBOXD_FRONT_SESSION)
		mailboxes_session(m);
	else
		jobs_message(ch, m);
}

static void
our_lost(struct channel *ch, const char *why, void *arg)
{
	if (ch == to_queued) {
		jobs_channel_lost(ch);
		to_queued = NULL;
	} else if (ch == to_authd)
		to_authd = NULL;
	else
		to_mboxd = NULL;
}

static void
their_lost(struct channel *ch, const char *why, void *arg)
{
	if (ch == authd)
		authd = NULL;
	else if (ch == mboxd)
		mboxd = NULL;
	else
		queued = NULL;
}

/* ---- a mailbox process: the mailbox's name decides ---- */

static void
mailbox_lost(struct channel *ch, const char *why, void *arg)
{
	for (size_t i = 0; i < n_cells; i++)
		if (cells[i] == ch) {
			cells[i] = NULL;
			n_live--;
		}
	free(arg);
}

static void
mailbox_message(struct channel *ch, struct msg *m, void *arg)
{
	const char *name = arg;
	struct msg_delivered d = { .status = MSG_OK };
	char buf[256];
	int fd = msg_take_fd(m);

	assert_int_equal(m->type, MSG_LDELIVER_MAILBOX_DELIVER);
	n_delivers++;
	last = m->p.deliver;
	memcpy(last_prefix, m->p.deliver.prefix, m->p.deliver.prefix_len);
	last_prefix[m->p.deliver.prefix_len] = '\0';
	assert_int_equal(pread(fd, buf, sizeof(buf), 0), strlen(CONTENT));
	assert_memory_equal(buf, CONTENT, strlen(CONTENT));
	close(fd);
	if (mailbox_dies) {
		channel_break(ch, "dies");
		return;
	}
	if (mailbox_silent)
		return;
	if (strstr(name, "full") != NULL) {
		d.status = MSG_FULL;
		strlcpy(d.enhanced, "5.2.2", sizeof(d.enhanced));
	} else if (strstr(name, "temp") != NULL) {
		d.status = MSG_TEMP;
		strlcpy(d.enhanced, "4.3.1", sizeof(d.enhanced));
		strlcpy(d.text, "no room on the disk", sizeof(d.text));
	}
	channel_send(ch, MSG_MAILBOX_LDELIVER_DELIVERED, m->id, &d, -1);
}

/* ---- authd and mboxd ---- */

static void
give_session(const struct msg_open_request *o)
{
	struct msg_mbox_session s = { .token = o->token };
	int sv[2];

	strlcpy(s.mailbox, wrong_name ? "d.test/other" : o->mailbox, sizeof(s.mailbox));
	if (session_fails) {
		s.status = MSG_TEMP;
		strlcpy(s.text, "no process", sizeof(s.text));
		channel_send(mboxd, MSG_MBOXD_FRONT_SESSION, 0, &s, -1);
		return;
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_true(n_cells < CELLS_MAX);
	cells[n_cells++] = channel_new(base, sv[0], ROLE_MAILBOX, 0, ROLE_DELIVERD_LOCAL,
	    mailbox_message, mailbox_lost, strdup(o->mailbox));
	n_live++;
	channel_send(mboxd, MSG_MBOXD_FRONT_SESSION, 0, &s, sv[1]);
}

static void
add_target(uint64_t id, enum target_kind kind, const char *local, const char *domain,
    uint32_t *count)
{
	struct msg_target t = { .kind = (uint8_t)kind };

	snprintf(t.address, sizeof(t.address), "%s@%s", local, domain);
	if (kind == TARGET_MAILBOX)
		snprintf(t.mailbox, sizeof(t.mailbox), "%s/%s", domain, local);
	channel_send(authd, MSG_AUTHD_LDELIVER_TARGET, id, &t, -1);
	++*count;
}

/* The local part: names joined by "-"; "to." before one is a forward. */
static void
authd_resolve(struct msg *m)
{
	struct msg_resolved r = { .status = MSG_OK };
	char local[321], *p, *word;

	strlcpy(local, m->p.address.address, sizeof(local));
	if ((p = strrchr(local, '@')) != NULL)
		*p = '\0';
	p = local;
	if (strcmp(local, "unknown") == 0)
		r.status = MSG_UNKNOWN;
	else if (strcmp(local, "disabled") == 0)
		r.status = MSG_DENIED;
	else if (strcmp(local, "ring") == 0)
		r.status = MSG_PERM;
	else if (strcmp(local, "many") == 0)
		for (int i = 0; i < 100; i++) {
			char one[32];

			snprintf(one, sizeof(one), "m%d", i);
			add_target(m->id, TARGET_MAILBOX, one, "d.test", &r.count);
		}
	else
		while ((word = strsep(&p, "-")) != NULL) {
			if (strncmp(word, "to.", 3) == 0)
				add_target(m->id, TARGET_FORWARD, word + 3, "far.test",
				    &r.count);
			else
				add_target(
				    m->id, TARGET_MAILBOX, word, "d.test", &r.count);
		}
	if (strncmp(local, "short", 5) == 0)
		r.count++;
	channel_send(authd, MSG_AUTHD_LDELIVER_RESOLVED, m->id, &r, -1);
}

static void
authd_message(struct channel *ch, struct msg *m, void *arg)
{
	struct msg_status s = { .status = MSG_OK };

	if (m->type == MSG_LDELIVER_AUTHD_RESOLVE) {
		if (hold_resolves == 0)
			authd_resolve(m);
		return;
	}
	assert_int_equal(m->type, MSG_LDELIVER_AUTHD_OPEN);
	n_opens++;
	if (open_fails) {
		s.status = MSG_TEMP;
		strlcpy(s.text, "it is being renamed", sizeof(s.text));
	} else if (!no_session)
		give_session(&m->p.open_request);
	channel_send(ch, MSG_AUTHD_LDELIVER_OPENING, m->id, &s, -1);
}

static void
mboxd_message(struct channel *ch, struct msg *m, void *arg)
{
	fail();
}

static void
queued_message(struct channel *ch, struct msg *m, void *arg)
{
	const struct msg_job_result *p = &m->p.job_result;

	switch (m->type) {
	case MSG_DELIVERD_QUEUED_RESULT:
		assert_true(n_results < RESULTS_MAX);
		assert_string_equal(p->mta, "local");
		results[n_results].job = p->job;
		results[n_results].rcpt = p->rcpt;
		results[n_results].status = p->status;
		strlcpy(results[n_results].enhanced, p->enhanced, 16);
		strlcpy(results[n_results++].text, p->text, 512);
		break;
	case MSG_LDELIVER_QUEUED_EXPAND:
		assert_true(n_expands < 64);
		strlcpy(expands[n_expands++], m->p.job_expand.address, 64);
		break;
	case MSG_DELIVERD_QUEUED_WAITS:
		break; /* it takes a moment */
	case MSG_DELIVERD_QUEUED_DONE:
		n_done++;
		last_done = m->p.job_id.job;
		break;
	default:
		fail();
	}
}

/* ---- the frame ---- */

static void
pair(enum role them, struct channel **ours, struct channel **theirs,
    void (*message)(struct channel *, struct msg *, void *))
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	*ours = channel_new(
	    base, sv[0], ROLE_DELIVERD_LOCAL, 0, them, our_message, our_lost, NULL);
	*theirs = channel_new(
	    base, sv[1], them, 0, ROLE_DELIVERD_LOCAL, message, their_lost, NULL);
}

static void
turn(int n)
{
	while (n-- > 0)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

/* Until so many jobs are done, at most a few seconds. */
static void
until_done(size_t n)
{
	uint64_t end = now_ms() + 5000;

	while (n_done < n && now_ms() < end)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(n_done, n);
}

static int
setup(void **state)
{
	log_set_sink(quiet);
	descriptors_before = count_descriptors();
	base = event_base_new();
	pair(ROLE_AUTHD, &to_authd, &authd, authd_message);
	pair(ROLE_MBOXD, &to_mboxd, &mboxd, mboxd_message);
	pair(ROLE_QUEUED, &to_queued, &queued, queued_message);
	jobs_init(base, by_role);
	assert_int_equal(mailboxes_init(base, 0, by_role), 0);
	mailboxes_set_times(20000, 30000);
	n_results = n_expands = n_done = n_opens = n_delivers = n_cells = n_live = 0;
	open_fails = session_fails = no_session = mailbox_silent = mailbox_dies = 0;
	wrong_name = 0;
	hold_resolves = 0;
	return 0;
}

static int
teardown(void **state)
{
	struct jobs_stats st;

	if (to_queued != NULL)
		jobs_channel_lost(to_queued);
	mailboxes_clear();
	jobs_clear();
	mailboxes_set_sessions_max(MAILBOXES_SESSIONS_MAX);
	turn(5);
	channel_free(to_authd);
	channel_free(to_mboxd);
	channel_free(to_queued);
	channel_free(authd);
	channel_free(mboxd);
	channel_free(queued);
	assert_int_equal(n_live, 0);
	event_base_free(base);
	jobs_get_stats(&st);
	assert_int_equal(st.jobs, 0);
	assert_int_equal(st.running, 0);
	assert_int_equal(count_descriptors(), descriptors_before);
	return 0;
}

static int
content(void)
{
	int fd = compat_memfd_create("content");

	assert_int_equal(pwrite(fd, CONTENT, strlen(CONTENT), 0), strlen(CONTENT));
	return fd;
}

static void
send_job(uint64_t id, const char *const *rcpts, uint32_t n)
{
	static const char prefix[] = "Received: from x by y\r\n";
	struct msg_job j = { .job = id,
		.queue_id = 1000 + id,
		.size = strlen(CONTENT),
		.crc = 77,
		.junk = 1,
		.oldest_live = 5,
		.prefix = (const uint8_t *)prefix,
		.prefix_len = sizeof(prefix) - 1 };
	struct msg_job_go go = { id, n };

	strlcpy(j.sender, "a@b.test", sizeof(j.sender));
	assert_int_equal(
	    channel_send(queued, MSG_QUEUED_DELIVERD_JOB, 0, &j, content()), 0);
	for (uint32_t i = 0; i < n; i++) {
		struct msg_job_rcpt r = { .job = id, .rcpt = 10 + i };

		strlcpy(r.address, rcpts[i], sizeof(r.address));
		channel_send(queued, MSG_QUEUED_DELIVERD_RCPT, 0, &r, -1);
	}
	channel_send(queued, MSG_QUEUED_DELIVERD_GO, 0, &go, -1);
}

static void
one_job(const char *rcpt)
{
	n_results = n_expands = 0;
	send_job(1, &rcpt, 1);
	until_done(n_done + 1);
	assert_int_equal(n_results, 1);
	assert_int_equal(results[0].rcpt, 10);
}

/* ---- tests ---- */

static void
delivers(void **state)
{
	one_job("bob+x@d.test");
	assert_int_equal(results[0].status, JOB_DELIVERED);
	assert_string_equal(results[0].enhanced, "2.0.0");
	assert_int_equal(last_done, 1);
	assert_int_equal(last.queue_id, 1001);
	assert_int_equal(last.rcpt, 10);
	assert_int_equal(last.oldest_live, 5);
	assert_int_equal(last.size, strlen(CONTENT));
	assert_int_equal(last.crc, 77);
	assert_int_equal(last.junk, 1);
	assert_string_equal(last.sender, "a@b.test");
	assert_string_equal(last.recipient, "bob+x@d.test");
	assert_string_equal(last_prefix, "Return-Path: <a@b.test>\r\nDelivered-To: "
					 "bob+x@d.test\r\nReceived: from x by y\r\n");
	/* The session is used again. */
	one_job("bob+x@d.test");
	assert_int_equal(n_opens, 1);
	assert_int_equal(n_delivers, 2);
}

static void
maps_results(void **state)
{
	static const struct {
		const char *rcpt;
		int status;
		const char *code;
		size_t expands;
	} rows[] = {
		{ "unknown@d.test", JOB_FAILED, "5.1.1", 0 },
		{ "disabled@d.test", JOB_FAILED, "5.2.1", 0 },
		{ "ring@d.test", JOB_FAILED, "5.4.6", 0 },
		{ "full@d.test", JOB_FAILED, "5.2.2", 0 },
		{ "temp@d.test", JOB_DEFERRED, "4.3.1", 0 },
		{ "looped@d.test", JOB_FAILED, "5.4.6", 0 },
		{ "short@d.test", JOB_DEFERRED, "4.3.0", 0 },
		{ "to.x@d.test", JOB_DELIVERED, "2.0.0", 1 },
		{ "bob-to.x-to.y@d.test", JOB_DELIVERED, "2.0.0", 2 },
		{ "ann-bob@d.test", JOB_DELIVERED, "2.0.0", 0 },
		{ "ann-temp-to.x@d.test", JOB_DEFERRED, "4.3.1", 0 },
		{ "ann-full@d.test", JOB_DELIVERED, "2.0.0", 0 },
		{ "ann-looped@d.test", JOB_DELIVERED, "2.0.0", 0 },
		{ "full-looped@d.test", JOB_FAILED, "5.4.6", 0 },
		{ "full-temp@d.test", JOB_DEFERRED, "4.3.1", 0 },
		{ "full-to.x@d.test", JOB_DELIVERED, "2.0.0", 1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		one_job(rows[i].rcpt);
		assert_int_equal(results[0].status, rows[i].status);
		assert_string_equal(results[0].enhanced, rows[i].code);
		assert_int_equal(n_expands, rows[i].expands);
	}
	one_job("ann-full@d.test");
	assert_non_null(strstr(results[0].text, "not to full@d.test: 5.2.2"));
	one_job("to.x@d.test");
	assert_string_equal(expands[0], "x@far.test");
}

static void
many_targets(void **state)
{
	one_job("many@d.test");
	assert_int_equal(results[0].status, JOB_DELIVERED);
	assert_int_equal(n_delivers, 100);
	assert_non_null(strstr(results[0].text, "100 mailboxes"));
}

/* More mailboxes than sessions: none starves, the bound holds. */
static void
many_mailboxes(void **state)
{
	static char names[RESULTS_MAX][24];
	static const char *rcpts[RESULTS_MAX];
	struct mailboxes_stats st;

	mailboxes_set_sessions_max(100);
	for (uint32_t i = 0; i < RESULTS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "u%u@d.test", i);
		rcpts[i] = names[i];
	}
	for (uint64_t j = 0; j < RESULTS_MAX / 7; j++)
		send_job(j + 1, rcpts + j * 7, 7);
	until_done(RESULTS_MAX / 7);
	assert_int_equal(n_results, RESULTS_MAX);
	for (size_t i = 0; i < n_results; i++)
		assert_int_equal(results[i].status, JOB_DELIVERED);
	mailboxes_get_stats(&st);
	/* Fewer, where an opening took long. */
	assert_in_range(st.sessions, 1, 100);
	assert_int_equal(st.opened, RESULTS_MAX);
	assert_int_equal(st.waiting + st.in_flight, 0);
}

static void
opening_fails(void **state)
{
	open_fails = 1;
	one_job("bob@d.test");
	assert_int_equal(results[0].status, JOB_DEFERRED);
	assert_string_equal(results[0].text, "it is being renamed");
	open_fails = 0;
	session_fails = 1;
	one_job("bob@d.test");
	assert_int_equal(results[0].status, JOB_DEFERRED);
	assert_string_equal(results[0].text, "no process");
	session_fails = 0;
	/* A socket for another mailbox is not taken. */
	wrong_name = 1;
	mailboxes_set_times(10, 100);
	one_job("bob@d.test");
	assert_string_equal(results[0].enhanced, "4.3.0");
	assert_int_equal(n_delivers, 0);
	wrong_name = 0;
	no_session = 1;
	one_job("bob@d.test");
	assert_string_equal(results[0].enhanced, "4.3.0");
	no_session = 0;
	one_job("bob@d.test");
	assert_int_equal(results[0].status, JOB_DELIVERED);
}

static void
idle_ends(void **state)
{
	uint64_t end = now_ms() + 3000;

	mailboxes_set_times(50, 30000);
	one_job("bob@d.test");
	assert_int_equal(n_live, 1);
	while (n_live > 0 && now_ms() < end)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(n_live, 0);
	one_job("bob@d.test");
	assert_int_equal(n_opens, 2);
}

static void
session_lost(void **state)
{
	const char *const rcpts[] = { "bob@d.test", "bob@d.test", "ann@d.test" };

	mailbox_dies = 1;
	send_job(1, rcpts, 2);
	until_done(1);
	assert_int_equal(n_results, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(results[i].status, JOB_DEFERRED);
		assert_string_equal(results[i].enhanced, "4.3.0");
	}
	mailbox_dies = 0;
	one_job("bob@d.test");
	assert_int_equal(results[0].status, JOB_DELIVERED);
}

/* More for one mailbox than it may have before it; then it goes. What was not sent
 * goes to the next session. */
static void
session_lost_waiting(void **state)
{
	const char *const rcpts[] = { "bob@d.test", "bob@d.test", "bob@d.test",
		"bob@d.test", "bob@d.test", "bob@d.test", "bob@d.test", "bob@d.test" };
	size_t deferred = 0;

	mailbox_silent = 1;
	for (uint64_t j = 1; j <= 3; j++)
		send_job(j, rcpts, 8);
	turn(50);
	assert_int_equal(n_delivers, MAILBOXES_IN_FLIGHT_MAX);
	mailbox_silent = 0;
	channel_break(cells[0], "gone");
	until_done(3);
	for (size_t i = 0; i < n_results; i++)
		deferred += results[i].status == JOB_DEFERRED;
	assert_int_equal(n_results, 24);
	assert_int_equal(deferred, MAILBOXES_IN_FLIGHT_MAX);
	assert_int_equal(n_opens, 2);
}

static void
neighbours_away(void **state)
{
	struct channel *keep = to_mboxd;

	to_mboxd = NULL;
	one_job("bob@d.test");
	assert_int_equal(results[0].status, JOB_DEFERRED);
	assert_string_equal(results[0].enhanced, "4.3.5");
	to_mboxd = keep;
	/* authd goes while it is asked. */
	hold_resolves = 1;
	n_results = 0;
	const char *rcpt = "bob@d.test";
	send_job(2, &rcpt, 1);
	turn(20);
	assert_int_equal(n_results, 0);
	channel_break(authd, "gone");
	until_done(2);
	assert_string_equal(results[0].enhanced, "4.3.5");
	turn(5);
	assert_null(to_authd);
	one_job("bob@d.test");
	assert_string_equal(results[0].enhanced, "4.3.5");
}

static void
cancels(void **state)
{
	const char *const rcpts[] = { "bob@d.test", "ann@d.test" };
	struct msg_job_id id = { 1 };
	struct jobs_stats st;

	/* While authd thinks, and then while mailboxes work. */
	hold_resolves = 1;
	send_job(1, rcpts, 2);
	turn(20);
	channel_send(queued, MSG_QUEUED_DELIVERD_CANCEL, 0, &id, -1);
	until_done(1);
	hold_resolves = 0;
	mailbox_silent = 1;
	send_job(1, rcpts, 2);
	turn(50);
	assert_int_equal(n_delivers, 2);
	channel_send(queued, MSG_QUEUED_DELIVERD_CANCEL, 0, &id, -1);
	channel_send(queued, MSG_QUEUED_DELIVERD_CANCEL, 0, &id, -1);
	until_done(2);
	turn(5);
	assert_int_equal(n_done, 2);
	assert_int_equal(n_results, 0);
	jobs_get_stats(&st);
	assert_int_equal(st.jobs, 0);
	/* A late answer hurts nobody. */
	channel_break(cells[0], "gone");
	turn(10);
	mailbox_silent = 0;
	one_job("bob@d.test");
	assert_int_equal(results[0].status, JOB_DELIVERED);
}

static void
queued_lost(void **state)
{
	const char *const rcpts[] = { "bob@d.test", "ann@d.test" };
	struct jobs_stats st;

	mailbox_silent = 1;
	send_job(1, rcpts, 2);
	send_job(2, rcpts, 2);
	turn(50);
	channel_break(queued, "gone");
	turn(10);
	assert_null(to_queued);
	jobs_get_stats(&st);
	assert_int_equal(st.jobs, 0);
	assert_int_equal(st.running, 0);
}

static void
go_unknown(void **state)
{
	struct msg_job_go go = { 99, 3 };

	channel_send(queued, MSG_QUEUED_DELIVERD_GO, 0, &go, -1);
	until_done(1);
	assert_int_equal(last_done, 99);
	send_job(5, NULL, 0);
	until_done(2);
}

static void
bad_job(void **state)
{
	const char *rcpt = "bob@d.test";
	struct msg_job_go go = { 1, 2 };

	mailbox_silent = 1;
	send_job(1, &rcpt, 1);
	channel_send(queued, MSG_QUEUED_DELIVERD_GO, 0, &go, -1);
	turn(20);
	assert_null(to_queued);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(delivers),
		T(maps_results),
		T(many_targets),
		T(many_mailboxes),
		T(opening_fails),
		T(idle_ends),
		T(session_lost),
		T(session_lost_waiting),
		T(neighbours_away),
		T(cancels),
		T(queued_lost),
		T(go_unknown),
		T(bad_job),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
