/* SPDX-License-Identifier: ISC */
#ifndef FIFE_REGRESS_NEIGHBOURS_H
#define FIFE_REGRESS_NEIGHBOURS_H

/*
 * The daemon with neighbours played by the test that includes this: real channels, real
 * spool.
 */

#include <sys/socket.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "queued/deliver.h"
#include "queued/internal.h"
#include "queued/qid.h"
#include "queued/queued.h"
#include "queued/txn.h"

/* common/daemon.h, as far as queued uses it. */

enum {
	SMTPD,
	AUTHD,
	LOCAL,
	REMOTE,
	MBOXD,
	FILTERD,
	NPEERS
};
static const enum role roles[NPEERS] = { ROLE_SMTPD, ROLE_AUTHD, ROLE_DELIVERD_LOCAL,
	ROLE_DELIVERD_REMOTE, ROLE_MBOXD, ROLE_FILTERD };

static struct event_base *base;
static struct msg_conf conf = { .hostname = "mail.example.test" };
static struct channel *ours[NPEERS], *theirs[NPEERS];
static int stopped;

/* What the next transactions ask for besides. */
static struct msg_txn_begin asks;
static int64_t rrvs;
static uint8_t tls_optional;

int64_t
wall_s(void)
{
	return 1700000000 + (int64_t)(now_ms() / 1000);
}

int64_t
wall_us(void)
{
	return 1700000000LL * 1000000 + (int64_t)now_ms() * 1000;
}

const struct msg_conf *
daemon_conf(void)
{
	return &conf;
}

struct event_base *
daemon_base(void)
{
	return base;
}

struct channel *
daemon_peer(enum role role)
{
	for (int i = 0; i < NPEERS; i++) {
		if (roles[i] == role)
			return ours[i];
	}
	return NULL;
}

struct channel *
daemon_peer_instance(enum role role, uint32_t instance)
{
	(void)instance;
	return daemon_peer(role);
}

struct channel *
daemon_peer_at(enum role role, unsigned int i)
{
	return i == 0 ? daemon_peer(role) : NULL;
}

void
daemon_stopped(void)
{
	stopped = 1;
}

/* What the neighbours saw and how they answer. */

static struct {
	int opened, committed, commit_status, spilled, open_status, finals;
	int fd;
	char qid[24];
	uint8_t route;
	char url[100];
	int routes;
	/* the last job */
	struct msg_job job;
	struct msg_job_rcpt rcpts[8];
	uint32_t nrcpt;
	int njobs, go, job_role;
	char content[4096];
	ssize_t content_len;
	int result; /* what to answer at once; 0: nothing */
	const char *reply;
	const char *expand, *expand2;
	const char *detail;
	uint8_t last_notify;    /* of a job that is no report */
	char report_action[16]; /* of the last one that is */
	char text[256];         /* of COMMITTED */
	int syncs, sync_answers;
	/* authd and logins: 42 is alice's. */
	int sender_asks, sender_mute;
	/* filterd */
	int checks;
	uint8_t verdict;
	int long_headers; /* filterd adds as many as there may be */
	uint8_t sender_hold;
	uint32_t granted;
	uint64_t sync_id;
} seen;

static __attribute__((unused)) void
job_answer(struct channel *ch, uint64_t job, int status)
{
	struct msg_job_id done = { job };

	for (uint32_t i = 0; i < seen.nrcpt; i++) {
		struct msg_job_result r = {
			.job = job, .rcpt = seen.rcpts[i].rcpt, .status = (uint8_t)status
		};

		if (seen.expand != NULL && channel_role(ch) == ROLE_QUEUED &&
		    seen.job_role == LOCAL) {
			struct msg_job_expand e = { .job = job, .rcpt = r.rcpt };

			strlcpy(e.address, seen.expand, sizeof(e.address));
			channel_send(ch, MSG_LDELIVER_QUEUED_EXPAND, 0, &e, -1);
			if (seen.expand2 != NULL) {
				strlcpy(e.address, seen.expand2, sizeof(e.address));
				channel_send(ch, MSG_LDELIVER_QUEUED_EXPAND, 0, &e, -1);
			}
		}
		if (seen.detail != NULL)
			strlcpy(r.detail, seen.detail, sizeof(r.detail));
		if (seen.reply != NULL) {
			strlcpy(r.enhanced, status == JOB_FAILED ? "5.1.1" : "4.2.0",
			    sizeof(r.enhanced));
			strlcpy(r.mta, "mx.remote.test", sizeof(r.mta));
			strlcpy(r.reply, seen.reply, sizeof(r.reply));
		}
		channel_send(ch, MSG_DELIVERD_QUEUED_RESULT, 0, &r, -1);
	}
	channel_send(ch, MSG_DELIVERD_QUEUED_DONE, 0, &done, -1);
}

