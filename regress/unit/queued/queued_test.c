/*
 * The daemon with neighbours played by this test: real channels, real spool.
 *
 * SPDX-License-Identifier: ISC
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
	NPEERS
};
static const enum role roles[NPEERS] = { ROLE_SMTPD, ROLE_AUTHD, ROLE_DELIVERD_LOCAL,
	ROLE_DELIVERD_REMOTE, ROLE_MBOXD };

static struct event_base *base;
static struct msg_conf conf = { .hostname = "mail.example.test" };
static struct channel *ours[NPEERS], *theirs[NPEERS];
static int stopped;

int64_t
wall_s(void)
{
	return 1700000000 + (int64_t)(now_ms() / 1000);
}

int64_t
wall_us(void)
{
	return wall_s() * 1000000;
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
	int syncs, sync_answers;
	uint64_t sync_id;
} seen;

static void
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

static void
their_message(struct channel *ch, struct msg *m, void *arg)
{
	int who = (int)(intptr_t)arg;
	struct msg_route route = { .rclass = seen.route };
	struct msg_status ok = { .status = MSG_OK };
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

static void
their_lost(struct channel *ch, const char *why, void *arg)
{
	(void)why;
	if (theirs[(intptr_t)arg] == ch)
		theirs[(intptr_t)arg] = NULL;
}

static void
our_message(struct channel *ch, struct msg *m, void *arg)
{
	(void)arg;
	queued_daemon.peer_message(ch, m);
}

static void
our_lost(struct channel *ch, const char *why, void *arg)
{
	(void)why;
	if (ours[(intptr_t)arg] == ch)
		ours[(intptr_t)arg] = NULL;
	queued_daemon.peer_lost(ch);
}

static void
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

static void
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

static int
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

static int
setup(void **state)
{
	(void)state;
	base = event_base_new();
	strcpy(dir, "/tmp/fife-queued.XXXXXX");
	if (mkdtemp(dir) == NULL || chdir(dir) == -1 || mkdir("drop", 0700) == -1)
		return -1;
	memset(&seen, 0, sizeof(seen));
	seen.fd = -1;
	seen.route = RCLASS_REMOTE;
	seen.sync_answers = 1;
	return start();
}

static void
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

static int
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

static void
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

static void
on_committed(struct msg *m, void *arg)
{
	(void)arg;
	seen.committed++;
	seen.commit_status = m != NULL ? m->p.txn_status.status : 99;
}

static void
on_spilled(struct msg *m, void *arg)
{
	(void)arg;
	seen.spilled++;
	if (m != NULL)
		seen.fd = msg_take_fd(m);
}

static uint64_t next_txn = 1;

static void
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

static void
final(uint64_t size)
{
	struct msg_txn_final f = { .txn = next_txn - 1, .size = size };
	int before = seen.finals;

	channel_ask(theirs[SMTPD], MSG_SMTPD_QUEUED_FINAL, &f, -1, 5000, on_final, NULL);
	UNTIL(seen.finals == before + 1);
}

static void
begin(const char *sender, uint64_t hint)
{
	struct msg_txn_begin b = { .txn = next_txn++, .size_hint = hint };

	strlcpy(b.sender, sender, sizeof(b.sender));
	seen.opened = seen.committed = 0;
	channel_ask(theirs[SMTPD], MSG_SMTPD_QUEUED_BEGIN, &b, -1, 5000, on_opened, NULL);
	UNTIL(seen.opened);
}

static void
rcpt(const char *address, uint8_t notify)
{
	struct msg_txn_rcpt r = { .txn = next_txn - 1, .notify = notify };

	strlcpy(r.address, address, sizeof(r.address));
	channel_send(theirs[SMTPD], MSG_SMTPD_QUEUED_RCPT, 0, &r, -1);
}

static void
commit(uint64_t size)
{
	struct msg_txn_commit c = {
		.txn = next_txn - 1, .size = size, .disposition = DISPOSITION_ACCEPT
	};

	c.prefix = (const uint8_t *)"Received: by x\r\n";
	c.prefix_len = 16;
	channel_ask(
	    theirs[SMTPD], MSG_SMTPD_QUEUED_COMMIT, &c, -1, 5000, on_committed, NULL);
	UNTIL(seen.committed);
}

#define TEXT "Subject: hello\r\n\r\nHow are you?\r\n"

static void
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

static size_t
nmsgs(void)
{
	return spool_index(queued.spool)->nmsgs;
}

static void
test_local(void **state)
{
	(void)state;
	seen.sync_answers = 0;
	seen.result = JOB_DELIVERED;
	submit("a@x.test", "alice@example.test", 0);
	UNTIL(seen.syncs == 1);
	assert_int_equal(seen.job_role, LOCAL);
	assert_string_equal(seen.content, TEXT);
	assert_string_equal(seen.rcpts[0].address, "alice@example.test");
	assert_int_equal(seen.job.prefix_len, 16);
	/* Not done before the sync. */
	turn(20);
	assert_int_equal(nmsgs(), 1);
	/* What comes while a sync runs waits for the next. */
	submit("a@x.test", "bob@example.test", 0);
	UNTIL(seen.njobs == 2);
	turn(10);
	assert_int_equal(seen.syncs, 1);
	{
		struct msg_status ok = { .status = MSG_OK };

		channel_send(
		    theirs[MBOXD], MSG_MBOXD_QUEUED_SYNCED, seen.sync_id, &ok, -1);
		seen.sync_answers = 1;
	}
	UNTIL(seen.syncs == 2);
	UNTIL(nmsgs() == 0);
	assert_int_equal(seen.njobs, 2);
}

