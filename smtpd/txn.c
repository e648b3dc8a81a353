/* SPDX-License-Identifier: ISC */
/*
 * A message's way through the host: queued gives a descriptor, the content is written
 * there (memory first, a file when it grows), filterd judges it, queued commits.
 *
 *	txn_open --OPENED--> txn_write* (--SPILLED-->) txn_commit --VERDICT-->
 *--COMMITTED-->
 *
 * Whatever peer is lost on the way, the client gets a 4xx and sends it again; without
 * filterd nothing passes unjudged.
 */
#include <sys/stat.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/date.h"
#include "smtpd/gatekeeper.h"
#include "smtpd/received.h"
#include "smtpd/session_internal.h"
#include "smtpd/txn_internal.h"

#define SPILL_MS 30000
#define FILTER_MS 240000 /* a client waits 10 minutes (RFC 5321, 4.5.3.2.6) */
#define PREFIX_MAX 8192
#define COPY_CHUNK 65536

static struct channel *
queue_channel(const struct session *s)
{
	return s->txn.id == 0 ? NULL : channel_find(s->txn.channel);
}

static void
txn_clear(struct session *s)
{
	if (s->txn.fd != -1)
		close(s->txn.fd);
	free(s->txn.reason);
	free(s->txn.headers);
	free(s->txn.text);
	memset(&s->txn, 0, sizeof(s->txn));
	s->txn.fd = -1;
}

void
txn_abort(struct session *s)
{
	struct msg_txn q = { .txn = s->txn.id };
	struct channel *ch = queue_channel(s);

	ask_forget(&s->ask);
	if (ch != NULL)
		channel_send(ch, MSG_SMTPD_QUEUED_ABORT, 0, &q, -1);
	txn_clear(s);
}

/* The last word on a complete message. */
static void
finish(struct session *s, int code, const char *enhanced, const char *text)
{
	if (code >= 500)
		smtpd_stats.rejected++;
	else if (code >= 400)
		smtpd_stats.deferred++;
	session_reply_committed(s, code, enhanced, text);
}

void
txn_finish_reply(struct session *s, enum smtp_reply r)
{
	log_fact(LOG_SMTP, LOGL_INFO, "deferred", KS("qid", s->txn.qid),
	    KS("from", smtp_in_sender(s->in)), KS("client", s->client),
	    KS("msgid", smtp_in_content(s->in)->message_id),
	    KU("code", smtp_reply_code(r)), KS("reason", smtp_reply_text(r)));
	txn_abort(s);
	finish(s, smtp_reply_code(r), smtp_reply_enhanced(r), smtp_reply_text(r));
}

/* ---- opening ---- */

static void
on_opened(struct msg *m, void *arg)
{
	struct session *s = arg;
	enum answer_status status = MSG_TEMP;

	s->ask.id = 0;
	if (m != NULL) {
		status = (enum answer_status)m->p.txn_opened.status;
		s->txn.fd = msg_take_fd(m);
		s->txn.memory_max = m->p.txn_opened.memory_max;
		s->txn.spilled = s->txn.memory_max == 0; /* a file already */
		strlcpy(s->txn.qid, m->p.txn_opened.qid, sizeof(s->txn.qid));
		if (status == MSG_OK && s->txn.fd == -1)
			status = MSG_TEMP;
		if (status != MSG_OK)
			log_debug("queued refuses: %s", m->p.txn_opened.text);
	}
	if (status != MSG_OK)
		txn_abort(s);
	else
		txn_whole_trouble = 0;
	smtp_in_open_answer(s->in, status);
	session_run(s);
}

int
txn_send_rcpts(struct session *s, struct channel *ch)
{
	struct msg_txn_rcpt r = { .txn = s->txn.id };

	for (size_t i = 0; i < smtp_in_nrcpt(s->in); i++) {
		strlcpy(r.address, smtp_in_rcpt(s->in, i), sizeof(r.address));
		strlcpy(r.orcpt, smtp_in_orcpt(s->in, i), sizeof(r.orcpt));
		r.notify = smtp_in_notify(s->in, i);
		r.rrvs_action = smtp_in_rrvs(s->in, i, &r.rrvs);
		if (channel_send(ch, MSG_SMTPD_QUEUED_RCPT, 0, &r, -1) == -1)
			return -1;
	}
	return 0;
}