static __attribute__((unused)) void
their_message(struct channel *ch, struct msg *m, void *arg)
{
	int who = (int)(intptr_t)arg;
	struct msg_route route = { .rclass = seen.route };
	struct msg_status ok = { .status = MSG_OK };
	struct msg_filter_verdict verdict = { 0 };
	struct msg_sender_is sender = { .status = MSG_OK };
	int fd;

	switch (m->type) {
	case MSG_QUEUED_AUTHD_ROUTE:
		seen.routes++;
		/* example.test is ours, always. */
		if (strcmp(m->p.domain.domain, "example.test") == 0)
			route.rclass = RCLASS_LOCAL;
		else
			strlcpy(route.url, seen.url, sizeof(route.url));
		channel_send(ch, MSG_AUTHD_QUEUED_ROUTE_IS, m->id, &route, -1);
		break;
	case MSG_SMTPD_FILTERD_CHECK:
		seen.checks++;
		close(msg_take_fd(m));
		verdict.action = seen.verdict;
		strlcpy(verdict.text, "no such thing here", sizeof(verdict.text));
		verdict.headers = (const uint8_t *)"X-Judged: yes\r\n";
		verdict.headers_len = 15;
		if (seen.long_headers) {
			static uint8_t more[8192];

			memset(more, 'x', sizeof(more));
			memcpy(more, "X-Judged: ", 10);
			memcpy(more + sizeof(more) - 2, "\r\n", 2);
			verdict.headers = more;
			verdict.headers_len = sizeof(more);
		}
		channel_send(ch, MSG_FILTERD_SMTPD_VERDICT, m->id, &verdict, -1);
		break;
	case MSG_QUEUED_AUTHD_SENDER:
		seen.sender_asks++;
		if (seen.sender_mute)
			break;
		if (m->p.sender_check.login != 42) {
			sender.status = MSG_TEMP;
		} else if (strcmp(m->p.sender_check.sender, "alice@example.test") != 0)
			sender.status = MSG_DENIED;
		else if (m->p.sender_check.rcpts > seen.granted)
			sender.status = MSG_TEMP;
		else {
			seen.granted -= m->p.sender_check.rcpts;
			strlcpy(
			    sender.address, "alice@example.test", sizeof(sender.address));
			sender.hold = seen.sender_hold;
		}
		channel_send(ch, MSG_AUTHD_QUEUED_SENDER_IS, m->id, &sender, -1);
		break;
	case MSG_QUEUED_DELIVERD_JOB:
		seen.job = m->p.job;
		seen.nrcpt = 0;
		seen.job_role = who;
		fd = msg_take_fd(m);
		seen.content_len = pread(fd, seen.content, sizeof(seen.content) - 1, 0);
		seen.content[seen.content_len > 0 ? seen.content_len : 0] = '\0';
		/* Nobody can change it. */
		assert_int_equal(pwrite(fd, "x", 1, 0), -1);
		close(fd);
		break;
	case MSG_QUEUED_DELIVERD_RCPT:
		if (seen.nrcpt < 8)
			seen.rcpts[seen.nrcpt++] = m->p.job_rcpt;
		break;
	case MSG_QUEUED_DELIVERD_GO:
		assert_int_equal(m->p.job_go.count, seen.nrcpt);
		seen.njobs++;
		if (seen.job.sender[0] != '\0')
			seen.last_notify = seen.rcpts[0].notify;
		else if (strstr(seen.content, "\r\nAction: ") != NULL)
			sscanf(strstr(seen.content, "\r\nAction: "), " Action: %15s",
			    seen.report_action);
		if (seen.result != 0)
			job_answer(ch, m->p.job_go.job, seen.result);
		break;
	case MSG_QUEUED_MBOXD_SYNC:
		seen.syncs++;
		seen.sync_id = m->id;
		if (seen.sync_answers)
			channel_send(ch, MSG_MBOXD_QUEUED_SYNCED, m->id, &ok, -1);
		break;
	default:
		break;
	}
}