static void
test_bounce(void **state)
{
	char *p;

	(void)state;
	seen.result = JOB_FAILED;
	seen.reply = "550 5.1.1 No such user here";
	submit("bob@example.test", "nobody@remote.test", 0);
	UNTIL(seen.njobs == 1);
	assert_int_equal(seen.job_role, REMOTE);
	assert_string_equal(seen.job.route, "");
	assert_string_equal(seen.job.domain, "remote.test");
	seen.result = JOB_DELIVERED;
	seen.reply = NULL;
	UNTIL(seen.njobs == 2);
	assert_int_equal(seen.job_role, LOCAL);
	assert_string_equal(seen.job.sender, "");
	assert_string_equal(seen.rcpts[0].address, "bob@example.test");
	p = strstr(seen.content, "550 5.1.1 No such user here");
	assert_non_null(p);
	assert_non_null(strstr(seen.content, "Status: 5.1.1"));
	assert_non_null(strstr(seen.content, "Subject: hello"));
	UNTIL(nmsgs() == 0);
	/* A bounce that fails is dropped. */
	seen.result = JOB_FAILED;
	submit("", "nobody@remote.test", 0);
	UNTIL(seen.njobs == 3);
	UNTIL(nmsgs() == 0);
	/* NOTIFY=NEVER. */
	submit("bob@example.test", "nobody@remote.test", NOTIFY_NEVER);
	UNTIL(seen.njobs == 4);
	UNTIL(nmsgs() == 0);
	turn(20);
	assert_int_equal(seen.njobs, 4);
}

static void
test_retry_and_expiry(void **state)
{
	struct qmsg *m;

	(void)state;
	seen.result = JOB_DEFERRED;
	seen.reply = "450 4.2.0 Come back later";
	submit("bob@example.test", "x@remote.test", 0);
	UNTIL(seen.njobs == 1);
	turn(50);
	assert_int_equal(seen.njobs, 1);
	deliver_hurry(index_next(spool_index(queued.spool), 0));
	UNTIL(seen.njobs == 2);
	/* Past its time: the next failure is the last. */
	m = index_next(spool_index(queued.spool), 0);
	m->created -= 4000;
	deliver_hurry(m);
	seen.njobs = 0;
	UNTIL(seen.njobs == 1);
	seen.result = JOB_DELIVERED;
	UNTIL(seen.njobs == 2);
	assert_string_equal(seen.job.sender, "");
	assert_non_null(strstr(seen.content, "Come back later"));
	UNTIL(nmsgs() == 0);
}

