/* SPDX-License-Identifier: ISC */
/*
 * Sessions with real sockets, channels and descriptors, and with peers played by this
 * test: authd, queued and filterd, which can be made to fail or to vanish.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "smtpd/session_internal.h"

/* ---- what daemon.c and main.c are to a session ---- */

static struct event_base *base;
static struct msg_conf host;
static struct msg_conf_smtpd conf;
static struct smtp_in_conf in_conf;
static struct channel *to_peer[ROLE_MAX], *at_peer[ROLE_MAX];

struct event_base *
daemon_base(void)
{
	return base;
}

const struct msg_conf *
daemon_conf(void)
{
	return &host;
}

struct channel *
daemon_peer(enum role role)
{
	return to_peer[role];
}

int64_t
wall_us(void)
{
	return (int64_t)time(NULL) * 1000000;
}

int64_t
wall_s(void)
{
	return (int64_t)time(NULL);
}

const struct smtp_in_conf *
smtpd_in_conf(void)
{
	return &in_conf;
}

const struct msg_conf_smtpd *
smtpd_conf(void)
{
	return &conf;
}

struct ssl_ctx_st *
smtpd_tls(void)
{
	return NULL;
}

/* ---- the peers ---- */

static struct {
	int silent_authd;
	int verdict;
	const char *headers;
	int commit_status;
	int break_at; /* message type at which the peer goes away */
	uint64_t memory_max;
	/* what was seen */
	unsigned int begins, rcpts, commits, aborts, spills, finals, checks;
	int fd; /* of the content */
	int sealed;
	uint64_t size;
	char prefix[8193];
	uint8_t disposition;
	uint8_t whole;
	uint16_t qid_at;
	size_t text_len;
	char content[65536];
} fake;

static void
go_away(enum role role)
{
	channel_free(at_peer[role]);
	at_peer[role] = NULL;
}

static void
answer_opened(struct channel *ch, struct msg *m)
{
	struct msg_txn_opened r = { .txn = m->p.txn_begin.txn,
		.memory_max = fake.memory_max };

	fake.begins++;
	fake.text_len = 0;
	if ((fake.whole = m->p.txn_begin.whole) != 0)
		return;
	strcpy(r.qid, "Q7");
	fake.fd = compat_memfd_create("test");
	channel_send(ch, MSG_QUEUED_SMTPD_OPENED, m->id, &r, dup(fake.fd));
}

static void
answer_spilled(struct channel *ch, struct msg *m)
{
	struct msg_txn_status r = { .txn = m->p.txn.txn };
	char path[] = "/tmp/fife-session-XXXXXX";

	fake.spills++;
	close(fake.fd);
	fake.fd = mkstemp(path);
	unlink(path);
	channel_send(ch, MSG_QUEUED_SMTPD_SPILLED, m->id, &r, dup(fake.fd));
}

/* A descriptor of the same file that only reads. */
static void
answer_final(struct channel *ch, struct msg *m)
{
	struct msg_txn_status r = { .txn = m->p.txn_final.txn, .status = MSG_OK };
	char path[64];

	fake.finals++;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fake.fd);
	channel_send(ch, MSG_QUEUED_SMTPD_FINAL_IS, m->id, &r, open(path, O_RDONLY));
}

static void
answer_committed(struct channel *ch, struct msg *m)
{
	const struct msg_txn_commit *c = &m->p.txn_commit;
	struct msg_txn_status r = { .txn = c->txn,
		.status = (uint8_t)fake.commit_status };
	ssize_t n;

	fake.commits++;
	fake.size = c->size;
	fake.disposition = c->disposition;
	memcpy(fake.prefix, c->prefix, c->prefix_len);
	fake.prefix[c->prefix_len] = '\0';
	fake.qid_at = c->qid_at;
	if (fake.whole) {
		strcpy(r.text, "Q8");
		fake.content[fake.text_len] = '\0';
		channel_send(ch, MSG_QUEUED_SMTPD_COMMITTED, m->id, &r, -1);
		return;
	}
	fake.sealed = compat_is_sealed(fake.fd);
	n = pread(fake.fd, fake.content, sizeof(fake.content) - 1, 0);
	fake.content[n < 0 ? 0 : n] = '\0';
	channel_send(ch, MSG_QUEUED_SMTPD_COMMITTED, m->id, &r, -1);
}

