/* SPDX-License-Identifier: ISC */
/*
 * A connection to a mail host: turns the actions of smtp_out.h into octets on a
 * conn, streams the content from the job's descriptor, and stays open for a few
 * seconds after a message for the next one that goes the same way.
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/conn.h"
#include "common/daemon.h"
#include "common/log.h"
#include "deliverd/remote/remote.h"
#include "deliverd/remote/tls_need.h"

#define INPUT_MAX 65536
#define IDLE_MS 5000
#define IDLE_MAX 64
#define MESSAGES_MAX 100 /* of one connection */
#define CLOSE_MS 3000
#define SLICE 32768
#define UNSENT_MAX 131072

struct session {
	TAILQ_ENTRY(session) entry;
	struct conn *conn;
	struct smtp_out *engine;
	struct job *job;
	char key[520]; /* of those jobs that may share it */
	char mta[256]; /* "mx.example.net [192.0.2.1]" */
	struct dnshost host;
	struct dnsaddr addr;
	bool connected;
	bool handshake;
	bool implicit; /* TLS from the start */
	bool verify;
	bool must; /* require_tls: without TLS there is no sending, nor a later try */
	bool reused;
	bool feeding;
	uint64_t offset; /* of prefix and content */
	uint64_t replies;
	unsigned int messages;
};

static TAILQ_HEAD(, session) sessions = TAILQ_HEAD_INITIALIZER(sessions);

static void run(struct session *);

static void
key_of(const struct job *j, char *out, size_t cap)
{
	snprintf(out, cap, "%s%s%s", j->require_tls && j->sender[0] != '\0' ? "tls:" : "",
	    j->mx ? "mx:" : "", j->mx ? j->domain : j->route);
}

static void
session_free(struct session *s, bool gently)
{
	TAILQ_REMOVE(&sessions, s, entry);
	remote_stats.sessions--;
	if (s->job != NULL)
		s->job->session = NULL;
	else
		remote_stats.idle--;
	if (gently && s->connected && !s->handshake) {
		conn_write_buffer(s->conn, smtp_out_output(s->engine));
		conn_close(s->conn, CLOSE_MS);
	} else
		conn_free(s->conn);
	smtp_out_free(s->engine);
	free(s);
}

void
session_abort(struct session *s)
{
	session_free(s, false);
}

bool
session_past_end(const struct session *s)
{
	return smtp_out_past_end(s->engine);
}

static void
quit(struct session *s)
{
	smtp_out_quit(s->engine);
	session_free(s, true);
}

