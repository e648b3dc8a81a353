/*
 * A message that enters the queue without smtpd.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/queue.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/crc32c.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/proto/date.h"
#include "queued/deliver.h"
#include "queued/internal.h"
#include "queued/job.h"
#include "queued/qid.h"
#include "queued/record.h"
#include "queued/spool.h"
#include "queued/submit.h"
#include "queued/sys.h"
#include "queued/txn.h"

#define JUDGE_MS 240000

struct pending {
	TAILQ_ENTRY(pending) entry; /* by id */
	struct spool *spool;
	uint64_t id;
	int rd; /* body file, or -1 */
	struct spool_message sm;
	char sender[321];
	char client[64];
	char prefix[1024 + 8192]; /* with the fields of filterd */
	int judge, rejected;
	char enhanced[16], words[512]; /* of a rejection */
	uint8_t *list;
	char *text;
	submit_cb cb;
	void *arg;
};

static TAILQ_HEAD(, pending) pendings = TAILQ_HEAD_INITIALIZER(pendings);

static void
pending_free(struct pending *p)
{
	if (p->id != 0)
		TAILQ_REMOVE(&pendings, p, entry);
	if (p->rd != -1)
		close(p->rd);
	free(p->list);
	free(p->text);
	free(p);
}

/* All of its recipients have failed: its sender is told. */
static void
bounce(const struct pending *p)
{
	struct qmsg *m = index_find(spool_index(p->spool), p->id);
	struct job *j = m != NULL ? calloc(1, sizeof(*j)) : NULL;

	if (j == NULL || (j->rcpts = calloc(m->nrcpt, sizeof(*j->rcpts))) == NULL) {
		job_free(j);
		return; /* it is held until somebody looks at it */
	}
	m->flags &= ~(uint32_t)QM_PENDING;
	j->msg = p->id;
	for (; j->nrcpt < m->nrcpt; j->nrcpt++) {
		j->rcpts[j->nrcpt].num = j->nrcpt;
		job_result(
		    &j->rcpts[j->nrcpt], JOB_FAILED, p->enhanced, "", "", p->words);
	}
	job_expired(j);
}

static void
on_durable(int error, void *arg)
{
	struct pending *p = arg;
	char qid[QID_SIZE];

	if (error == 0) {
		qid_format(p->id, qid);
		log_fact(LOG_SMTP, LOGL_INFO, "queued", KS("qid", qid),
		    KS("from", p->sender), KU("size", p->sm.rec.size),
		    KU("nrcpt", p->sm.rec.nrcpt), KS("client", p->client));
		if (p->rejected)
			bounce(p);
		else
			deliver_admit(p->id);
	}
	p->cb(error, p->arg);
	pending_free(p);
}

/* 0, or an errno. */
static int
message_write(struct pending *p)
{
	if (spool_room(p->spool, spool_message_len(&p->sm), 0) == -1)
		return errno;
	if (spool_put_message(p->spool, p->id, &p->sm, 0) == NULL)
		return ENOMEM;
	spool_commit(p->spool, 1, on_durable, p);
	return 0;
}

static void
failed(struct pending *p, int error)
{
	if (p->rd != -1)
		spool_body_unlink(p->spool, p->id);
	p->cb(error, p->arg);
	pending_free(p);
}