uint64_t
txn_begin_fill(const struct session *s, struct msg_txn_begin *q)
{
	const struct smtp_in_ext *x = smtp_in_ext(s->in);
	static uint64_t last_txn;

	memset(q, 0, sizeof(*q));
	q->txn = ++last_txn;
	q->size_hint = smtp_in_size_hint(s->in);
	q->body = smtp_in_body(s->in);
	q->smtputf8 = (uint8_t)smtp_in_smtputf8(s->in);
	q->ret = smtp_in_ret(s->in);
	q->login = s->login;
	q->require_tls = x->require_tls;
	q->priority = (uint8_t)x->priority;
	q->release = x->release;
	strlcpy(q->hold, x->hold, sizeof(q->hold));
	q->by = x->by;
	q->by_mode = x->by_mode;
	q->by_trace = x->by_trace;
	strlcpy(q->sender, smtp_in_sender(s->in), sizeof(q->sender));
	if (s->login_address != NULL)
		strlcpy(q->login_address, s->login_address, sizeof(q->login_address));
	strlcpy(q->client, s->client, sizeof(q->client));
	strlcpy(q->helo, smtp_in_helo(s->in), sizeof(q->helo));
	strlcpy(q->envid, smtp_in_envid(s->in), sizeof(q->envid));
	return q->txn;
}

void
txn_open(struct session *s)
{
	struct channel *ch = daemon_peer(ROLE_QUEUED);
	struct msg_txn_begin q;

	if (ch == NULL) {
		smtp_in_open_answer(s->in, MSG_TEMP);
		return;
	}
	if (txn_whole_open(s)) {
		smtp_in_open_answer(s->in, MSG_OK);
		return;
	}
	s->txn.id = txn_begin_fill(s, &q);
	s->txn.channel = channel_serial(ch);
	s->ask.channel = s->txn.channel;
	s->ask.id =
	    channel_ask(ch, MSG_SMTPD_QUEUED_BEGIN, &q, -1, TXN_OPEN_MS, on_opened, s);
	if (s->ask.id == 0 || txn_send_rcpts(s, ch) == -1) {
		txn_abort(s);
		smtp_in_open_answer(s->in, MSG_TEMP);
	}
}

/* ---- content ---- */

/* 0, or -1 with errno. */
int
txn_write_at(int fd, const char *data, size_t len, uint64_t offset)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, (off_t)offset);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = ENOSPC;
			return -1;
		}
		data += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

void
txn_content_failed(struct session *s, enum answer_status status)
{
	s->txn.failed = 1;
	smtp_in_content_failed(s->in, status);
}

enum answer_status
txn_status_of_errno(void)
{
	return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? MSG_FULL : MSG_TEMP;
}

/* queued may have copied what is there already; the rest is ours to do. */
static int
copy_content(int from, int to, uint64_t size)
{
	static char buf[COPY_CHUNK];
	struct stat st;
	uint64_t done;

	if (fstat(to, &st) == -1)
		return -1;
	done = (uint64_t)st.st_size == size ? size : 0;
	while (done < size) {
		ssize_t n = pread(from, buf, sizeof(buf), (off_t)done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0 || txn_write_at(to, buf, (size_t)n, done) == -1)
			return -1;
		done += (uint64_t)n;
	}
	return 0;
}

static void
on_spilled(struct msg *m, void *arg)
{
	struct session *s = arg;
	int fd = -1;

	s->ask.id = 0;
	s->txn.spilling = 0;
	if (m != NULL && m->p.txn_status.status == MSG_OK)
		fd = msg_take_fd(m);
	if (fd == -1)
		txn_content_failed(s, m != NULL && m->p.txn_status.status == MSG_FULL
					  ? MSG_FULL
					  : MSG_TEMP);
	else if (copy_content(s->txn.fd, fd, s->txn.written) == -1) {
		txn_content_failed(s, txn_status_of_errno());
		close(fd);
	} else {
		close(s->txn.fd);
		s->txn.fd = fd;
		s->txn.spilled = 1;
	}
	if (s->txn.complete)
		txn_commit(s);
	session_run(s);
}