static void
test_lost_neighbours(void **state)
{
	(void)state;
	submit("bob@example.test", "alice@example.test", 0);
	UNTIL(seen.njobs == 1);
	/* deliverd dies with the job in hand: the next gets it at once. */
	channel_free(theirs[LOCAL]);
	theirs[LOCAL] = NULL;
	UNTIL(ours[LOCAL] == NULL);
	turn(20);
	assert_int_equal(seen.njobs, 1);
	seen.result = JOB_DELIVERED;
	peer_up(LOCAL);
	UNTIL(seen.njobs == 2);
	UNTIL(nmsgs() == 0);
	/* authd is away: the message waits for it. */
	channel_free(theirs[AUTHD]);
	theirs[AUTHD] = NULL;
	UNTIL(ours[AUTHD] == NULL);
	submit("bob@example.test", "alice@example.test", 0);
	turn(20);
	assert_int_equal(seen.njobs, 2);
	peer_up(AUTHD);
	UNTIL(seen.njobs == 3);
	UNTIL(nmsgs() == 0);
	/* smtpd is gone before the end: nothing is left of it. */
	begin("a@x.test", 100);
	close(seen.fd);
	assert_int_equal(txn_count(), 1);
	channel_free(theirs[SMTPD]);
	theirs[SMTPD] = NULL;
	UNTIL(txn_count() == 0);
	assert_int_equal(nmsgs(), 0);
}

static void
test_expand(void **state)
{
	(void)state;
	seen.result = JOB_DELIVERED;
	seen.expand = "far@remote.test";
	submit("bob@example.test", "alias@example.test", 0);
	UNTIL(seen.njobs == 2);
	assert_int_equal(seen.job_role, REMOTE);
	assert_string_equal(seen.rcpts[0].address, "far@remote.test");
	assert_int_equal(seen.rcpts[0].rcpt, 1);
	UNTIL(nmsgs() == 0);
}

static void
on_etrn(struct msg *m, void *arg)
{
	*(int *)arg = m == NULL ? -1 : m->p.status.status;
}

static void
etrn(const char *domain, int want)
{
	struct msg_domain q = { "" };
	int status = -2;

	strlcpy(q.domain, domain, sizeof(q.domain));
	channel_ask(theirs[SMTPD], MSG_SMTPD_QUEUED_ETRN, &q, -1, 5000, on_etrn, &status);
	UNTIL(status != -2);
	assert_int_equal(status, want);
}

/* RFC 1985: what waits for that domain is tried, and nothing else. */
static void
test_etrn(void **state)
{
	(void)state;
	seen.result = JOB_DEFERRED;
	seen.reply = "450 4.2.0 later";
	submit("bob@example.test", "x@remote.test", 0);
	UNTIL(seen.njobs == 1);
	submit("bob@example.test", "x@other.test", 0);
	UNTIL(seen.njobs == 2);
	turn(20);
	seen.result = JOB_DELIVERED;
	seen.reply = NULL;
	etrn("remote.tes", MSG_OK);
	etrn("", MSG_PERM);
	turn(30);
	assert_int_equal(seen.njobs, 2);
	etrn("Remote.test", MSG_OK);
	UNTIL(nmsgs() == 1);
	assert_int_equal(seen.njobs, 3);
	assert_string_equal(seen.rcpts[0].address, "x@remote.test");
	etrn("other.test", MSG_OK);
	UNTIL(nmsgs() == 0);
}

/* The part of text from what on. */
static void
assert_says(const char *what)
{
	if (strstr(seen.content, what) == NULL)
		fail_msg("%s is not in\n%s", what, seen.content);
}

/* RFC 3461: who asked hears of success, by what is known of it. */
static void
test_success_reports(void **state)
{
	(void)state;
	seen.result = JOB_DELIVERED;
	seen.sync_answers = 1;
	/* A mailbox. */
	submit("a@remote.test", "alice@example.test", NOTIFY_SUCCESS);
	UNTIL(seen.njobs == 2 && nmsgs() == 0);
	assert_string_equal(seen.job.sender, "");
	assert_says("Action: delivered\r\n");
	assert_says("Content-Type: text/rfc822-headers\r\n");
	/* Another host, which does not know of it, and one that does. */
	submit("b@remote.test", "far@remote.test", NOTIFY_SUCCESS | NOTIFY_DELAY);
	UNTIL(seen.njobs == 4 && nmsgs() == 0);
	assert_says("Action: relayed\r\n");
	seen.detail = "dsn";
	submit("b@remote.test", "far@remote.test", NOTIFY_SUCCESS);
	UNTIL(nmsgs() == 0);
	turn(20);
	assert_int_equal(seen.njobs, 5);
	assert_int_equal(seen.rcpts[0].notify, NOTIFY_SUCCESS);
	/* Not asked, and from nobody. */
	submit("b@remote.test", "alice@example.test", NOTIFY_FAILURE);
	submit("", "alice@example.test", NOTIFY_SUCCESS);
	UNTIL(nmsgs() == 0);
	turn(20);
	assert_int_equal(seen.njobs, 7);
}