/* Not twice by one channel that is lost: a late answer is dropped there. */
static void
on_verdict(struct msg *m, void *arg)
{
	struct pending *p = arg;
	const struct msg_filter_verdict *v = m != NULL ? &m->p.filter_verdict : NULL;
	size_t len = strlen(p->prefix);
	int error = 0;

	/* What no job could carry is not taken. */
	if (v == NULL || v->action == VERDICT_DEFER || queued.spool == NULL ||
	    len + v->headers_len > TXN_PREFIX_MAX) {
		failed(p, EAGAIN);
		return;
	}
	if (v->headers_len > 0) {
		memmove(p->prefix + v->headers_len, p->prefix, len + 1);
		memcpy(p->prefix, v->headers, v->headers_len);
		p->sm.rec.prefix_len += v->headers_len;
	}
	strlcpy(p->words,
	    v->text[0] != '\0' ? v->text : "The message is refused by this system",
	    sizeof(p->words));
	strlcpy(p->enhanced, v->enhanced[0] == '5' ? v->enhanced : "5.7.1",
	    sizeof(p->enhanced));
	switch (v->action) {
	case VERDICT_ACCEPT:
		break;
	case VERDICT_JUNK:
		p->sm.rec.flags |= QM_JUNK;
		break;
	case VERDICT_QUARANTINE:
		p->sm.rec.flags |= QM_QUARANTINE | QM_HELD;
		p->sm.rec.reason = p->words;
		break;
	case VERDICT_REJECT:
		p->rejected = 1;
		p->sm.rec.flags |= QM_HELD;
		break;
	default:
		error = EAGAIN;
	}
	if (error == 0)
		error = message_write(p);
	if (error != 0)
		failed(p, error);
}

/* Sealed memory with the content, or the file to read from; -1. */
static int
content_fd(const struct pending *p)
{
	int fd;

	if (p->rd != -1)
		return fcntl(p->rd, F_DUPFD_CLOEXEC, 0);
	fd = compat_memfd_create("fife-message");
	if (fd != -1 && (sys_pwrite(fd, p->text, (size_t)p->sm.rec.size, 0) == -1 ||
			    compat_seal(fd) == -1)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* As every message, however it came: 0, or an errno. */
static int
judge(struct pending *p)
{
	struct channel *ch = daemon_peer(ROLE_FILTERD);
	struct msg_filter_check q = { .size = p->sm.rec.size, .rcpts = p->sm.rec.nrcpt };
	struct bytes_in walk = p->sm.rec.rcpts;
	struct rec_rcpt rc;
	uint8_t list[8192];
	int fd;

	if (!p->judge)
		return message_write(p);
	if (ch == NULL || (fd = content_fd(p)) == -1)
		return EAGAIN;
	qid_format(p->id, q.qid);
	/* It was written on this host. */
	strlcpy(q.client, "127.0.0.1", sizeof(q.client));
	strlcpy(q.sender, p->sender, sizeof(q.sender));
	q.rcpt_list = list;
	while (rec_rcpt_next(&walk, &rc) == 1) {
		size_t n = strlen(rc.address);

		if (n + 1 > sizeof(list) - q.rcpt_list_len)
			break;
		memcpy(list + q.rcpt_list_len, rc.address, n);
		list[q.rcpt_list_len + n] = '\n';
		q.rcpt_list_len += n + 1;
	}
	return channel_ask(
		   ch, MSG_SMTPD_FILTERD_CHECK, &q, fd, JUDGE_MS, on_verdict, p) == 0
		   ? EAGAIN
		   : 0;
}

static void
on_body(int error, void *arg)
{
	struct pending *p = arg;

	if (error == 0)
		error = judge(p);
	if (error != 0)
		failed(p, error);
}

/* Lines end in CRLF from here on: a CR or LF alone would be read as a line's end by
 * some and not by others. malloc'd. */
static char *
to_crlf(const char *in, size_t len, size_t *out_len)
{
	size_t n = 0, extra = 1;
	char *out;

	if (memchr(in, '\0', len) != NULL) {
		errno = EINVAL;
		return NULL;
	}
	for (size_t i = 0; i < len; i++)
		extra += in[i] == '\n' || in[i] == '\r';
	out = malloc(len + extra + 2);
	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (in[i] == '\n' && i > 0 && in[i - 1] == '\r')
			continue;
		if (in[i] == '\n' || in[i] == '\r') {
			out[n++] = '\r';
			out[n++] = '\n';
		} else
			out[n++] = in[i];
	}
	if (n == 0 || out[n - 1] != '\n') {
		out[n++] = '\r';
		out[n++] = '\n';
	}
	*out_len = n;
	return out;
}

static int
address_put(char *out, size_t cap, const char *p, size_t len, const char *domain)
{
	int n;

	if (len == 0)
		n = snprintf(out, cap, "%s", "");
	else if (memchr(p, '@', len) != NULL)
		n = snprintf(out, cap, "%.*s", (int)len, p);
	else
		n = snprintf(out, cap, "%.*s@%s", (int)len, p, domain);
	return n < 0 || (size_t)n >= cap ? -1 : 0;
}

static int
rcpts_put(struct pending *p, const struct submit *s)
{
	size_t cap = s->nrcpt * 400 + 1;
	struct bytes_out o = { 0 };

	p->list = malloc(cap);
	if (p->list == NULL)
		return -1;
	o.p = p->list;
	o.cap = cap;
	for (size_t i = 0; i < s->nrcpt; i++) {
		struct rec_rcpt rc = {
			.num = (uint32_t)i, .state = RCPT_LIVE, .has = REC_R_ADDRESS
		};
		char address[321];

		if (address_put(address, sizeof(address), s->rcpts[i].p, s->rcpts[i].len,
			s->domain) == -1) {
			errno = EINVAL;
			return -1;
		}
		rc.address = address;
		rec_rcpt_encode(&rc, &o);
	}
	p->sm.rec.nrcpt = (uint32_t)s->nrcpt;
	p->sm.rec.rcpts = (struct bytes_in){ .p = p->list, .len = o.len };
	return o.bad ? -1 : 0;
}

static int
has_eightbit(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)s[i] > 127)
			return 1;
	}
	return 0;
}