static void
take_content(const struct msg_txn_content *c)
{
	assert_true(fake.text_len + c->content_len < sizeof(fake.content));
	memcpy(fake.content + fake.text_len, c->content, c->content_len);
	fake.text_len += c->content_len;
}

static void
answer_verdict(struct channel *ch, struct msg *m)
{
	struct msg_filter_verdict v = { .action = (uint8_t)fake.verdict };

	fake.checks++;
	if (fake.verdict == VERDICT_REJECT) {
		v.code = 554;
		strcpy(v.enhanced, "5.7.1");
		strcpy(v.text, "Eicar-Test-Signature found");
	}
	if (fake.headers != NULL) {
		v.headers = (const uint8_t *)fake.headers;
		v.headers_len = strlen(fake.headers);
	}
	channel_send(ch, MSG_FILTERD_SMTPD_VERDICT, m->id, &v, -1);
}

static void
on_message(struct channel *ch, struct msg *m, void *arg)
{
	struct msg_rcpt_class c = { .rclass = RCLASS_LOCAL };
	struct msg_sasl_result sr = { .status = SASL_OK,
		.login = 9,
		.address = "alice@example.test",
		.message_size_max = UINT64_MAX };

	if ((int)m->type == fake.break_at) {
		/* Not from inside its own callback. */
		channel_break(ch, "test");
		return;
	}
	switch (m->type) {
	case MSG_SMTPD_AUTHD_RCPT:
		if (strncmp(m->p.rcpt_check.address, "x", 1) == 0)
			c.rclass = RCLASS_REMOTE;
		if (!fake.silent_authd)
			channel_send(ch, MSG_AUTHD_SMTPD_RCPT_CLASS, m->id, &c, -1);
		break;
	case MSG_FRONT_AUTHD_SASL:
		channel_send(ch, MSG_AUTHD_FRONT_SASL_RESULT, m->id, &sr, -1);
		break;
	case MSG_SMTPD_QUEUED_BEGIN:
		answer_opened(ch, m);
		break;
	case MSG_SMTPD_QUEUED_RCPT:
		fake.rcpts++;
		break;
	case MSG_SMTPD_QUEUED_CONTENT:
		take_content(&m->p.txn_content);
		break;
	case MSG_FILTERD_SMTPD_WANTS:
		txn_peer_message(ch, m);
		break;
	case MSG_SMTPD_QUEUED_SPILL:
		answer_spilled(ch, m);
		break;
	case MSG_SMTPD_QUEUED_FINAL:
		answer_final(ch, m);
		break;
	case MSG_SMTPD_QUEUED_COMMIT:
		answer_committed(ch, m);
		break;
	case MSG_SMTPD_QUEUED_ABORT:
		fake.aborts++;
		break;
	case MSG_SMTPD_FILTERD_CHECK:
		answer_verdict(ch, m);
		break;
	default:
		break;
	}
}

static void
on_lost_there(struct channel *ch, const char *why, void *arg)
{
	for (int i = 0; i < ROLE_MAX; i++)
		if (at_peer[i] == ch)
			at_peer[i] = NULL;
}

static void
on_lost_here(struct channel *ch, const char *why, void *arg)
{
	for (int i = 0; i < ROLE_MAX; i++)
		if (to_peer[i] == ch)
			to_peer[i] = NULL;
}

static void
connect_peer(enum role role)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	to_peer[role] =
	    channel_new(base, sv[0], ROLE_SMTPD, 0, role, on_message, on_lost_here, NULL);
	at_peer[role] = channel_new(
	    base, sv[1], role, 0, ROLE_SMTPD, on_message, on_lost_there, NULL);
}

static int
setup(void **state)
{
	base = event_base_new();
	memset(&fake, 0, sizeof(fake));
	fake.verdict = VERDICT_ACCEPT;
	fake.memory_max = 1024;
	fake.fd = -1;
	memset(&smtpd_stats, 0, sizeof(smtpd_stats));
	strcpy(in_conf.hostname, "mx.example.test");
	strcpy(in_conf.default_domain, "example.test");
	in_conf.size_max = 30000000;
	in_conf.rcpts_max = 1000;
	in_conf.errors_max = 20;
	in_conf.hops_max = 100;
	conf.timeout_command_s = 300;
	conf.timeout_data_s = 300;
	connect_peer(ROLE_AUTHD);
	connect_peer(ROLE_QUEUED);
	connect_peer(ROLE_FILTERD);
	return 0;
}