void
txn_spill(struct session *s)
{
	struct msg_txn q = { .txn = s->txn.id };
	struct channel *ch = queue_channel(s);

	if (ch != NULL) {
		s->ask.channel = s->txn.channel;
		s->ask.id = channel_ask(
		    ch, MSG_SMTPD_QUEUED_SPILL, &q, -1, SPILL_MS, on_spilled, s);
	}
	if (ch == NULL || s->ask.id == 0)
		txn_content_failed(s, MSG_TEMP);
	else
		s->txn.spilling = 1;
}

void
txn_write(struct session *s, const char *data, size_t len)
{
	if (s->txn.failed)
		return;
	if (s->txn.whole) {
		txn_whole_write(s, data, len);
		return;
	}
	if (s->txn.fd == -1 || txn_write_at(s->txn.fd, data, len, s->txn.written) == -1) {
		txn_content_failed(s, txn_status_of_errno());
		return;
	}
	s->txn.written += len;
	if (!s->txn.spilled && s->txn.written > s->txn.memory_max)
		txn_spill(s);
}

/* ---- the verdict and the commit ---- */

static void
fill_received(const struct session *s, struct received *r)
{
	memset(r, 0, sizeof(*r));
	r->kind = s->kind;
	r->helo = smtp_in_helo(s->in);
	r->client_name = s->client_name != NULL ? s->client_name : "";
	r->client = s->client;
	r->hide_client = s->login != 0 && smtpd_conf()->hide_login_client;
	r->uid = s->uid;
	r->hostname = smtpd_in_conf()->hostname;
	r->tls = conn_is_tls(s->conn) ? conn_tls_cipher(s->conn) : "";
	r->esmtp = smtp_in_esmtp(s->in);
	r->authenticated = s->login != 0;
	r->smtputf8 = smtp_in_smtputf8(s->in);
	r->qid = s->txn.qid;
	r->has_priority = smtp_in_ext(s->in)->has_priority;
	r->priority = smtp_in_ext(s->in)->priority;
	r->rcpt = smtp_in_nrcpt(s->in) == 1 ? smtp_in_rcpt(s->in, 0) : "";
	r->time = wall_s();
	r->zone_min = date_local_zone(r->time);
}

/* What stands before the content: trace, the filter's fields, missing ones. -1: does
 * not fit. */
static int
make_prefix(const struct session *s, char *buf, size_t cap, size_t *qid_at)
{
	const struct smtp_data *d = smtp_in_content(s->in);
	struct received r;
	int n, extra;
	size_t len;

	fill_received(s, &r);
	if ((n = received_format(&r, buf, cap, qid_at)) == -1)
		return -1;
	len = (size_t)n;
	if (s->txn.headers_len > cap - len)
		return -1;
	if (s->txn.headers_len > 0)
		memcpy(buf + len, s->txn.headers, s->txn.headers_len);
	len += s->txn.headers_len;
	if (s->kind == LISTENER_SUBMISSION || s->kind == LISTENER_LOCAL ||
	    r.authenticated) {
		extra = received_add_missing(
		    &r, !d->has_date, !d->has_message_id, buf + len, cap - len);
		if (extra == -1)
			return -1;
		len += (size_t)extra;
	}
	/* Content that begins with its body: keep our fields apart from it. */
	if (d->no_header) {
		if (cap - len < 2)
			return -1;
		memcpy(buf + len, "\r\n", 2);
		len += 2;
	}
	return (int)len;
}

static void
log_received(const struct session *s)
{
	log_fact(LOG_SMTP, LOGL_INFO, "received", KS("qid", s->txn.qid),
	    KS("from", smtp_in_sender(s->in)),
	    KS("to", smtp_in_nrcpt(s->in) == 1 ? smtp_in_rcpt(s->in, 0) : ""),
	    KU("nrcpt", smtp_in_nrcpt(s->in)), KU("size", s->txn.written),
	    KS("msgid", smtp_in_content(s->in)->message_id), KS("client", s->client),
	    KS("helo", smtp_in_helo(s->in)),
	    KS("tls", conn_is_tls(s->conn) ? conn_tls_version(s->conn) : ""),
	    KS("user", s->login_address));
}

