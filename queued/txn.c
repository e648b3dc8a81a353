/*
 * Transactions of smtpd, see txn.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/queue.h>
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
#include "queued/txn.h"

#define HASH 1024

enum txn_state {
	TXN_OPEN,
	TXN_COMMITTING
};

struct txn {
	uint64_t serial; /* of the channel */
	uint64_t id;     /* of the queue */
	uint64_t answer; /* request that waits for COMMITTED */
	struct msg_txn_begin begin;
	enum txn_state state;
	int fd; /* the memory, or the file read-only */
	int in_file;
	int bad;      /* a recipient was lost: no commit */
	int is_final; /* FINAL was asked: final_crc is what filterd saw */
	uint32_t final_crc;
	uint8_t *rcpts; /* encoded */
	size_t rcpts_len, rcpts_cap;
	uint32_t nrcpt;
	/* of COMMIT */
	uint64_t size;
	uint32_t crc;
	uint8_t disposition;
	uint8_t tls_optional;
	char reason[256];
	uint8_t *prefix;
	size_t prefix_len;
	LIST_ENTRY(txn) hash;
	TAILQ_ENTRY(txn) order; /* by id */
};

static LIST_HEAD(, txn) txns[HASH];
static TAILQ_HEAD(, txn) in_order = TAILQ_HEAD_INITIALIZER(in_order);
static uint32_t ntxns;

static struct txn *
txn_find(struct channel *ch, uint64_t txn)
{
	uint64_t serial = channel_serial(ch);
	struct txn *t;

	LIST_FOREACH (t, &txns[(txn ^ serial) % HASH], hash) {
		if (t->begin.txn == txn && t->serial == serial)
			return t;
	}
	return NULL;
}

static void
txn_free(struct txn *t)
{
	LIST_REMOVE(t, hash);
	TAILQ_REMOVE(&in_order, t, order);
	ntxns--;
	if (t->fd != -1)
		close(t->fd);
	free(t->rcpts);
	free(t->prefix);
	free(t);
}

/* Nothing remains of it. */
static void
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

/* What the extensions ask for, in the record's form; -1: no smtpd says that. */
static int
ext_of(const struct msg_txn_begin *p, struct rec_ext *x)
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

static void
on_begin(struct channel *ch, struct msg *m)
{
	struct rec_ext x;
	const struct msg_txn_begin *p = &m->p.txn_begin;
	const char *low;
	struct txn *t;
	int fd;

	if (txn_find(ch, p->txn) != NULL) {
		channel_break(ch, "a transaction's number is used twice");
		return;
	}
	if (ext_of(p, &x) == -1) {
		channel_break(ch, "a transaction with wishes that there are not");
		return;
	}
	if (queued.stopping) {
		opened(ch, m->id, p->txn, NULL, MSG_TEMP, -1, "The system is going down");
		return;
	}
	if (queued.conf.message_size_max != 0 &&
	    p->size_hint > queued.conf.message_size_max) {
		opened(ch, m->id, p->txn, NULL, MSG_PERM, -1, "Message is too large");
		return;
	}
	low = spool_low(queued.spool, p->login != 0);
	if (low != NULL) {
		opened(ch, m->id, p->txn, NULL, MSG_FULL, -1, low);
		return;
	}
	if (count_of(channel_serial(ch)) >= TXN_PER_CHANNEL_MAX) {
		opened(ch, m->id, p->txn, NULL, MSG_TEMP, -1,
		    "Too many transactions at a time");
		return;
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL || (t->id = spool_id(queued.spool)) == 0) {
		free(t);
		opened(ch, m->id, p->txn, NULL, MSG_TEMP, -1,
		    "The queue is out of memory or space");
		return;
	}
	t->fd = -1;
	t->serial = channel_serial(ch);
	t->begin = *p;
	LIST_INSERT_HEAD(&txns[(p->txn ^ t->serial) % HASH], t, hash);
	TAILQ_INSERT_TAIL(&in_order, t, order);
	ntxns++;
	fd = content_open(t, p->size_hint > SPOOL_INLINE_MAX);
	if (fd == -1) {
		log_warn("no room for a message's content");
		txn_drop(t);
		opened(
		    ch, m->id, p->txn, NULL, MSG_FULL, -1, "No room for the message now");
		return;
	}
	opened(ch, m->id, p->txn, t, MSG_OK, fd, "");
}

