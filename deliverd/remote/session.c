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
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/conn.h"
#include "common/daemon.h"
#include "common/log.h"
#include "deliverd/remote/login.h"
#include "deliverd/remote/session_int.h"

#define INPUT_MAX 65536
#define IDLE_MAX 64
#define CLOSE_MS 3000
#define SLICE 32768
#define UNSENT_MAX 131072

static TAILQ_HEAD(session_list, session) sessions = TAILQ_HEAD_INITIALIZER(sessions);
/* Those without a job, the latest first: the oldest end by themselves. */
static struct session_list idle = TAILQ_HEAD_INITIALIZER(idle);

/* What is wanted of TLS is part of it: a connection made for less is not for more. */
static void
key_of(const struct job *j, char *out, size_t cap)
{
	snprintf(out, cap, "%s%s %s%s",
	    j->require_tls && j->sender[0] != '\0' ? "!"
	    : j->tls_optional                      ? "?"
						   : "",
	    j->route_text, j->mx ? "mx:" : "", j->mx ? j->domain : "");
}

static void
session_free(struct session *s, bool gently)
{
	TAILQ_REMOVE(&sessions, s, entry);
	remote_stats.sessions--;
	if (s->job != NULL)
		s->job->session = NULL;
	else {
		TAILQ_REMOVE(&idle, s, idle);
		remote_stats.idle--;
	}
	if (gently && s->connected && !s->handshake) {
		conn_write_buffer(s->conn, smtp_out_output(s->engine));
		conn_close(s->conn, CLOSE_MS);
	} else
		conn_free(s->conn);
	login_free(s->login);
	recode_free(s->convert);
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

	for (s = TAILQ_FIRST(&idle); s != NULL; s = next) {
		next = TAILQ_NEXT(s, idle);
		quit(s);
	}
}

/* The session ends, the job looks for another host. */
void
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
	uint32_t seconds = smtp_out_in_final(s->engine)  ? remote_conf.final_timeout_s
			   : smtp_out_in_data(s->engine) ? remote_conf.data_timeout_s
			   : smtp_out_in_greeting(s->engine)
			       ? remote_conf.greeting_timeout_s
			       : remote_conf.command_timeout_s;

	if (s->job == NULL)
		seconds = remote_conf.idle_s;
	conn_deadline(s->conn, seconds * 1000);
}

/* ---- content ---- */

static ssize_t
read_slice(struct session *s, uint8_t *buf, size_t cap)
{
	const struct job *j = s->job;
	uint64_t before = j->fields_len + j->prefix_len, total = before + j->size;
	ssize_t n;

	if (s->offset < before) {
		const void *from = s->offset < j->fields_len
				       ? (const void *)(j->fields + s->offset)
				       : j->prefix + (s->offset - j->fields_len);

		n = (ssize_t)((s->offset < j->fields_len ? j->fields_len : before) -
			      s->offset);
		if ((size_t)n > cap)
			n = (ssize_t)cap;
		memcpy(buf, from, (size_t)n);
		return n;
	}
	if (total - s->offset < cap)
		cap = (size_t)(total - s->offset);
	n = pread(j->fd, buf, cap, (off_t)(s->offset - before));
	/* An end before the size is no end of the message. */
	return n > 0 ? n : -1;
}

static int
unreadable(struct session *s)
{
	struct job *j = s->job;

	log_warn("content of %s cannot be read", j->qid);
	session_free(s, false);
	job_result_rest(
	    j, JOB_DEFERRED, "4.3.0", "", "", "This host cannot read the message now.");
	job_end(j);
	return -1;
}

static int
put_converted(void *arg, const void *data, size_t len)
{
	struct session *s = arg;

	return smtp_out_content(s->engine, data, len);
}

/* Where the server takes no 8-bit content, it is looked for and made 7-bit (RFC 6152,
 * 3). 0; -1: the session is gone. */