/* Where the host that hands it on has it from. */
static void
log_forwarded(const struct session *s)
{
	const struct xattr *x = smtp_in_forward(s->in);
	const struct sockaddr_in *in;
	const struct sockaddr_in6 *in6;
	char address[INET6_ADDRSTRLEN] = "";

	if (x == NULL || x->seen == 0)
		return;
	in = (const void *)&x->addr;
	in6 = (const void *)&x->addr;
	if (x->addr.ss_family != AF_UNSPEC)
		inet_ntop(x->addr.ss_family,
		    x->addr.ss_family == AF_INET ? (const void *)&in->sin_addr
						 : (const void *)&in6->sin6_addr,
		    address, sizeof(address));
	log_fact(LOG_SMTP, LOGL_INFO, "forwarded", KS("qid", s->txn.qid),
	    KS("client", address), KS("name", x->name), KS("helo", x->helo),
	    KS("ident", x->ident), KS("source", x->source));
}

/* What extensions ask for (RFC 6710, 4.1, wants it so). */
static void
log_asked(const struct session *s)
{
	const struct smtp_in_ext *x = smtp_in_ext(s->in);
	char priority[8] = "", by[40] = "";

	if (!x->has_priority && !x->require_tls && x->release == 0 && x->by_mode == 0)
		return;
	if (x->has_priority)
		snprintf(priority, sizeof(priority), "%d", x->priority);
	if (x->by_mode != 0)
		snprintf(by, sizeof(by), "%lld;%c%s", (long long)x->by, x->by_mode,
		    x->by_trace ? "T" : "");
	log_fact(LOG_SMTP, LOGL_INFO, "asked", KS("qid", s->txn.qid),
	    KS("tls", x->require_tls ? "required" : ""), KS("priority", priority),
	    KS("hold", x->hold), KS("by", by));
}

static void
on_committed(struct msg *m, void *arg)
{
	struct session *s = arg;
	enum answer_status status =
	    m == NULL ? MSG_TEMP : (enum answer_status)m->p.txn_status.status;
	char text[64];

	s->ask.id = 0;
	if (s->txn.whole)
		txn_whole_committed(s, m);
	switch (status) {
	case MSG_OK:
		smtpd_stats.messages++;
		log_received(s);
		log_forwarded(s);
		log_asked(s);
		snprintf(text, sizeof(text), "Ok: queued as %s", s->txn.qid);
		txn_clear(s);
		finish(s, 250, "2.0.0", text);
		break;
	case MSG_FULL:
		txn_finish_reply(s, SMTP_REPLY_QUEUE_FULL);
		break;
	case MSG_PERM:
	case MSG_DENIED:
		txn_finish_reply(s, SMTP_REPLY_QUEUE_REFUSED);
		break;
	default:
		txn_finish_reply(s, SMTP_REPLY_QUEUE_TEMP);
		break;
	}
	session_run(s);
}

void
txn_commit_now(struct session *s)
{
	struct msg_txn_commit q = { .txn = s->txn.id, .size = s->txn.written };
	struct channel *ch = queue_channel(s);
	char prefix[PREFIX_MAX];
	size_t qid_at = 0;
	int n;

	gatekeeper_mark(s);
	q.disposition = s->held ? DISPOSITION_QUARANTINE : s->txn.disposition;
	q.utf8_header = smtp_in_content(s->in)->fields.eightbit;
	q.tls_optional =
	    (uint8_t)smtp_fields_tls_optional(&smtp_in_content(s->in)->fields);
	n = make_prefix(s, prefix, sizeof(prefix), &qid_at);
	if (n == -1) {
		log_warnx("fields for %s do not fit", s->txn.qid);
		txn_finish_reply(s, SMTP_REPLY_TROUBLE);
		return;
	}
	q.prefix = (const uint8_t *)prefix;
	q.prefix_len = (size_t)n;
	if (s->txn.whole)
		q.qid_at = (uint16_t)qid_at;
	if (s->held)
		strlcpy(q.reason, s->held_why, sizeof(q.reason));
	else if (s->txn.reason != NULL)
		strlcpy(q.reason, s->txn.reason, sizeof(q.reason));
	if (ch != NULL) {
		s->ask.channel = s->txn.channel;
		s->ask.id = channel_ask(
		    ch, MSG_SMTPD_QUEUED_COMMIT, &q, -1, TXN_COMMIT_MS, on_committed, s);
	}
	if (ch == NULL || s->ask.id == 0)
		txn_finish_reply(s, SMTP_REPLY_QUEUE_TEMP);
}