static __attribute__((unused)) void
their_lost(struct channel *ch, const char *why, void *arg)
{
	(void)why;
	if (theirs[(intptr_t)arg] == ch)
		theirs[(intptr_t)arg] = NULL;
}

static __attribute__((unused)) void
our_message(struct channel *ch, struct msg *m, void *arg)
{
	(void)arg;
	queued_daemon.peer_message(ch, m);
}

static __attribute__((unused)) void
our_lost(struct channel *ch, const char *why, void *arg)
{
	(void)why;
	if (ours[(intptr_t)arg] == ch)
		ours[(intptr_t)arg] = NULL;
	queued_daemon.peer_lost(ch);
}

static __attribute__((unused)) void
peer_up(int i)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	theirs[i] = channel_new(base, sv[1], roles[i], 0, ROLE_QUEUED, their_message,
	    their_lost, (void *)(intptr_t)i);
	ours[i] = channel_new(base, sv[0], ROLE_QUEUED, 0, roles[i], our_message,
	    our_lost, (void *)(intptr_t)i);
	assert_non_null(theirs[i]);
	assert_non_null(ours[i]);
	queued_daemon.peer_new(ours[i]);
}

static __attribute__((unused)) void
turn(int ms)
{
	struct timespec ts = { 0, 1000000 };

	for (int i = 0; i < ms; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		nanosleep(&ts, NULL);
	}
}

#define UNTIL(cond)                                                      \
	do {                                                             \
		for (int until_ = 0; until_ < 3000 && !(cond); until_++) \
			turn(1);                                         \
		assert_true(cond);                                       \
	} while (0)

static char dir[64];

static __attribute__((unused)) int
start(void)
{
	struct msg m = { .type = MSG_FIFED_QUEUED_CONF, .fd = -1 };

	memset(&queued, 0, sizeof(queued));
	queued.root = dir;
	strlcpy(m.p.conf_queued.retry, "5m 10m", sizeof(m.p.conf_queued.retry));
	m.p.conf_queued.expire_s = 3600;
	m.p.conf_queued.message_size_max = 1000000;
	queued_daemon.conf(&m);
	assert_int_equal(queued_daemon.start(), 0);
	for (int i = 0; i < NPEERS; i++)
		peer_up(i);
	turn(3);
	return 0;
}

static __attribute__((unused)) int
setup(void **state)
{
	(void)state;
	base = event_base_new();
	strcpy(dir, "/tmp/fife-queued.XXXXXX");
	if (mkdtemp(dir) == NULL || chdir(dir) == -1 || mkdir("drop", 0700) == -1)
		return -1;
	memset(&seen, 0, sizeof(seen));
	memset(&asks, 0, sizeof(asks));
	rrvs = 0;
	tls_optional = 0;
	seen.fd = -1;
	seen.route = RCLASS_REMOTE;
	seen.verdict = VERDICT_ACCEPT;
	seen.sync_answers = 1;
	return start();
}

static __attribute__((unused)) void
stop(void)
{
	for (int i = 0; i < NPEERS; i++) {
		channel_free(theirs[i]);
		theirs[i] = NULL;
	}
	turn(5);
	queued_daemon.stop();
	/* The process would end here: forget its events with the base. */
	event_base_free(base);
}