static int
begin_content(struct session *s)
{
	static uint8_t buf[SLICE];
	uint64_t total = s->job->message.size;
	ssize_t n;

	s->feeding = true;
	s->offset = 0;
	if (!smtp_out_needs_7bit(s->engine))
		return 0;
	if ((s->convert = recode_new(RECODE_7BIT, put_converted, s)) == NULL)
		goto no_memory;
	for (; s->offset < total; s->offset += (uint64_t)n) {
		if ((n = read_slice(s, buf, sizeof(buf))) == -1)
			return unreadable(s);
		if (recode_scan(s->convert, buf, (size_t)n) == -1)
			goto no_memory;
	}
	s->offset = 0;
	if (recode_scanned(s->convert))
		log_fact(LOG_DELIVERY, LOGL_INFO, "converted", KS("qid", s->job->qid),
		    KS("host", s->mta));
	else {
		recode_free(s->convert);
		s->convert = NULL;
	}
	return 0;
no_memory:
	session_failed(s, JOB_DEFERRED, "4.3.0", "", "This host is short of memory.");
	return -1;
}

/* 0; -1: the session is gone. */
static int
feed(struct session *s)
{
	static uint8_t buf[SLICE];
	uint64_t total = s->job->message.size;
	struct evbuffer *out = smtp_out_output(s->engine);

	while (
	    s->feeding && conn_unsent(s->conn) + evbuffer_get_length(out) < UNSENT_MAX) {
		ssize_t n;
		int rc;

		if (s->offset >= total) {
			s->feeding = false;
			if (s->convert == NULL || recode_end(s->convert) == 0)
				(void)smtp_out_content_end(s->engine);
			break;
		}
		if ((n = read_slice(s, buf, sizeof(buf))) == -1)
			return unreadable(s);
		s->offset += (uint64_t)n;
		rc = s->convert != NULL ? recode_push(s->convert, buf, (size_t)n)
					: smtp_out_content(s->engine, buf, (size_t)n);
		if (rc == -1)
			s->feeding = false;
	}
	conn_write_buffer(s->conn, out);
	return 0;
}

/* ---- TLS ---- */

static void
report_tls(struct session *s, enum tlsrpt_result result, const char *reason)
{
	if (s->job != NULL && !s->reported)
		tlsreport_session(s->job, &s->policy, s->conn, s->host.name, &s->addr,
		    smtp_out_greeting(s->engine), result, reason);
	s->reported = true;
}

static void
report_no_tls(struct session *s, enum tls_event e, const char *detail)
{
	if (e == TLS_NOT_OFFERED || e == TLS_DOWNGRADE)
		report_tls(s, TLSRPT_STARTTLS_NOT_SUPPORTED, "");
	else if (e == TLS_CERTIFICATE)
		report_tls(s,
		    conn_tls_certificate_failed(s->conn) ? tlsreport_certificate(s->conn)
							 : TLSRPT_VALIDATION_FAILURE,
		    detail);
	else if (e != TLS_UNAVAILABLE)
		report_tls(s, TLSRPT_VALIDATION_FAILURE,
		    detail[0] != '\0' ? detail : "STARTTLS was refused");
}

/* The talk goes on in plain, which nobody has minded. */
static void
report_plain(struct session *s)
{
	if (!s->reported && s->job != NULL && smtp_out_said_hello(s->engine) &&
	    !conn_is_tls(s->conn))
		report_no_tls(s,
		    smtp_out_offered_tls(s->engine) ? TLS_REFUSED : TLS_NOT_OFFERED, "");
}

