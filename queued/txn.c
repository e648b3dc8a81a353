/*
 * Transactions of smtpd, see txn.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "queued/deliver.h"
#include "queued/internal.h"
#include "queued/qid.h"
#include "queued/sys.h"
#include "queued/txn_private.h"

#define HASH 1024

static LIST_HEAD(, txn) txns[HASH];
static TAILQ_HEAD(, txn) in_order = TAILQ_HEAD_INITIALIZER(in_order);
static uint32_t ntxns;

struct txn *
txn_find(uint64_t serial, uint64_t txn)
{
	struct txn *t;

	LIST_FOREACH (t, &txns[(txn ^ serial) % HASH], hash) {
		if (t->begin.txn == txn && t->serial == serial)
			return t;
	}
	return NULL;
}

void
txn_free(struct txn *t)
{
	LIST_REMOVE(t, hash);
	if (!t->refused)
		TAILQ_REMOVE(&in_order, t, order);
	ntxns--;
	checksum_cancel(t->sum);
	if (t->fd != -1)
		close(t->fd);
	free(t->rcpts);
	free(t->content);
	free(t->prefix);
	free(t);
}

void
txn_drop(struct txn *t)
{
	if (t->in_file)
		spool_body_unlink(queued.spool, t->id);
	txn_free(t);
}

static void
opened(struct channel *ch, uint64_t request, uint64_t txn, const struct txn *t,
    int status, int fd, const char *text)
{
	struct msg_txn_opened p = { .txn = txn, .status = (uint8_t)status };

	if (t != NULL) {
		qid_format(t->id, p.qid);
		/* 0: a file already, there is nothing to spill. */
		p.memory_max = t->in_file ? 0 : SPOOL_INLINE_MAX;
	}
	strlcpy(p.text, text, sizeof(p.text));
	channel_send(ch, MSG_QUEUED_SMTPD_OPENED, request, &p, fd);
}

static void
txn_insert(struct txn *t, struct channel *ch, const struct msg_txn_begin *p)
{
	t->fd = -1;
	t->serial = channel_serial(ch);
	t->begin = *p;
	LIST_INSERT_HEAD(&txns[(p->txn ^ t->serial) % HASH], t, hash);
	ntxns++;
}

static uint32_t
count_of(uint64_t serial)
{
	struct txn *t;
	uint32_t n = 0;

	/* Only when there are many at all. */
	if (ntxns < TXN_PER_CHANNEL_MAX)
		return ntxns;
	for (int i = 0; i < HASH; i++) {
		LIST_FOREACH (t, &txns[i], hash)
			n += t->serial == serial;
	}
	return n;
}

/* A place for the content: the descriptor for smtpd, or -1. */
static int
content_open(struct txn *t, int large)
{
	int wr = -1;

	if (!large) {
		t->fd = compat_memfd_create("fife-message");
		if (t->fd != -1)
			return fcntl(t->fd, F_DUPFD_CLOEXEC, 0);
		if (errno != ENOSYS)
			return -1;
	}
	if (spool_body_create(queued.spool, t->id, &wr, &t->fd) == -1)
		return -1;
	t->in_file = 1;
	return wr;
}

int
txn_ext(const struct msg_txn_begin *p, struct rec_ext *x)
{
	memset(x, 0, sizeof(*x));
	x->priority = (int8_t)p->priority;
	x->tls = p->require_tls ? REC_TLS_REQUIRED : 0;
	x->release = p->release;
	x->hold = p->hold;
	x->by = p->by;
	x->by_mode = p->by_mode;
	x->by_trace = p->by_trace;
	if (x->priority < -REC_PRIORITY_MAX || x->priority > REC_PRIORITY_MAX)
		return -1;
	if (p->release < 0 || p->release > UINT32_MAX || p->by > UINT32_MAX)
		return -1;
	return (p->by_mode == 0 || p->by_mode == REC_BY_RETURN ||
		   p->by_mode == REC_BY_NOTIFY) &&
		       p->by_trace <= 1 && (p->by_mode != 0 || p->by_trace == 0)
		   ? 0
		   : -1;
}

/* Nobody waits for the answer to BEGIN of a whole one: COMMIT gets it. */
static void
refuse(struct channel *ch, const struct msg *m, int status, const char *text)
{
	const struct msg_txn_begin *p = &m->p.txn_begin;
	struct txn *t;

	if (!p->whole) {
		opened(ch, m->id, p->txn, NULL, status, -1, text);
		return;
	}
	if (count_of(channel_serial(ch)) >= TXN_PER_CHANNEL_MAX ||
	    (t = calloc(1, sizeof(*t))) == NULL)
		return;
	t->refused = status;
	strlcpy(t->reason, text, sizeof(t->reason));
	txn_insert(t, ch, p);
}