static int
teardown(void **state)
{
	/* Sessions close with their clients; then nothing may be left. */
	for (int i = 0; i < 50 && smtpd_stats.sessions > 0; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(smtpd_stats.sessions, 0);
	for (int i = 0; i < 20; i++) /* connections linger a moment */
		event_base_loop(base, EVLOOP_NONBLOCK);
	for (int i = 0; i < ROLE_MAX; i++) {
		channel_free(to_peer[i]);
		channel_free(at_peer[i]);
		to_peer[i] = at_peer[i] = NULL;
	}
	if (fake.fd != -1)
		close(fake.fd);
	event_base_free(base);
	return 0;
}

/* ---- the client ---- */

static char got[262144];
static size_t got_len;

static int
client(enum listener_kind kind)
{
	struct session_listener l = { .kind = kind, .auth_without_tls = 1 };
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(0xc0000201) };
	struct sockaddr sun = { .sa_family = AF_UNIX };
	int sv[2];

	got_len = 0;
	got[0] = '\0';
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	fcntl(sv[1], F_SETFL, O_NONBLOCK);
	session_new(sv[0], &l,
	    kind == LISTENER_LOCAL ? &sun : (const struct sockaddr *)(const void *)&sin,
	    0);
	return sv[1];
}

static void
turn(int fd)
{
	ssize_t n;

	event_base_loop(base, EVLOOP_NONBLOCK);
	while (got_len < sizeof(got) - 1 &&
	       (n = read(fd, got + got_len, sizeof(got) - 1 - got_len)) > 0)
		got_len += (size_t)n;
	got[got_len] = '\0';
}

/* Until that many final reply lines have come, for a second or two. */
static size_t
replies(void)
{
	size_t n = 0;

	for (const char *p = got; (p = strstr(p, "\r\n")) != NULL; p += 2) {
		const char *start = p;

		while (start > got && start[-1] != '\n')
			start--;
		n += start[3] == ' ';
	}
	return n;
}

static void
say(int fd, const char *s, size_t n_replies)
{
	size_t len = strlen(s), off = 0;
	uint64_t end = now_ms() + 3000;

	while (now_ms() < end && (off < len || replies() < n_replies)) {
		if (off < len) {
			ssize_t n = write(fd, s + off, len - off);

			if (n > 0)
				off += (size_t)n;
		}
		turn(fd);
	}
	if (replies() != n_replies)
		fail_msg("%zu replies, expected %zu:\n%s", replies(), n_replies, got);
}