/* TLS was not to be had: what the policy says about that. */
static void
no_tls(struct session *s, enum tls_event e, const char *detail)
{
	struct job *j = s->job;
	struct dnshost h = s->host;
	struct dnsaddr a = s->addr;
	struct tls_outcome o;

	if (j == NULL) {
		session_free(s, false);
		return;
	}
	report_no_tls(s, e, detail);
	if (e == TLS_NOT_OFFERED && s->defer_downgrade)
		e = TLS_DOWNGRADE;
	tlspolicy_outcome(&s->policy, e, detail, &o);
	log_fact(LOG_DELIVERY, LOGL_INFO, "tls-failed", KS("qid", j->qid),
	    KS("host", s->mta), KS("why", detail[0] != '\0' ? detail : o.text));
	if (o.step == TLS_NEXT_HOST) {
		session_failed(s, o.status, o.code, "", o.text);
		return;
	}
	session_free(s, false);
	session_open(j, &h, &a, true, -1);
}

static void
begin_tls(struct session *s)
{
	s->handshake = true;
	if (s->job == NULL ||
	    session_tls_begin(s->conn, s->job, &s->policy, s->host.name) == -1)
		no_tls(s, TLS_UNAVAILABLE, "");
	else
		conn_deadline(s->conn, remote_conf.command_timeout_s * 1000);
}

static void
start_talk(struct session *s)
{
	s->handshake = false;
	set_deadline(s);
	if (conn_is_tls(s->conn))
		smtp_out_tls_ready(s->engine); /* does nothing before the greeting */
	session_run(s);
}

static void
tls_is_there(struct session *s)
{
	const char *why;

	remote_stats.tls++;
	downgrade_note(s->host.name);
	if (s->job != NULL && !session_tls_right(s->conn, s->job, &s->policy, &why))
		no_tls(s, TLS_CERTIFICATE, why);
	else {
		if (s->job != NULL && !s->reported)
			tlsreport_established(s->job, &s->policy, s->conn, s->host.name,
			    &s->addr, smtp_out_greeting(s->engine));
		s->reported = true;
		start_talk(s);
	}
}

/* How the message travels, for the log and for why. */
static void
log_transport(struct session *s)
{
	char how[300];

	tlspolicy_sentence(&s->policy, conn_tls_version(s->conn),
	    conn_tls_cipher(s->conn), conn_is_tls(s->conn) ? conn_tls_trust(s->conn) : "",
	    how, sizeof(how));
	log_fact(LOG_DELIVERY, LOGL_INFO, "sending", KS("qid", s->job->qid),
	    KS("host", s->mta), KS("how", how));
	if (!conn_is_tls(s->conn) && s->policy.mode == TLS_MODE_TRY &&
	    downgrade_known(s->host.name) && !s->downgrade_told) {
		s->downgrade_told = true;
		log_fact(LOG_DELIVERY, LOGL_WARN, "tls-downgrade", KS("qid", s->job->qid),
		    KS("host", s->mta));
	}
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
	bool more;

	s->feeding = false;
	recode_free(s->convert);
	s->convert = NULL;
	/* The next member of a list, over the same connection as long as that is right.
	 */
	more = job_message(j, false);
	if (more && s->messages < s->messages_max &&
	    smtp_out_message(s->engine, &j->message) == 0) {
		s->messages++;
		s->reused = true;
		return;
	}
	s->job = NULL;
	TAILQ_INSERT_HEAD(&idle, s, idle);
	remote_stats.idle++;
	j->session = NULL;
	/* Before those that are left: they would begin with these, at the same host. */
	if (j->n_fall > 0)
		walk_fallback(j);
	else if (more) {
		/* It was the messages of this connection, not the host, that ended. */
		j->tries = 0;
		walk_again(j);
	} else
		job_end(j);
}

static void
trouble(struct session *s, const struct smtp_out_action *a)
{
	if (a->no_tls)
		no_tls(s, TLS_NOT_OFFERED, "");
	else if (a->tls_refused)
		no_tls(s, TLS_REFUSED, a->reply);
	else
		session_failed(s, a->status, a->enhanced, a->reply, a->text);
}