void
session_quit_all_idle(void)
{
	struct session *s, *next;

	for (s = TAILQ_FIRST(&sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (s->job == NULL)
			quit(s);
	}
}

/* The session ends, the job looks for another host. */
static void
session_failed(struct session *s, enum job_status status, const char *enhanced,
    const char *reply, const char *text)
{
	struct job *j = s->job;
	struct trouble t = { .set = true, .status = status };
	bool again = s->reused && smtp_out_untouched(s->engine);

	strlcpy(t.enhanced, enhanced, sizeof(t.enhanced));
	/* A name says to queued that somebody was reached there. */
	strlcpy(t.mta, s->connected ? s->mta : "", sizeof(t.mta));
	strlcpy(t.reply, reply, sizeof(t.reply));
	strlcpy(t.text, text, sizeof(t.text));
	if (j != NULL && !again)
		log_fact(LOG_DELIVERY, LOGL_INFO, "host-failed", KS("qid", j->qid),
		    KS("host", s->mta), KS("code", enhanced),
		    KS("why", reply[0] ? reply : text));
	session_free(s, true);
	if (j == NULL)
		return;
	if (again)
		walk_again(j);
	else
		walk_next(j, &t);
}

/* ---- deadlines ---- */

static void
set_deadline(struct session *s)
{
	uint32_t seconds = smtp_out_in_data(s->engine) ? remote_conf.data_timeout_s
						       : remote_conf.command_timeout_s;

	conn_deadline(s->conn, s->job == NULL ? IDLE_MS : seconds * 1000);
}

/* ---- content ---- */

static ssize_t
read_slice(struct session *s, uint8_t *buf, size_t cap)
{
	const struct job *j = s->job;
	uint64_t total = j->prefix_len + j->size;
	ssize_t n;

	if (s->offset < j->prefix_len) {
		n = (ssize_t)(j->prefix_len - s->offset < cap ? j->prefix_len - s->offset
							      : cap);
		memcpy(buf, j->prefix + s->offset, (size_t)n);
		return n;
	}
	if (total - s->offset < cap)
		cap = (size_t)(total - s->offset);
	n = pread(j->fd, buf, cap, (off_t)(s->offset - j->prefix_len));
	/* An end before the size is no end of the message. */
	return n > 0 ? n : -1;
}

/* 0; -1: the session is gone. */
static int
feed(struct session *s)
{
	static uint8_t buf[SLICE];
	uint64_t total = s->job->prefix_len + s->job->size;
	struct evbuffer *out = smtp_out_output(s->engine);

	while (
	    s->feeding && conn_unsent(s->conn) + evbuffer_get_length(out) < UNSENT_MAX) {
		ssize_t n;

		if (s->offset >= total) {
			s->feeding = false;
			(void)smtp_out_content_end(s->engine);
			break;
		}
		if ((n = read_slice(s, buf, sizeof(buf))) == -1) {
			struct job *j = s->job;

			log_warn("content of %s cannot be read", j->qid);
			session_free(s, false);
			job_result_rest(j, JOB_DEFERRED, "4.3.0", "", "",
			    "This host cannot read the message now.");
			job_end(j);
			return -1;
		}
		s->offset += (uint64_t)n;
		if (smtp_out_content(s->engine, buf, (size_t)n) == -1)
			s->feeding = false;
	}
	conn_write_buffer(s->conn, out);
	return 0;
}

/* ---- TLS ---- */

static void
begin_tls(struct session *s)
{
	s->handshake = true;
	/* Without a context only where TLS is required: then it cannot be had. */
	if (remote_tls() == NULL ||
	    conn_tls_client(s->conn, remote_tls(), s->host.name, s->verify) == -1)
		session_failed(s, JOB_DEFERRED, "4.7.5", "",
		    "No secure connection can be made to the remote host now.");
	else
		set_deadline(s);
}

static void
tls_failed(struct session *s, const char *why)
{
	struct trouble t;
	char text[512];

	if (!s->verify && s->job != NULL) {
		/* Opportunistic: the same host once more, in plain. */
		struct job *j = s->job;
		struct dnshost h = s->host;
		struct dnsaddr a = s->addr;

		log_fact(LOG_DELIVERY, LOGL_INFO, "tls-failed", KS("qid", j->qid),
		    KS("host", s->mta), KS("why", why));
		session_free(s, false);
		if (!session_open(j, &h, &a, true, &t))
			walk_next(j, &t);
		return;
	}
	snprintf(text, sizeof(text),
	    "No secure connection can be made to the remote host now: %s.", why);
	/* RFC 8689, 4.2.1: the sender is told at once. */
	if (s->must)
		session_failed(s, JOB_FAILED, "5.7.10", "", text);
	else
		session_failed(s, JOB_DEFERRED, "4.7.5", "", text);
}

/* ---- the engine's wishes ---- */

/* What queued reads of it: the remote host sends what the sender asked to be told, and
 * knows until when the message has to arrive. */
static const char *
detail_of(const struct session *s)
{
	static const char *const words[] = { "", "dsn", "deliverby", "dsn deliverby" };

	return words[smtp_out_has_dsn(s->engine) + 2 * smtp_out_has_deliverby(s->engine)];
}

static void
message_done(struct session *s)
{
	struct job *j = s->job;

	s->feeding = false;
	s->job = NULL;
	remote_stats.idle++;
	j->session = NULL;
	job_end(j);
}

static void
run(struct session *s)
{
	struct smtp_out_action a;

	for (;;) {
		conn_write_buffer(s->conn, smtp_out_output(s->engine));
		smtp_out_next(s->engine, &a);
		switch (a.kind) {
		case SMTP_OUT_NONE:
			if (s->job == NULL && (s->messages >= MESSAGES_MAX ||
						  remote_stats.idle > IDLE_MAX)) {
				quit(s);
				return;
			}
			if (s->replies != smtp_out_replies(s->engine) || s->job == NULL) {
				s->replies = smtp_out_replies(s->engine);
				set_deadline(s);
			}
			return;
		case SMTP_OUT_STARTTLS:
			begin_tls(s);
			return;
		case SMTP_OUT_CONTENT:
			s->feeding = true;
			s->offset = 0;
			if (feed(s) == -1)
				return;
			set_deadline(s);
			break;
		case SMTP_OUT_RESULT:
			job_result(s->job, a.index, a.status, a.enhanced, s->mta, a.reply,
			    a.text, detail_of(s));
			break;
		case SMTP_OUT_DONE:
			message_done(s);
			break;
		case SMTP_OUT_TROUBLE:
			session_failed(s, a.status, a.enhanced, a.reply, a.text);
			return;
		case SMTP_OUT_CLOSE:
			session_free(s, true);
			return;
		}
	}
}

/* ---- events ---- */

static void
input(struct session *s)
{
	struct evbuffer *in = conn_input(s->conn);
	size_t len = evbuffer_get_length(in), used;
	unsigned char *p = evbuffer_pullup(in, -1);

	if (p == NULL)
		return;
	used = smtp_out_input(s->engine, p, len);
	evbuffer_drain(in, used);
	run(s);
}

static void
connect_failed(struct session *s, const char *why)
{
	char text[512];

	remote_stats.connect_failed++;
	snprintf(text, sizeof(text),
	    "The remote host %.200s accepts no connection: %.200s.", s->mta, why);
	session_failed(s, JOB_DEFERRED, "4.4.1", "", text);
}

static void
start_talk(struct session *s)
{
	s->handshake = false;
	set_deadline(s);
	if (conn_is_tls(s->conn))
		smtp_out_tls_ready(s->engine); /* does nothing before the greeting */
	run(s);
}

static void
on_error(struct session *s, const char *why)
{
	if (!s->connected)
		connect_failed(s, why);
	else if (s->handshake)
		tls_failed(s, why);
	else {
		smtp_out_lost(s->engine, why);
		run(s);
	}
}

static void
on_event(struct conn *c, enum conn_event what, void *arg)
{
	struct session *s = arg;

	switch (what) {
	case CONN_CONNECTED:
		s->connected = true;
		if (s->implicit)
			begin_tls(s);
		else
			start_talk(s);
		break;
	case CONN_TLS_READY:
		remote_stats.tls++;
		log_debug("%s: %s", s->mta, conn_tls_cipher(c));
		start_talk(s);
		break;
	case CONN_INPUT:
		input(s);
		break;
	case CONN_LOW_WATER:
		if (s->feeding && feed(s) == -1)
			break;
		if (smtp_out_in_data(s->engine))
			set_deadline(s);
		run(s);
		break;
	case CONN_EOF:
		on_error(s, "it was closed");
		break;
	case CONN_TIMEOUT:
		if (!s->connected)
			connect_failed(s, "it does not answer");
		else if (s->handshake)
			tls_failed(s, "it does not answer");
		else if (s->job == NULL)
			quit(s);
		else {
			smtp_out_timeout(s->engine);
			run(s);
		}
		break;
	case CONN_ERROR:
		on_error(s, conn_error(c));
		break;
	}
}

/* ---- beginning ---- */

static bool
give_message(struct session *s, struct job *j)
{
	j->message.rcpts = j->rcpts;
	j->message.n_rcpts = j->n_rcpts;
	if (smtp_out_message(s->engine, &j->message) == -1)
		return false;
	s->job = j;
	s->messages++;
	j->session = s;
	j->state = JOB_RUNNING;
	return true;
}

bool
session_reuse(struct job *j)
{
	struct session *s;
	char key[sizeof(s->key)];

	key_of(j, key, sizeof(key));
	TAILQ_FOREACH (s, &sessions, entry) {
		if (s->job != NULL || strcmp(s->key, key) != 0 ||
		    !smtp_out_idle(s->engine) || !give_message(s, j))
			continue;
		s->reused = true;
		remote_stats.idle--;
		remote_stats.reused++;
		set_deadline(s);
		run(s);
		return true;
	}
	return false;
}

/* Our own address, as configured for that family; 0: any. */
static socklen_t
source_address(int family, struct sockaddr_storage *ss)
{
	const char *text = family == AF_INET ? remote_conf.source4 : remote_conf.source6;
	struct dnsaddr a;

	if (text[0] == '\0' || dnsaddr_parse(text, &a) == -1 || a.family != family)
		return 0;
	return dnsaddr_sockaddr(&a, 0, ss);
}

bool
session_open(struct job *j, const struct dnshost *h, const struct dnsaddr *a, bool plain,
    struct trouble *t)
{
	struct session *s;
	struct smtp_out_conf conf = { .helo = remote_helo() };
	struct tls_ask ask = { .scheme = j->url.scheme,
		.mx = j->mx,
		.mx_secure = j->mx_secure,
		.require_tls = j->require_tls && j->sender[0] != '\0',
		.tls_optional = j->tls_optional,
		.failed = plain,
		.have_tls = remote_tls() != NULL };
	struct tls_need need;
	struct sockaddr_storage to, from;
	socklen_t to_len = dnsaddr_sockaddr(a, j->url.port, &to);
	socklen_t from_len = source_address(a->family, &from);
	char ip[64];

	tls_need_of(&ask, &need);
	if (need.enhanced != NULL) {
		*t = (struct trouble){ .set = true, .status = JOB_FAILED };
		strlcpy(t->enhanced, need.enhanced, sizeof(t->enhanced));
		strlcpy(t->text, need.text, sizeof(t->text));
		return false;
	}
	if ((s = calloc(1, sizeof(*s))) == NULL)
		goto fail;
	s->host = *h;
	s->addr = *a;
	dnsaddr_text(a, ip, sizeof(ip));
	if (strcmp(ip, h->name) == 0)
		snprintf(s->mta, sizeof(s->mta), "[%s]", ip);
	else
		snprintf(s->mta, sizeof(s->mta), "%.180s [%s]", h->name, ip);
	key_of(j, s->key, sizeof(s->key));
	conf.lmtp = j->url.scheme == ROUTE_LMTP;
	s->implicit = need.implicit;
	s->verify = conf.verified = need.verify;
	s->must = ask.require_tls;
	conf.tls = need.tls;
	if ((s->engine = smtp_out_new(&conf)) == NULL || !give_message(s, j))
		goto fail;
	s->conn = conn_connect(daemon_base(), (struct sockaddr *)&to, to_len,
	    from_len > 0 ? (struct sockaddr *)&from : NULL, from_len, INPUT_MAX, on_event,
	    s);
	if (s->conn == NULL)
		goto fail;
	conn_deadline(s->conn, remote_conf.connect_timeout_s * 1000);
	TAILQ_INSERT_TAIL(&sessions, s, entry);
	remote_stats.sessions++;
	remote_stats.connections++;
	return true;
fail:
	if (s != NULL)
		smtp_out_free(s->engine);
	free(s);
	j->session = NULL;
	job_result_rest(
	    j, JOB_DEFERRED, "4.3.0", "", "", "This host is short of memory.");
	job_end(j);
	return true;
}