int
submit_message(
    struct spool *spool, const struct submit *s, int64_t now, submit_cb cb, void *arg)
{
	struct pending *p;
	char qid[QID_SIZE], date[DATE_MAX];
	size_t len;
	int wr = -1, error = 0;

	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -1;
	p->spool = spool;
	p->rd = -1;
	p->cb = cb;
	p->arg = arg;
	p->id = s->id;
	p->judge = s->judge;
	TAILQ_INSERT_TAIL(&pendings, p, entry);
	qid_format(p->id, qid);
	errno = 0;
	if (address_put(p->sender, sizeof(p->sender), s->sender, s->sender_len,
		s->domain) == -1 ||
	    rcpts_put(p, s) == -1 ||
	    (p->text = to_crlf(s->content, s->len, &len)) == NULL) {
		error = errno != 0 ? errno : EINVAL;
		goto fail;
	}
	snprintf(p->client, sizeof(p->client), "%s", s->client);
	if (date_format(now, date_local_zone(now), date, sizeof(date)) == -1)
		date[0] = '\0';
	snprintf(p->prefix, sizeof(p->prefix),
	    "Received: by %s (fife, %s)\r\n\tid %s;\r\n\t%s\r\n", s->hostname, s->client,
	    qid, date);
	p->sm.fd = -1;
	p->sm.data = (const uint8_t *)p->text;
	p->sm.rec.created = now;
	p->sm.rec.size = len;
	p->sm.rec.sender = p->sender;
	p->sm.rec.client = p->client;
	p->sm.rec.body = has_eightbit(p->text, len) ? BODY_8BITMIME : BODY_7BIT;
	if (s->tls_optional)
		p->sm.rec.ext.tls = REC_TLS_OPTIONAL;
	p->sm.rec.prefix = (const uint8_t *)p->prefix;
	p->sm.rec.prefix_len = strlen(p->prefix);
	if (len <= SPOOL_INLINE_MAX) {
		error = judge(p);
		if (error != 0)
			goto fail;
		return 0;
	}
	p->sm.rec.flags |= QM_FILE;
	p->sm.rec.crc = crc32c(0, p->text, len);
	if (spool_body_create(spool, p->id, &wr, &p->rd) == -1) {
		error = errno;
		goto fail;
	}
	if (sys_pwrite(wr, p->text, len, 0) == -1 ||
	    spool_body_sync(spool, p->id, p->rd, on_body, p) == -1) {
		error = errno;
		close(wr);
		spool_body_unlink(spool, p->id);
		goto fail;
	}
	close(wr);
	return 0;
fail:
	pending_free(p);
	errno = error;
	return -1;
}

uint64_t
submit_oldest(void)
{
	const struct pending *p = TAILQ_FIRST(&pendings);

	return p != NULL ? p->id : UINT64_MAX;
}