/* A reply at which the route wants the fallback is no result yet. */
static void
result(struct session *s, const struct smtp_out_action *a)
{
	struct job *j = s->job;

	if (a->status != JOB_DELIVERED && walk_fallback_on(j, a->reply, a->enhanced)) {
		j->n_fall++;
		strlcpy(j->trouble.reply, a->reply, sizeof(j->trouble.reply));
		return;
	}
	job_result(
	    j, a->index, a->status, a->enhanced, s->mta, a->reply, a->text, detail_of(s));
}

void
session_run(struct session *s)
{
	struct smtp_out_action a;

	if (s->job != NULL && !smtp_out_in_greeting(s->engine))
		patience_end(s->job);
	for (;;) {
		conn_write_buffer(s->conn, smtp_out_output(s->engine));
		report_plain(s);
		smtp_out_next(s->engine, &a);
		switch (a.kind) {
		case SMTP_OUT_NONE:
			if (s->job == NULL && (s->messages >= s->messages_max ||
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
			log_transport(s);
			if (begin_content(s) == -1 || feed(s) == -1)
				return;
			set_deadline(s);
			break;
		case SMTP_OUT_RESULT:
			result(s, &a);
			break;
		case SMTP_OUT_LOGIN:
			login_begin(s, a.text);
			return;
		case SMTP_OUT_CHALLENGE:
			login_challenge(s, a.reply);
			return;
		case SMTP_OUT_LOGGED_IN:
			if (login_done(s) == -1)
				return;
			break;
		case SMTP_OUT_DONE:
			message_done(s);
			break;
		case SMTP_OUT_TROUBLE:
			trouble(s, &a);
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
	session_run(s);
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
on_error(struct session *s, const char *why)
{
	if (!s->connected)
		connect_failed(s, why);
	else if (s->handshake)
		no_tls(s,
		    conn_tls_certificate_failed(s->conn) ? TLS_CERTIFICATE
							 : TLS_HANDSHAKE,
		    why);
	else {
		smtp_out_lost(s->engine, why);
		session_run(s);
	}
}

void
session_give_up(struct session *s)
{
	if (!s->connected)
		connect_failed(s, "it does not answer");
	else if (s->handshake)
		no_tls(s, TLS_HANDSHAKE, "it does not answer");
	else if (s->job == NULL)
		quit(s);
	else {
		smtp_out_timeout(s->engine);
		session_run(s);
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
		tls_is_there(s);
		break;
	case CONN_INPUT:
		input(s);
		break;
	case CONN_MARK: /* none is expected */
		break;
	case CONN_LOW_WATER:
		if (s->feeding && feed(s) == -1)
			break;
		if (smtp_out_in_data(s->engine))
			set_deadline(s);
		session_run(s);
		break;
	case CONN_EOF:
		on_error(s, "it was closed");
		break;
	case CONN_TIMEOUT:
		session_give_up(s);
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
	(void)job_message(j, true);
	j->n_fall = 0;
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
	TAILQ_FOREACH (s, &idle, idle) {
		if (strcmp(s->key, key) != 0 || !smtp_out_idle(s->engine) ||
		    !give_message(s, j))
			continue;
		TAILQ_REMOVE(&idle, s, idle);
		patience_end(j);
		s->reused = true;
		remote_stats.idle--;
		remote_stats.reused++;
		set_deadline(s);
		session_run(s);
		return true;
	}
	return false;
}

/* Our own address, of the route or as configured for that family; 0: any. */
static socklen_t
source_address(const struct route *r, int family, struct sockaddr_storage *ss)
{
	const struct dnsaddr *own = family == AF_INET ? &r->source4 : &r->source6;
	const char *text = family == AF_INET ? remote_conf.source4 : remote_conf.source6;
	struct dnsaddr a;

	if (own->family == family)
		return dnsaddr_sockaddr(own, 0, ss);
	if (text[0] == '\0' || dnsaddr_parse(text, &a) == -1 || a.family != family)
		return 0;
	return dnsaddr_sockaddr(&a, 0, ss);
}

static void
name_host(struct session *s)
{
	char ip[64];

	if (s->addr.family == AF_UNIX) {
		strlcpy(s->mta, s->host.name, sizeof(s->mta));
		return;
	}
	dnsaddr_text(&s->addr, ip, sizeof(ip));
	if (strcmp(ip, s->host.name) == 0)
		snprintf(s->mta, sizeof(s->mta), "[%s]", ip);
	else
		snprintf(s->mta, sizeof(s->mta), "%.180s [%s]", s->host.name, ip);
}

static enum smtp_out_tls
engine_tls(const struct session *s, bool plain)
{
	if (s->implicit || plain || s->policy.mode == TLS_MODE_PLAIN)
		return SMTP_OUT_TLS_NO;
	if (s->policy.mode > TLS_MODE_TRY || s->defer_downgrade)
		return SMTP_OUT_TLS_REQUIRED;
	return remote_tls() != NULL ? SMTP_OUT_TLS_OFFERED : SMTP_OUT_TLS_NO;
}

void
session_open(
    struct job *j, const struct dnshost *h, const struct dnsaddr *a, bool plain, int fd)
{
	struct session *s = calloc(1, sizeof(*s));
	struct smtp_out_conf conf = { .lmtp = j->route.url.scheme == ROUTE_LMTP,
		.login = j->route.url.user[0] != '\0',
		.chunking = remote_conf.chunking };
	struct sockaddr_storage to, from;
	socklen_t to_len = fd != -1 ? 0 : dnsaddr_sockaddr(a, j->route.url.port, &to);
	socklen_t from_len = fd != -1 ? 0 : source_address(&j->route, a->family, &from);

	if (s == NULL)
		goto fail;
	s->host = *h;
	s->addr = *a;
	s->policy = j->policy;
	s->messages_max =
	    j->route.messages != 0 ? j->route.messages : remote_conf.messages_max;
	s->defer_downgrade = remote_conf.downgrade && s->policy.mode == TLS_MODE_TRY &&
			     !j->tls_optional && downgrade_known(h->name);
	s->implicit = j->route.url.scheme == ROUTE_SMTPS;
	s->reported = plain; /* of the connection before this one */
	name_host(s);
	key_of(j, s->key, sizeof(s->key));
	strlcpy(s->helo, j->route.helo[0] != '\0' ? j->route.helo : remote_helo(),
	    sizeof(s->helo));
	conf.helo = s->helo;
	/* What it is now is what it will be, or there is no sending. */
	conf.verified = s->policy.mode >= TLS_MODE_PKIX;
	conf.tls = engine_tls(s, plain && !s->defer_downgrade);
	if ((s->engine = smtp_out_new(&conf)) == NULL || !give_message(s, j))
		goto fail;
	if (fd != -1) {
		s->conn = conn_new(daemon_base(), fd, INPUT_MAX, on_event, s);
		fd = -1;
		s->connected = true;
	} else
		s->conn = conn_connect(daemon_base(), (struct sockaddr *)&to, to_len,
		    from_len > 0 ? (struct sockaddr *)&from : NULL, from_len, INPUT_MAX,
		    on_event, s);
	if (s->conn == NULL)
		goto fail;
	TAILQ_INSERT_TAIL(&sessions, s, entry);
	patience_begin(j);
	remote_stats.sessions++;
	remote_stats.connections++;
	if (s->connected)
		start_talk(s);
	else
		conn_deadline(s->conn, remote_conf.connect_timeout_s * 1000);
	return;
fail:
	if (fd != -1)
		close(fd);
	if (s != NULL)
		smtp_out_free(s->engine);
	free(s);
	j->session = NULL;
	job_result_rest(
	    j, JOB_DEFERRED, "4.3.0", "", "", "This host is short of memory.");
	job_end(j);
}