/* RFC 3461, 5.2.7. */
static void
test_success_of_an_alias(void **state)
{
	(void)state;
	seen.result = JOB_DELIVERED;
	seen.sync_answers = 1;
	seen.detail = "dsn";
	/* For one address: the wish goes on, nothing is said here. */
	seen.expand = "far@remote.test";
	submit("bob@remote.test", "alias@example.test", NOTIFY_SUCCESS | NOTIFY_DELAY);
	UNTIL(seen.njobs == 2 && nmsgs() == 0);
	assert_string_equal(seen.rcpts[0].address, "far@remote.test");
	assert_int_equal(seen.rcpts[0].notify, NOTIFY_SUCCESS | NOTIFY_DELAY);
	/* For two: it ends here. */
	seen.njobs = 0;
	seen.expand = "far@remote.test";
	seen.expand2 = "near@remote.test";
	submit("bob@remote.test", "alias@example.test", NOTIFY_SUCCESS);
	UNTIL(seen.njobs == 3 && nmsgs() == 0);
	assert_string_equal(seen.report_action, "expanded");
	assert_int_equal(seen.last_notify, NOTIFY_NEVER);
	/* A mailbox, and on to another. */
	seen.njobs = 0;
	seen.detail = "mailbox dsn";
	seen.expand = "far@remote.test";
	submit("bob@remote.test", "alias@example.test", NOTIFY_SUCCESS | NOTIFY_FAILURE);
	UNTIL(seen.njobs == 3 && nmsgs() == 0);
	assert_string_equal(seen.report_action, "delivered");
	assert_int_equal(seen.last_notify, NOTIFY_FAILURE);
}

static void
test_route_changes(void **state)
{
	struct msg_domain all = { "" };

	(void)state;
	seen.result = JOB_DELIVERED;
	strlcpy(seen.url, "smtp://127.0.0.1:2525", sizeof(seen.url));
	submit("bob@example.test", "x@remote.test", 0);
	UNTIL(seen.njobs == 1);
	assert_string_equal(seen.job.route, "smtp://127.0.0.1:2525");
	UNTIL(nmsgs() == 0);
	seen.url[0] = '\0';
	channel_send(theirs[AUTHD], MSG_AUTHD_QUEUED_CHANGED, 0, &all, -1);
	turn(10);
	submit("bob@example.test", "x@remote.test", 0);
	UNTIL(seen.njobs == 2);
	assert_string_equal(seen.job.route, "");
	UNTIL(nmsgs() == 0);
}

static void
test_content_rules(void **state)
{
	char *big;

	(void)state;
	seen.result = JOB_DELIVERED;
	/* A large one goes into a file, and spills from memory. */
	big = malloc(400000);
	memset(big, 'x', 400000);
	begin("a@x.test", 100);
	assert_int_equal(write(seen.fd, big, 300000), 300000);
	{
		struct msg_txn t = { next_txn - 1 };

		close(seen.fd);
		seen.fd = -1;
		channel_ask(theirs[SMTPD], MSG_SMTPD_QUEUED_SPILL, &t, -1, 5000,
		    on_spilled, NULL);
		UNTIL(seen.spilled);
	}
	assert_true(seen.fd != -1);
	assert_int_equal(write(seen.fd, big, 400000), 400000);
	rcpt("alice@example.test", 0);
	final(700000);
	close(seen.fd);
	commit(700000);
	assert_int_equal(seen.commit_status, MSG_OK);
	UNTIL(seen.njobs == 1);
	assert_int_equal(seen.job.size, 700000);
	UNTIL(nmsgs() == 0);
	/* Too large. */
	begin("a@x.test", 2000000);
	assert_int_equal(seen.open_status, MSG_PERM);
	/* No recipient. */
	begin("a@x.test", 100);
	assert_int_equal(compat_seal(seen.fd), 0);
	close(seen.fd);
	commit(0);
	assert_int_equal(seen.commit_status, MSG_PERM);
	/* Changed between its end and COMMIT: not what was judged. */
	begin("a@x.test", 500000);
	assert_int_equal(write(seen.fd, big, 300000), 300000);
	rcpt("alice@example.test", 0);
	final(300000);
	assert_int_equal(pwrite(seen.fd, "y", 1, 1000), 1);
	commit(300000);
	assert_int_not_equal(seen.commit_status, MSG_OK);
	close(seen.fd);
	UNTIL(ours[SMTPD] == NULL);
	assert_int_equal(nmsgs(), 0);
	free(big);
}