static void
on_begin(struct channel *ch, struct msg *m)
{
	struct rec_ext x;
	const struct msg_txn_begin *p = &m->p.txn_begin;
	const char *low;
	struct txn *t;
	int fd;

	if (txn_find(channel_serial(ch), p->txn) != NULL) {
		channel_break(ch, "a transaction's number is used twice");
		return;
	}
	if (txn_ext(p, &x) == -1) {
		channel_break(ch, "a transaction with wishes that there are not");
		return;
	}
	if (queued.stopping) {
		refuse(ch, m, MSG_TEMP, "The system is going down");
		return;
	}
	if (queued.conf.message_size_max != 0 &&
	    p->size_hint > queued.conf.message_size_max) {
		refuse(ch, m, MSG_PERM, "Message is too large");
		return;
	}
	low = spool_low(queued.spool, p->login != 0);
	if (low != NULL) {
		refuse(ch, m, MSG_FULL, low);
		return;
	}
	if (count_of(channel_serial(ch)) >= TXN_PER_CHANNEL_MAX) {
		refuse(ch, m, MSG_TEMP, "Too many transactions at a time");
		return;
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL || (t->id = spool_id(queued.spool)) == 0) {
		free(t);
		refuse(ch, m, MSG_TEMP, "The queue is out of memory or space");
		return;
	}
	txn_insert(t, ch, p);
	TAILQ_INSERT_TAIL(&in_order, t, order);
	if (p->login != 0)
		sender_soon(t);
	else
		t->begin.login_address[0] = '\0';
	if (p->whole)
		return;
	fd = content_open(t, p->size_hint > SPOOL_INLINE_MAX);
	if (fd == -1) {
		log_warn("no room for a message's content");
		txn_drop(t);
		refuse(ch, m, MSG_FULL, "No room for the message now");
		return;
	}
	opened(ch, m->id, p->txn, t, MSG_OK, fd, "");
}

static void
on_rcpt(struct channel *ch, const struct msg_txn_rcpt *p)
{
	struct txn *t = txn_find(channel_serial(ch), p->txn);
	struct rec_rcpt rc = { 0 };
	struct bytes_out o = { 0 };

	if (t == NULL || t->state != TXN_OPEN || t->refused)
		return; /* after an abort */
	if (p->rrvs_action != 0 && p->rrvs_action != 'R' && p->rrvs_action != 'C') {
		channel_break(ch, "a recipient with a wish that there is not");
		return;
	}
	rc.num = t->nrcpt;
	rc.state = RCPT_LIVE;
	rc.next = t->begin.release;
	rc.notify = p->notify;
	rc.has = REC_R_ADDRESS;
	if (p->rrvs_action != 0) {
		rc.has |= REC_R_RRVS;
		rc.rrvs = p->rrvs;
		rc.rrvs_action = p->rrvs_action;
	}
	rc.address = p->address;
	rc.orcpt = p->orcpt;
	rec_rcpt_encode(&rc, &o);
	if (t->nrcpt >= TXN_RCPTS_MAX || t->rcpts_len + o.len > SPOOL_RCPT_OCTETS_MAX) {
		t->bad = 1;
		return;
	}
	if (t->rcpts_len + o.len > t->rcpts_cap) {
		size_t cap = t->rcpts_cap * 2 + o.len + 128;
		uint8_t *n = realloc(t->rcpts, cap);

		if (n == NULL) {
			t->bad = 1;
			return;
		}
		t->rcpts = n;
		t->rcpts_cap = cap;
	}
	o = (struct bytes_out){ .p = t->rcpts + t->rcpts_len, .cap = o.len };
	rec_rcpt_encode(&rc, &o);
	t->rcpts_len += o.len;
	t->nrcpt++;
}

static void
on_content(struct channel *ch, const struct msg_txn_content *p)
{
	struct txn *t = txn_find(channel_serial(ch), p->txn);
	size_t len, cap;
	uint8_t *n;

	if (t == NULL || t->state != TXN_OPEN || t->refused || t->bad)
		return;
	len = t->content_len + p->content_len;
	if (!t->begin.whole || len > TXN_CONTENT_MAX) {
		channel_break(ch, "content where none belongs");
		return;
	}
	if (len > t->content_cap) {
		cap = t->content_cap == 0 ? len : TXN_CONTENT_MAX;
		if ((n = realloc(t->content, cap)) == NULL) {
			t->bad = 1;
			return;
		}
		t->content = n;
		t->content_cap = cap;
	}
	memcpy(t->content + t->content_len, p->content, p->content_len);
	t->content_len = len;
}