static void
hang_up(int fd)
{
	close(fd);
	for (int i = 0; i < 50 && smtpd_stats.sessions > 0; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void
expect(const char *s)
{
	if (strstr(got, s) == NULL)
		fail_msg("no «%s» in:\n%s", s, got);
}

#define ENVELOPE_OPEN                                                 \
	"EHLO client.example\r\nMAIL FROM:<bob@remote.test>\r\nRCPT " \
	"TO:<alice@example.test>\r\n"
#define ENVELOPE ENVELOPE_OPEN "DATA\r\n"
#define MESSAGE "Subject: x\r\n\r\nhello\r\n.\r\n"

static void
test_accept(void **state)
{
	int fd = client(LISTENER_SMTP);

	fake.headers = "X-Judged: yes\r\n";
	say(fd, ENVELOPE MESSAGE "QUIT\r\n", 7);
	expect("\r\n250 2.0.0 Ok: queued as Q7\r\n");
	expect("\r\n221 ");
	assert_int_equal(fake.commits, 1);
	assert_int_equal(fake.aborts, 0);
	assert_int_equal(fake.sealed, 1);
	assert_int_equal(fake.disposition, DISPOSITION_ACCEPT);
	assert_string_equal(fake.content, "Subject: x\r\n\r\nhello\r\n");
	assert_non_null(strstr(fake.prefix,
	    "Received: from client.example ([192.0.2.1])\r\n\tby mx.example.test "
	    "with ESMTP id Q7\r\n\tfor <alice@example.test>; "));
	assert_non_null(strstr(fake.prefix, "\r\nX-Judged: yes\r\n"));
	assert_null(strstr(fake.prefix, "Message-ID"));
	assert_int_equal(smtpd_stats.messages, 1);
	hang_up(fd);
}

static void
test_large(void **state)
{
	int fd = client(LISTENER_SMTP);
	char *big = malloc(60001);

	memset(big, 'x', 60000);
	big[60000] = '\0';
	say(fd, ENVELOPE, 5);
	for (int i = 0; i < 100; i++)
		say(fd, big, 5);
	say(fd, "\r\n.\r\n", 6);
	expect("queued as Q7");
	assert_int_equal(fake.spills, 1);
	assert_int_equal(fake.size, 6000002);
	assert_int_equal(fake.sealed, 0);
	assert_int_equal(lseek(fake.fd, 0, SEEK_END), 6000002);
	free(big);
	hang_up(fd);
}

static void
test_spill_at_the_end(void **state)
{
	int fd = client(LISTENER_SMTP);
	char *in = malloc(8192);
	size_t n = (size_t)snprintf(in, 8192, "%s", ENVELOPE);

	memset(in + n, 'x', 3000);
	strcpy(in + n + 3000, "\r\n.\r\n");
	say(fd, in, 6);
	expect("queued as Q7");
	assert_int_equal(fake.spills, 1);
	assert_int_equal(fake.size, 3002);
	free(in);
	hang_up(fd);
}

static void
test_verdicts(void **state)
{
	int fd = client(LISTENER_SMTP);

	fake.verdict = VERDICT_REJECT;
	say(fd, ENVELOPE MESSAGE, 6);
	expect("\r\n554 5.7.1 Eicar-Test-Signature found\r\n");
	assert_int_equal(fake.commits, 0);
	assert_int_equal(fake.aborts, 1);
	fake.verdict = VERDICT_DEFER;
	say(fd, ENVELOPE MESSAGE, 11);
	expect("\r\n451 4.7.1 ");
	fake.verdict = VERDICT_JUNK;
	say(fd, ENVELOPE MESSAGE, 16);
	assert_int_equal(fake.disposition, DISPOSITION_JUNK);
	fake.verdict = VERDICT_ACCEPT;
	fake.headers = "X-Broken: \nyes\r\n";
	say(fd, ENVELOPE MESSAGE, 21);
	expect("\r\n451 4.3.0 The message cannot be checked");
	assert_int_equal(fake.commits, 1);
	hang_up(fd);
}

static void
test_queue_full(void **state)
{
	int fd = client(LISTENER_SMTP);

	fake.commit_status = MSG_FULL;
	say(fd, ENVELOPE MESSAGE "NOOP\r\n", 7);
	expect("\r\n452 4.3.1 ");
	hang_up(fd);
}

/* Each peer in turn is missing, or lost in the middle: 451, and the session goes on. */
static void
test_lost_peers(void **state)
{
	static const struct {
		enum role role;
		int at;
		const char *reply;
	} rows[] = {
		{ ROLE_AUTHD, MSG_SMTPD_AUTHD_RCPT, "\r\n451 4.3.0 Cannot tell" },
		{ ROLE_QUEUED, MSG_SMTPD_QUEUED_BEGIN, "\r\n451 4.3.0 The queue" },
		{ ROLE_QUEUED, MSG_SMTPD_QUEUED_COMMIT, "\r\n451 4.3.0 The queue" },
		{ ROLE_FILTERD, MSG_SMTPD_FILTERD_CHECK,
		    "\r\n451 4.3.0 The message cannot" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = client(LISTENER_SMTP);

		fake.break_at = rows[i].at;
		say(fd, "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\n", 4);
		if (i > 0) {
			say(fd, "DATA\r\n", 5);
			if (i > 1)
				say(fd, MESSAGE, 6);
		}
		expect(rows[i].reply);
		assert_null(to_peer[rows[i].role]);
		/* Still missing. */
		fake.break_at = 0;
		say(fd, "RSET\r\nNOOP\r\n", replies() + 2);
		connect_peer(rows[i].role);
		got_len = 0;
		got[0] = '\0';
		say(fd, ENVELOPE MESSAGE, 5);
		expect("queued as Q7");
		hang_up(fd);
	}
	/* Away before it was asked. */
	{
		int fd = client(LISTENER_SMTP);

		go_away(ROLE_FILTERD);
		say(fd, ENVELOPE MESSAGE, 6);
		expect("\r\n451 4.3.0 The message cannot");
		hang_up(fd);
	}
	assert_int_equal(fake.commits, 4);
}

static void
test_client_vanishes(void **state)
{
	int fd = client(LISTENER_SMTP);

	say(fd, ENVELOPE "half a mess", 5);
	hang_up(fd);
	assert_int_equal(smtpd_stats.sessions, 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(fake.aborts, 1);

	/* While a question is on its way. */
	fd = client(LISTENER_SMTP);
	fake.silent_authd = 1;
	say(fd, "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\n", 3);
	hang_up(fd);
	assert_int_equal(smtpd_stats.sessions, 1); /* it waits for the answer first */
	go_away(ROLE_AUTHD);
}

static void
test_submission(void **state)
{
	int fd = client(LISTENER_SUBMISSION);

	say(fd,
	    "EHLO x\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nMAIL "
	    "FROM:<alice@example.test>\r\n"
	    "RCPT TO:<x@remote.test>\r\nDATA\r\n" MESSAGE,
	    7);
	expect("\r\n235 2.7.0 ");
	expect("queued as Q7");
	assert_non_null(strstr(fake.prefix, "with ESMTPA id"));
	assert_non_null(strstr(fake.prefix, "\r\nMessage-ID: <Q7."));
	assert_non_null(strstr(fake.prefix, "\r\nDate: "));
	hang_up(fd);
}

static void
test_local(void **state)
{
	int fd = client(LISTENER_LOCAL);

	say(fd,
	    "EHLO x\r\nMAIL FROM:<root>\r\nRCPT TO:<x@remote.test>\r\nDATA\r\nbody "
	    "only\r\n.\r\n",
	    6);
	expect("queued as Q7");
	assert_non_null(strstr(fake.prefix, "Received: by mx.example.test (local user "));
	assert_string_equal(fake.prefix + strlen(fake.prefix) - 4, "\r\n\r\n");
	hang_up(fd);
}

/* Who sends and never reads gets no more than a bounded number of replies. */
static void
test_deaf_client(void **state)
{
	struct session_listener l = { .kind = LISTENER_SMTP };
	struct sockaddr sun = { .sa_family = AF_UNIX };
	static char noops[6 * 10000 + 1];
	int sv[2];
	ssize_t n, total = 0;

	for (int i = 0; i < 10000; i++)
		memcpy(noops + 6 * i, "NOOP\r\n", 6);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	fcntl(sv[1], F_SETFL, O_NONBLOCK);
	session_new(sv[0], &l, &sun, 0);
	for (int i = 0; i < 2000; i++) {
		if ((n = write(sv[1], noops, sizeof(noops) - 1)) > 0)
			total += n;
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	assert_true(total < 4 * 1024 * 1024);
	hang_up(sv[1]);
}

static void
test_half_closed(void **state)
{
	int fd = client(LISTENER_SMTP);

	assert_int_equal(write(fd, ENVELOPE MESSAGE, strlen(ENVELOPE MESSAGE)),
	    strlen(ENVELOPE MESSAGE));
	shutdown(fd, SHUT_WR);
	say(fd, "", 6);
	expect("queued as Q7");
	hang_up(fd);
}

static void
filter_wants(int content)
{
	struct msg_filter_wants w = { .content = (uint8_t)content };

	channel_send(at_peer[ROLE_FILTERD], MSG_FILTERD_SMTPD_WANTS, 0, &w, -1);
	for (int i = 0; i < 5; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

/* Nothing is judged: a small message goes to queued at its end, all at once. */
static void
test_whole(void **state)
{
	int fd = client(LISTENER_SMTP);
	char *big = malloc(60001);
	char *at;

	filter_wants(0);
	say(fd, ENVELOPE MESSAGE, 6);
	expect("\r\n250 2.0.0 Ok: queued as Q8\r\n");
	assert_int_equal(fake.checks, 0);
	assert_int_equal(fake.rcpts, 1);
	assert_string_equal(fake.content, "Subject: x\r\n\r\nhello\r\n");
	assert_int_equal(fake.size, fake.text_len);
	at = strstr(fake.prefix, "with ESMTP id \r\n");
	assert_non_null(at);
	assert_int_equal(at + 14 - fake.prefix, fake.qid_at);

	/* Several pieces; then too large for it. */
	memset(big, 'x', 60000);
	big[40000] = '\0';
	say(fd, ENVELOPE, 10);
	say(fd, big, 10);
	say(fd, "\r\n.\r\n", 11);
	assert_int_equal(fake.text_len, 40002);
	assert_int_equal(fake.size, 40002);
	assert_int_equal(fake.whole, 1);
	memset(big, 'x', 60000);
	big[60000] = '\0';
	say(fd, ENVELOPE, 15);
	say(fd, big, 15);
	say(fd, "\r\n.\r\n", 16);
	assert_int_equal(fake.whole, 0);
	assert_int_equal(fake.size, 60002);
	assert_int_equal(lseek(fake.fd, 0, SEEK_END), 60002);
	assert_int_equal(fake.checks, 1);

	/* Rules came while the content did. */
	say(fd, ENVELOPE "half\r\n", 20);
	filter_wants(1);
	say(fd, ".\r\n", 21);
	assert_int_equal(fake.checks, 2);
	assert_string_equal(fake.content, "half\r\n");

	/* queued refuses: the next is asked about first. */
	filter_wants(0);
	fake.commit_status = MSG_FULL;
	say(fd, ENVELOPE MESSAGE, 26);
	expect("\r\n452 4.3.1 ");
	fake.commit_status = MSG_OK;
	say(fd, ENVELOPE MESSAGE, 31);
	assert_int_equal(fake.whole, 0);
	say(fd, ENVELOPE MESSAGE, 36);
	assert_int_equal(fake.whole, 1);

	/* Without filterd nothing passes unjudged. */
	go_away(ROLE_FILTERD);
	for (int i = 0; i < 5; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	say(fd, ENVELOPE MESSAGE, 41);
	expect("\r\n451 4.3.0 The message cannot");
	free(big);
	hang_up(fd);
}

/* A chunk does not start the clock of its message anew, wherever that is kept. */
static void
slow_chunks(const char *first, const char *second)
{
	int fd = client(LISTENER_SMTP);
	uint64_t end = now_ms() + 6000, next = 0;

	say(fd, ENVELOPE_OPEN, 4);
	for (int i = 0; now_ms() < end && strstr(got, "\r\n421 ") == NULL; turn(fd)) {
		const char *part = i % 2 == 0 ? first : second;
		if (now_ms() >= next) {
			next = now_ms() + 100;
			i += write(fd, part, strlen(part)) > 0;
		}
	}
	expect("\r\n421 ");
	hang_up(fd);
}

static void
test_slow_chunks(void **state)
{
	conf.timeout_data_s = 1;
	slow_chunks("BDAT 1\r\nx", "BDAT 0\r\n");
	filter_wants(0);
	slow_chunks("BDAT 2\r\nx", "y");
	slow_chunks("BDAT 0\r\n", "BDAT 0\r\n");
}

static unsigned int stopped;

static void
on_stopped(void)
{
	stopped++;
}

/* Last, since a stopped smtpd does not start again. */
static void
test_stop(void **state)
{
	int fd = client(LISTENER_SMTP);

	say(fd, ENVELOPE, 5);
	session_stop_all(on_stopped);
	say(fd, "", 6);
	expect("\r\n421 4.3.2 ");
	assert_int_equal(stopped, 1);
	hang_up(fd);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { T(test_accept), T(test_large),
		T(test_spill_at_the_end), T(test_verdicts), T(test_queue_full),
		T(test_lost_peers), T(test_client_vanishes), T(test_submission),
		T(test_local), T(test_deaf_client), T(test_half_closed), T(test_whole),
		T(test_slow_chunks), T(test_stop) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