static void
test_unsealed(void **state)
{
	(void)state;
	/* Not sealed: that smtpd is not to be trusted any more. */
	begin("a@x.test", 100);
	assert_int_equal(write(seen.fd, "x", 1), 1);
	rcpt("alice@example.test", 0);
	commit(1);
	assert_int_not_equal(seen.commit_status, MSG_OK);
	close(seen.fd);
	UNTIL(ours[SMTPD] == NULL);
	assert_int_equal(nmsgs(), 0);
}

static void
test_restart(void **state)
{
	(void)state;
	/* Nobody delivers; the process ends as by a crash, and another begins. */
	channel_free(theirs[LOCAL]);
	theirs[LOCAL] = NULL;
	UNTIL(ours[LOCAL] == NULL);
	submit("bob@example.test", "alice@example.test", 0);
	stop();
	stopped = 0;
	for (int i = 0; i < NPEERS; i++)
		ours[i] = NULL;
	base = event_base_new();
	seen.result = JOB_DELIVERED;
	start();
	assert_int_equal(nmsgs(), 1);
	UNTIL(seen.njobs == 1);
	assert_string_equal(seen.content, TEXT);
	UNTIL(nmsgs() == 0);
}

static void
test_drop(void **state)
{
	FILE *f;

	(void)state;
	seen.result = JOB_DELIVERED;
	f = fopen("drop/t.1", "w");
	fprintf(
	    f, "F bob@example.test\nR alice\nR carol@example.test\n\nSubject: x\n\nhi\n");
	fclose(f);
	assert_int_equal(rename("drop/t.1", "drop/m.1"), 0);
	f = fopen("drop/m.2", "w");
	fprintf(f, "nonsense\n\n");
	fclose(f);
	for (int i = 0; i < 3000 && seen.njobs == 0; i++)
		turn(1);
	assert_true(seen.njobs > 0);
	assert_string_equal(seen.content, "Subject: x\r\n\r\nhi\r\n");
	UNTIL(access("drop/m.1", F_OK) == -1);
	UNTIL(access("drop/bad.m.2", F_OK) == 0);
}