static void
reject(struct session *s, const struct msg_filter_verdict *v)
{
	int defer = v->action == VERDICT_DEFER, code = v->code;
	const char *text = v->text[0] != '\0' ? v->text
			   : defer            ? "The message cannot be taken now"
					      : "The message is refused";
	const char *enhanced = v->enhanced[0] != '\0' ? v->enhanced
			       : defer                ? "4.7.1"
						      : "5.7.1";

	if (code / 100 != (defer ? 4 : 5))
		code = defer ? 451 : 550;
	log_fact(LOG_SMTP, LOGL_INFO, defer ? "deferred" : "rejected",
	    KS("qid", s->txn.qid), KS("from", smtp_in_sender(s->in)),
	    KS("to", smtp_in_nrcpt(s->in) == 1 ? smtp_in_rcpt(s->in, 0) : ""),
	    KU("nrcpt", smtp_in_nrcpt(s->in)), KU("size", s->txn.written),
	    KS("msgid", smtp_in_content(s->in)->message_id), KS("client", s->client),
	    KS("judge", v->judge), KU("code", code), KS("reason", text));
	txn_abort(s);
	finish(s, code, enhanced, text);
}

/* Whole lines and nothing that could end the header. */
static int
headers_are_sane(const uint8_t *p, size_t len)
{
	if (len == 0)
		return 1;
	if (len < 2 || memcmp(p + len - 2, "\r\n", 2) != 0 || p[0] == ' ' || p[0] == '\t')
		return 0;
	for (size_t i = 0, line = 0; i < len; i++) {
		if (p[i] == '\0' ||
		    (p[i] == '\r' && (i + 1 == len || p[i + 1] != '\n')) ||
		    (p[i] == '\n' && (i == 0 || p[i - 1] != '\r')))
			return 0;
		if (p[i] == '\r' && i == line)
			return 0;
		if (p[i] == '\n')
			line = i + 1;
	}
	return 1;
}

static void
on_verdict(struct msg *m, void *arg)
{
	struct session *s = arg;
	const struct msg_filter_verdict *v;

	s->ask.id = 0;
	if (m == NULL) {
		txn_finish_reply(s, SMTP_REPLY_FILTER_TEMP);
		session_run(s);
		return;
	}
	v = &m->p.filter_verdict;
	switch (v->action) {
	case VERDICT_ACCEPT:
		s->txn.disposition = DISPOSITION_ACCEPT;
		break;
	case VERDICT_JUNK:
		s->txn.disposition = DISPOSITION_JUNK;
		break;
	case VERDICT_QUARANTINE:
		s->txn.disposition = DISPOSITION_QUARANTINE;
		break;
	case VERDICT_REJECT:
	case VERDICT_DEFER:
		reject(s, v);
		session_run(s);
		return;
	default:
		txn_finish_reply(s, SMTP_REPLY_FILTER_TEMP);
		session_run(s);
		return;
	}
	s->txn.reason = strdup(v->text);
	if (v->headers_len > 0 && (s->txn.headers = malloc(v->headers_len)) != NULL) {
		memcpy(s->txn.headers, v->headers, v->headers_len);
		s->txn.headers_len = v->headers_len;
	}
	if (s->txn.reason == NULL || (v->headers_len > 0 && s->txn.headers == NULL))
		txn_finish_reply(s, SMTP_REPLY_TROUBLE);
	else if (!headers_are_sane(v->headers, v->headers_len)) {
		log_warnx("filterd adds broken header fields to %s", s->txn.qid);
		txn_finish_reply(s, SMTP_REPLY_FILTER_TEMP);
	} else
		txn_commit_now(s);
	session_run(s);
}