void
txn_status_send(struct channel *ch, enum msg_type type, uint64_t request, uint64_t txn,
    int status, int fd, const char *text)
{
	struct msg_txn_status p = { .txn = txn, .status = (uint8_t)status };

	strlcpy(p.text, text, sizeof(p.text));
	channel_send(ch, type, request, &p, fd);
}

/* From memory into the file, whose descriptor then stands behind it. */
static int
spill(struct txn *t, int wr, int mem)
{
	uint8_t *buf;
	struct stat st;
	off_t off = 0;

	if (fstat(mem, &st) == -1)
		return -1;
	if (st.st_size > 4 * SPOOL_INLINE_MAX) {
		errno = EFBIG;
		return -1;
	}
	buf = malloc(SPOOL_INLINE_MAX);
	if (buf == NULL)
		return -1;
	while (off < st.st_size) {
		size_t n = st.st_size - off < SPOOL_INLINE_MAX
			       ? (size_t)(st.st_size - off)
			       : SPOOL_INLINE_MAX;

		if (sys_pread(mem, buf, n, off) == -1 ||
		    sys_pwrite(wr, buf, n, off) == -1) {
			free(buf);
			return -1;
		}
		off += (off_t)n;
	}
	free(buf);
	(void)t;
	return lseek(wr, off, SEEK_SET) == -1 ? -1 : 0;
}

static void
on_spill(struct channel *ch, struct msg *m)
{
	struct txn *t = txn_find(channel_serial(ch), m->p.txn.txn);
	int mem, wr;

	if (t == NULL || t->state != TXN_OPEN || t->in_file || t->begin.whole) {
		txn_status_send(ch, MSG_QUEUED_SMTPD_SPILLED, m->id, m->p.txn.txn,
		    MSG_PERM, -1, "There is no such transaction in memory");
		return;
	}
	mem = t->fd;
	t->fd = -1;
	wr = content_open(t, 1);
	if (wr == -1 || spill(t, wr, mem) == -1) {
		log_warn("a large message finds no room");
		if (wr != -1)
			close(wr);
		close(mem);
		txn_drop(t);
		txn_status_send(ch, MSG_QUEUED_SMTPD_SPILLED, m->id, m->p.txn.txn,
		    MSG_FULL, -1, "No room for the message now");
		return;
	}
	close(mem);
	txn_status_send(
	    ch, MSG_QUEUED_SMTPD_SPILLED, m->id, m->p.txn.txn, MSG_OK, wr, "");
}

static void
on_abort(struct channel *ch, const struct msg_txn *p)
{
	struct txn *t = txn_find(channel_serial(ch), p->txn);

	if (t != NULL && t->state == TXN_OPEN)
		txn_drop(t);
}

void
txn_message(struct channel *ch, struct msg *m)
{
	switch (m->type) {
	case MSG_SMTPD_QUEUED_BEGIN:
		on_begin(ch, m);
		break;
	case MSG_SMTPD_QUEUED_RCPT:
		on_rcpt(ch, &m->p.txn_rcpt);
		break;
	case MSG_SMTPD_QUEUED_CONTENT:
		on_content(ch, &m->p.txn_content);
		break;
	case MSG_SMTPD_QUEUED_SPILL:
		on_spill(ch, m);
		break;
	case MSG_SMTPD_QUEUED_FINAL:
		commit_final(ch, m);
		break;
	case MSG_SMTPD_QUEUED_COMMIT:
		commit_start(ch, m);
		break;
	case MSG_SMTPD_QUEUED_ABORT:
		on_abort(ch, &m->p.txn);
		break;
	default:
		break;
	}
}

void
txn_channel_lost(struct channel *ch)
{
	uint64_t serial = channel_serial(ch);

	for (int i = 0; i < HASH; i++) {
		struct txn *t, *next;

		for (t = LIST_FIRST(&txns[i]); t != NULL; t = next) {
			next = LIST_NEXT(t, hash);
			if (t->serial == serial && t->state == TXN_OPEN)
				txn_drop(t);
		}
	}
}

uint32_t
txn_count(void)
{
	return ntxns;
}

uint64_t
txn_oldest(void)
{
	const struct txn *t = TAILQ_FIRST(&in_order);

	return t != NULL ? t->id : UINT64_MAX;
}