static __attribute__((unused)) int
teardown(void **state)
{
	char cmd[128];

	(void)state;
	stop();
	if (chdir("/") == -1)
		return -1;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static __attribute__((unused)) void
on_opened(struct msg *m, void *arg)
{
	(void)arg;
	seen.opened++;
	if (m == NULL)
		return;
	seen.open_status = m->p.txn_opened.status;
	strlcpy(seen.qid, m->p.txn_opened.qid, sizeof(seen.qid));
	seen.fd = msg_take_fd(m);
}

static __attribute__((unused)) void
on_committed(struct msg *m, void *arg)
{
	(void)arg;
	seen.committed++;
	seen.commit_status = m != NULL ? m->p.txn_status.status : 99;
	strlcpy(seen.text, m != NULL ? m->p.txn_status.text : "", sizeof(seen.text));
}

static __attribute__((unused)) void
on_spilled(struct msg *m, void *arg)
{
	(void)arg;
	seen.spilled++;
	if (m != NULL)
		seen.fd = msg_take_fd(m);
}

static uint64_t next_txn = 1;

static __attribute__((unused)) void
on_final(struct msg *m, void *arg)
{
	int fd;

	(void)arg;
	seen.finals++;
	assert_non_null(m);
	assert_int_equal(m->p.txn_status.status, MSG_OK);
	/* It reads and cannot write. */
	fd = msg_take_fd(m);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(fd);
}

static __attribute__((unused)) void
final(uint64_t size)
{
	struct msg_txn_final f = { .txn = next_txn - 1, .size = size };
	int before = seen.finals;

	channel_ask(theirs[SMTPD], MSG_SMTPD_QUEUED_FINAL, &f, -1, 5000, on_final, NULL);
	UNTIL(seen.finals == before + 1);
}

static __attribute__((unused)) void
begin_as(const char *sender, uint64_t hint, uint64_t login)
{
	struct msg_txn_begin b = asks;

	b.txn = next_txn++;
	b.size_hint = hint;
	b.login = login;
	strlcpy(b.sender, sender, sizeof(b.sender));
	seen.opened = seen.committed = 0;
	channel_ask(theirs[SMTPD], MSG_SMTPD_QUEUED_BEGIN, &b, -1, 5000, on_opened, NULL);
	UNTIL(seen.opened);
}

static __attribute__((unused)) void
begin(const char *sender, uint64_t hint)
{
	begin_as(sender, hint, 0);
}

static __attribute__((unused)) void
rcpt(const char *address, uint8_t notify)
{
	struct msg_txn_rcpt r = { .txn = next_txn - 1,
		.notify = notify,
		.rrvs = rrvs,
		.rrvs_action = rrvs != 0 ? 'C' : 0 };

	strlcpy(r.address, address, sizeof(r.address));
	channel_send(theirs[SMTPD], MSG_SMTPD_QUEUED_RCPT, 0, &r, -1);
}

static __attribute__((unused)) void
commit(uint64_t size)
{
	struct msg_txn_commit c = { .txn = next_txn - 1,
		.size = size,
		.disposition = DISPOSITION_ACCEPT,
		.tls_optional = tls_optional };

	c.prefix = (const uint8_t *)"Received: by x\r\n";
	c.prefix_len = 16;
	channel_ask(
	    theirs[SMTPD], MSG_SMTPD_QUEUED_COMMIT, &c, -1, 5000, on_committed, NULL);
	UNTIL(seen.committed);
}

#define TEXT "Subject: hello\r\n\r\nHow are you?\r\n"

static __attribute__((unused)) void
submit(const char *from, const char *to, uint8_t notify)
{
	begin(from, 100);
	assert_int_equal(seen.open_status, MSG_OK);
	assert_int_equal(write(seen.fd, TEXT, strlen(TEXT)), strlen(TEXT));
	assert_int_equal(compat_seal(seen.fd), 0);
	rcpt(to, notify);
	commit(strlen(TEXT));
	assert_int_equal(seen.commit_status, MSG_OK);
	close(seen.fd);
}

static __attribute__((unused)) size_t
nmsgs(void)
{
	return spool_index(queued.spool)->nmsgs;
}

/* The part of text from what on. */
static __attribute__((unused)) void
assert_says(const char *what)
{
	if (strstr(seen.content, what) == NULL)
		fail_msg("%s is not in\n%s", what, seen.content);
}

#endif