static void
ask_filter(struct session *s)
{
	struct channel *ch = daemon_peer(ROLE_FILTERD);
	struct msg_filter_check q = { .size = s->txn.written,
		.rcpts = (uint32_t)smtp_in_nrcpt(s->in) };
	uint8_t list[8192];
	size_t len = 0;
	int fd;

	if (ch == NULL || (fd = fcntl(s->txn.fd, F_DUPFD_CLOEXEC, 0)) == -1) {
		txn_finish_reply(s, SMTP_REPLY_FILTER_TEMP);
		return;
	}
	strlcpy(q.qid, s->txn.qid, sizeof(q.qid));
	strlcpy(q.client, s->client, sizeof(q.client));
	if (s->client_name != NULL)
		strlcpy(q.client_name, s->client_name, sizeof(q.client_name));
	strlcpy(q.helo, smtp_in_helo(s->in), sizeof(q.helo));
	strlcpy(q.sender, smtp_in_sender(s->in), sizeof(q.sender));
	if (s->login_address != NULL)
		strlcpy(q.login_address, s->login_address, sizeof(q.login_address));
	/* A line each, as many as fit. */
	for (size_t i = 0; i < smtp_in_nrcpt(s->in); i++) {
		const char *rcpt = smtp_in_rcpt(s->in, i);
		size_t n = strlen(rcpt) + 1;

		if (n > sizeof(list) - len)
			break;
		memcpy(list + len, rcpt, n - 1);
		list[len + n - 1] = '\n';
		len += n;
	}
	q.rcpt_list = list;
	q.rcpt_list_len = len;
	s->ask.channel = channel_serial(ch);
	s->ask.id =
	    channel_ask(ch, MSG_SMTPD_FILTERD_CHECK, &q, fd, FILTER_MS, on_verdict, s);
	if (s->ask.id == 0)
		txn_finish_reply(s, SMTP_REPLY_FILTER_TEMP);
}

static void
on_final(struct msg *m, void *arg)
{
	struct session *s = arg;
	int fd = -1;

	s->ask.id = 0;
	if (m != NULL && m->p.txn_status.status == MSG_OK)
		fd = msg_take_fd(m);
	if (fd == -1) {
		txn_finish_reply(s, SMTP_REPLY_QUEUE_TEMP);
	} else {
		close(s->txn.fd);
		s->txn.fd = fd;
		ask_filter(s);
	}
	session_run(s);
}

/* A file cannot be sealed: filterd gets a descriptor that only reads, and queued
 * remembers what is in the file now. */
static void
ask_final(struct session *s)
{
	struct msg_txn_final q = { .txn = s->txn.id, .size = s->txn.written };
	struct channel *ch = queue_channel(s);

	s->ask.channel = s->txn.channel;
	s->ask.id =
	    channel_ask(ch, MSG_SMTPD_QUEUED_FINAL, &q, -1, TXN_COMMIT_MS, on_final, s);
	if (s->ask.id == 0)
		txn_finish_reply(s, SMTP_REPLY_QUEUE_TEMP);
}

void
txn_judge(struct session *s)
{
	if (s->txn.whole) {
		txn_whole_commit(s);
		return;
	}
	if (s->txn.failed || queue_channel(s) == NULL) {
		txn_finish_reply(s, SMTP_REPLY_QUEUE_TEMP);
		return;
	}
	/* From here on nobody can change what is judged. */
	if (!s->txn.spilled && compat_seal(s->txn.fd) == -1 && errno != ENOSYS &&
	    errno != EINVAL) {
		log_warn("cannot seal %s", s->txn.qid);
		txn_finish_reply(s, SMTP_REPLY_TROUBLE);
		return;
	}
	if (s->txn.spilled)
		ask_final(s);
	else
		ask_filter(s);
}

void
txn_commit(struct session *s)
{
	s->txn.complete = 1;
	if (!s->txn.spilling && !ask_owners(s))
		txn_judge(s);
}