static void
drop_put(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

/* Killed between the commit and the removal of the file: not twice, not never. */
static void
test_drop_after_a_crash(void **state)
{
	static const char text[] = "F a@x.test\nR alice\n\nSubject: x\n\nhi\n";
	char path[64];

	(void)state;
	seen.result = 0;
	submit("a@x.test", "alice@example.test", 0);
	snprintf(path, sizeof(path), "drop/q.%s.m.1", seen.qid);
	drop_put(path, text, sizeof(text) - 1);
	drop_put("drop/q.zzzzzzz.m.2", text, sizeof(text) - 1);
	UNTIL(access(path, F_OK) == -1 && access("drop/q.zzzzzzz.m.2", F_OK) == -1);
	UNTIL(nmsgs() == 2);
	turn(50);
	assert_int_equal(nmsgs(), 2);
}

/* What can never be taken is moved away, and what is odd is made plain. */
static void
test_drop_hostile(void **state)
{
	static const char nul[] = "F a@x.test\nR alice\n\nSubject: \0x\n\nhi\n";
	static const char cr[] = "F a@x.test\nR alice\n\nSubject: x\n\nhi\r.\rQUIT\r\n\n";
	char longest[400] = "F a@x.test\nR ";

	(void)state;
	memset(longest + strlen(longest), 'x', 315);
	strlcat(longest, "\n\nhi\n", sizeof(longest));
	drop_put("drop/m.1", nul, sizeof(nul) - 1);
	drop_put("drop/m.2", longest, strlen(longest));
	seen.result = JOB_DELIVERED;
	for (int i = 0; i < 3000 && nmsgs() + (size_t)seen.njobs == 0; i++) {
		if (i == 0)
			drop_put("drop/m.3", cr, sizeof(cr) - 1);
		turn(1);
	}
	UNTIL(seen.njobs == 1);
	assert_string_equal(seen.content, "Subject: x\r\n\r\nhi\r\n.\r\nQUIT\r\n\r\n");
	UNTIL(access("drop/m.1", F_OK) == -1 && access("drop/m.2", F_OK) == -1);
	assert_int_equal(
	    system("ls drop | grep -c '^bad[.]q[.][^.]*[.]m[.][12]$' | grep -qx 2"), 0);
}

/* A message that ends deliverd each time is not tried at once for ever. */
static void
test_poison(void **state)
{
	int lost = 0;

	(void)state;
	seen.result = 0;
	submit("a@x.test", "alice@example.test", 0);
	for (; lost < 20; lost++) {
		for (int i = 0; i < 100 && seen.njobs == lost; i++)
			turn(1);
		if (seen.njobs == lost)
			break;
		channel_free(theirs[LOCAL]);
		theirs[LOCAL] = NULL;
		UNTIL(ours[LOCAL] == NULL);
		peer_up(LOCAL);
	}
	assert_in_range(lost, 2, 10);
	assert_int_equal(spool_index(queued.spool)->ndeferred, 1);
	assert_int_equal(nmsgs(), 1);
}

/* A mailbox must not forget deliveries of a message that began before. */
static void
test_oldest_counts_open_transactions(void **state)
{
	uint64_t first, second;

	(void)state;
	begin("a@x.test", 100);
	assert_int_equal(qid_parse(seen.qid, &first), 0);
	close(seen.fd);
	submit("a@x.test", "alice@example.test", 0);
	assert_int_equal(qid_parse(seen.qid, &second), 0);
	assert_true(first < second);
	UNTIL(seen.njobs == 1);
	assert_true(seen.job.queue_id == second);
	assert_true(seen.job.oldest_live <= first);
}

/* A bounce that fails goes to the postmaster, and what fails then to nobody. */
static void
test_double_bounce(void **state)
{
	(void)state;
	queued.conf.double_bounce = 1;
	seen.result = JOB_FAILED;
	seen.reply = "550 5.1.1 nobody here";
	submit("", "x@remote.test", 0);
	UNTIL(nmsgs() == 0 && seen.njobs == 2);
	assert_string_equal(seen.rcpts[0].address, "postmaster@mail.example.test");
	assert_string_equal(seen.job.sender, "");
	assert_non_null(strstr(seen.content, "x@remote.test"));
	turn(20);
	assert_int_equal(seen.njobs, 2);
	queued.conf.double_bounce = 0;
	submit("", "x@remote.test", 0);
	UNTIL(nmsgs() == 0 && seen.njobs == 3);
	turn(20);
	assert_int_equal(seen.njobs, 3);
}

/* A freeze rule keeps a recipient back, not the others; without it all goes on. */
static void
test_freeze(void **state)
{
	struct freeze_rule r = { .to = (char *)(uintptr_t) "alice@example.test",
		.reason = (char *)(uintptr_t) "on holiday",
		.owner = (char *)(uintptr_t) "eve" };
	uint64_t id;

	(void)state;
	seen.result = JOB_DELIVERED;
	assert_non_null(freeze_add(&queued.freeze, &r));
	submit("a@x.test", "alice@example.test", 0);
	assert_int_equal(qid_parse(seen.qid, &id), 0);
	submit("a@x.test", "bob@example.test", 0);
	UNTIL(nmsgs() == 1);
	assert_int_equal(seen.njobs, 1);
	UNTIL(index_find(spool_index(queued.spool), id)->flags & QM_FROZEN);
	/* Nor does trying now help. */
	deliver_hurry(index_find(spool_index(queued.spool), id));
	turn(20);
	assert_int_equal(seen.njobs, 1);
	assert_int_equal(freeze_del(&queued.freeze, 1), 0);
	assert_int_equal(deliver_thaw(), 1);
	UNTIL(nmsgs() == 0);
	assert_int_equal(seen.njobs, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_local, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounce, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retry_and_expiry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_neighbours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expand, setup, teardown),
		cmocka_unit_test_setup_teardown(test_success_reports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_etrn, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_success_of_an_alias, setup, teardown),
		cmocka_unit_test_setup_teardown(test_route_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_content_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unsealed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drop_after_a_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drop_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_poison, setup, teardown),
		cmocka_unit_test_setup_teardown(test_double_bounce, setup, teardown),
		cmocka_unit_test_setup_teardown(test_freeze, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_oldest_counts_open_transactions, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