static void
on_rcpt(struct channel *ch, const struct msg_txn_rcpt *p)
{
	struct txn *t = txn_find(ch, p->txn);
	struct rec_rcpt rc = { 0 };
	struct bytes_out o = { 0 };

	if (t == NULL || t->state != TXN_OPEN)
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
status_send(struct channel *ch, enum msg_type type, uint64_t request, uint64_t txn,
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
	struct txn *t = txn_find(ch, m->p.txn.txn);
	int mem, wr;

	if (t == NULL || t->state != TXN_OPEN || t->in_file) {
		status_send(ch, MSG_QUEUED_SMTPD_SPILLED, m->id, m->p.txn.txn, MSG_PERM,
		    -1, "There is no such transaction in memory");
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
		status_send(ch, MSG_QUEUED_SMTPD_SPILLED, m->id, m->p.txn.txn, MSG_FULL,
		    -1, "No room for the message now");
		return;
	}
	close(mem);
	status_send(ch, MSG_QUEUED_SMTPD_SPILLED, m->id, m->p.txn.txn, MSG_OK, wr, "");
}

/*
 * The whole of a large message is in its file. Who judges it gets a descriptor that
 * cannot write, and what is judged is remembered: COMMIT compares.
 */
static void
on_final(struct channel *ch, struct msg *m)
{
	const struct msg_txn_final *p = &m->p.txn_final;
	struct txn *t = txn_find(ch, p->txn);
	struct stat st;
	int fd = -1;

	/* Once a transaction: reading it back costs time that others wait for. */
	if (t != NULL && t->state == TXN_OPEN && t->in_file && !t->is_final &&
	    fstat(t->fd, &st) == 0 && (uint64_t)st.st_size == p->size &&
	    spool_checksum(t->fd, p->size, &t->final_crc) == 0)
		fd = fcntl(t->fd, F_DUPFD_CLOEXEC, 0);
	if (fd == -1) {
		status_send(ch, MSG_QUEUED_SMTPD_FINAL_IS, m->id, p->txn, MSG_TEMP, -1,
		    "The content cannot be read back");
		return;
	}
	t->is_final = 1;
	status_send(ch, MSG_QUEUED_SMTPD_FINAL_IS, m->id, p->txn, MSG_OK, fd, "");
}

static void
committed(struct txn *t, int status, const char *text)
{
	struct channel *ch = channel_find(t->serial);

	if (ch != NULL)
		status_send(ch, MSG_QUEUED_SMTPD_COMMITTED, t->answer, t->begin.txn,
		    status, -1, text);
}

static void
commit_failed(struct txn *t, int status, const char *text)
{
	committed(t, status, text);
	txn_drop(t);
}

static void
on_durable(int error, void *arg)
{
	struct txn *t = arg;
	char qid[QID_SIZE];

	if (error != 0) {
		/* The process ends after this: what is on the disk is found by the next.
		 */
		committed(t, MSG_TEMP, "The message could not be written");
		txn_free(t);
		return;
	}
	committed(t, MSG_OK, "");
	qid_format(t->id, qid);
	log_fact(LOG_SMTP, LOGL_INFO, "queued", KS("qid", qid),
	    KS("from", t->begin.sender), KU("size", t->size), KU("nrcpt", t->nrcpt));
	if (!t->in_file && !spool_held(queued.spool)) {
		spool_keep(queued.spool, t->id, t->fd);
		t->fd = -1;
	}
	deliver_admit(t->id);
	txn_free(t);
}

static void
write_message(struct txn *t)
{
	struct spool_message sm = { .fd = t->fd };
	const struct msg_txn_begin *b = &t->begin;

	sm.rec.created = queue_now();
	sm.rec.size = t->size;
	sm.rec.crc = t->crc;
	if (t->in_file)
		sm.rec.flags |= QM_FILE;
	if (b->smtputf8)
		sm.rec.flags |= QM_SMTPUTF8;
	if (t->disposition == DISPOSITION_JUNK)
		sm.rec.flags |= QM_JUNK;
	if (t->disposition == DISPOSITION_QUARANTINE)
		sm.rec.flags |= QM_QUARANTINE | QM_HELD;
	sm.rec.body = b->body;
	sm.rec.ret = b->ret;
	sm.rec.login = b->login;
	(void)ext_of(b, &sm.rec.ext);
	/* RFC 8689, 4.1: the parameter counts before the field. */
	if (t->tls_optional && !b->require_tls)
		sm.rec.ext.tls = REC_TLS_OPTIONAL;
	sm.rec.sender = b->sender;
	sm.rec.client = b->client;
	sm.rec.helo = b->helo;
	sm.rec.login_address = b->login_address;
	sm.rec.envid = b->envid;
	sm.rec.reason = t->reason;
	sm.rec.prefix = t->prefix;
	sm.rec.prefix_len = t->prefix_len;
	sm.rec.nrcpt = t->nrcpt;
	sm.rec.rcpts = (struct bytes_in){ .p = t->rcpts, .len = t->rcpts_len };
	if (spool_room(queued.spool, spool_message_len(&sm), 0) == -1 ||
	    spool_put_message(queued.spool, t->id, &sm, 0) == NULL) {
		log_warn("a message cannot be written");
		commit_failed(t, errno == ENOSPC ? MSG_FULL : MSG_TEMP,
		    "The message could not be written");
		return;
	}
	spool_commit(queued.spool, 1, on_durable, t);
}

static void
on_body_durable(int error, void *arg)
{
	struct txn *t = arg;

	if (error != 0) {
		log_warnx("body file: %s", strerror(error));
		commit_failed(t, MSG_TEMP, "The message could not be written");
		return;
	}
	write_message(t);
}

static void
on_commit(struct channel *ch, struct msg *m)
{
	const struct msg_txn_commit *p = &m->p.txn_commit;
	struct txn *t = txn_find(ch, p->txn);
	struct stat st;

	if (t == NULL || t->state != TXN_OPEN) {
		status_send(ch, MSG_QUEUED_SMTPD_COMMITTED, m->id, p->txn, MSG_TEMP, -1,
		    "There is no such transaction");
		return;
	}
	t->state = TXN_COMMITTING;
	t->answer = m->id;
	t->size = p->size;
	t->disposition = p->disposition;
	t->tls_optional = p->tls_optional;
	strlcpy(t->reason, p->reason, sizeof(t->reason));
	if (t->bad || t->nrcpt == 0) {
		commit_failed(t, t->bad ? MSG_TEMP : MSG_PERM,
		    t->bad ? "Too many recipients" : "No recipients");
		return;
	}
	if (queued.conf.message_size_max != 0 && p->size > queued.conf.message_size_max) {
		commit_failed(t, MSG_PERM, "Message is too large");
		return;
	}
	if (p->prefix_len > 0) {
		t->prefix = malloc(p->prefix_len);
		if (t->prefix == NULL) {
			commit_failed(t, MSG_TEMP, "The queue is out of memory");
			return;
		}
		memcpy(t->prefix, p->prefix, p->prefix_len);
		t->prefix_len = p->prefix_len;
	}
	/* What filterd judged is what is kept: no length that differs, no writer left. */
	if (fstat(t->fd, &st) == -1 || (uint64_t)st.st_size != p->size ||
	    (!t->in_file &&
		(compat_is_sealed(t->fd) != 1 || p->size > SPOOL_INLINE_MAX))) {
		commit_failed(t, MSG_TEMP, "The content is not what it was said to be");
		channel_break(
		    ch, "a content is not sealed, too large, or of another length");
		return;
	}
	if (!t->in_file) {
		write_message(t);
		return;
	}
	if (spool_checksum(t->fd, p->size, &t->crc) == -1) {
		commit_failed(t, MSG_TEMP, "The message could not be read back");
		return;
	}
	if (!t->is_final || t->crc != t->final_crc) {
		commit_failed(t, MSG_TEMP, "The content is not what was judged");
		channel_break(ch, "a content that changed after its end");
		return;
	}
	if (spool_body_sync(queued.spool, t->id, t->fd, on_body_durable, t) == -1)
		commit_failed(t, MSG_TEMP, "The message could not be written");
}

static void
on_abort(struct channel *ch, const struct msg_txn *p)
{
	struct txn *t = txn_find(ch, p->txn);

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
	case MSG_SMTPD_QUEUED_SPILL:
		on_spill(ch, m);
		break;
	case MSG_SMTPD_QUEUED_FINAL:
		on_final(ch, m);
		break;
	case MSG_SMTPD_QUEUED_COMMIT:
		on_commit(ch, m);
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
