/*
 * The end of a transaction: the content is checked against what was judged, made
 * durable, and answered.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "queued/deliver.h"
#include "queued/internal.h"
#include "queued/job.h"
#include "queued/qid.h"
#include "queued/txn_private.h"

static void
final_answer(struct channel *ch, uint64_t request, const struct txn *t, uint64_t txn)
{
	int fd = t != NULL ? fcntl(t->fd, F_DUPFD_CLOEXEC, 0) : -1;

	if (fd == -1)
		txn_status_send(ch, MSG_QUEUED_SMTPD_FINAL_IS, request, txn, MSG_TEMP, -1,
		    "The content cannot be read back");
	else
		txn_status_send(
		    ch, MSG_QUEUED_SMTPD_FINAL_IS, request, txn, MSG_OK, fd, "");
}

static void
on_final_sum(int error, uint32_t crc, void *arg)
{
	struct txn *t = arg;
	struct channel *ch = channel_find(t->serial);

	t->sum = NULL;
	t->final_crc = crc;
	t->is_final = error == 0;
	if (ch != NULL)
		final_answer(ch, t->answer, error == 0 ? t : NULL, t->begin.txn);
}

/*
 * The whole of a large message is in its file. Who judges it gets a descriptor that
 * cannot write, and what is judged is remembered: COMMIT compares.
 */
void
commit_final(struct channel *ch, struct msg *m)
{
	const struct msg_txn_final *p = &m->p.txn_final;
	struct txn *t = txn_find(channel_serial(ch), p->txn);
	struct stat st;

	/* Once a transaction: reading it back costs time, and of a file with holes, which
	 * costs its writer nothing, for ever. */
	if (t != NULL && t->state == TXN_OPEN && t->in_file && !t->is_final &&
	    t->sum == NULL &&
	    (queued.conf.message_size_max == 0 ||
		p->size <= queued.conf.message_size_max) &&
	    fstat(t->fd, &st) == 0 && (uint64_t)st.st_size == p->size) {
		t->answer = m->id;
		t->sum = checksum_start(t->fd, p->size, on_final_sum, t);
		if (t->sum != NULL)
			return;
	}
	final_answer(ch, m->id, NULL, p->txn);
}

static void
committed(struct txn *t, int status, const char *text)
{
	struct channel *ch = channel_find(t->serial);

	if (ch != NULL)
		txn_status_send(ch, MSG_QUEUED_SMTPD_COMMITTED, t->answer, t->begin.txn,
		    status, -1, text);
}

static void
commit_failed(struct txn *t, int status, const char *text)
{
	committed(t, status, text);
	txn_drop(t);
}

/* By the filter, or since the account that sends it looks stolen. */
static int
is_quarantined(const struct txn *t)
{
	return t->disposition == DISPOSITION_QUARANTINE || t->hold;
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
	qid_format(t->id, qid);
	committed(t, MSG_OK, t->begin.whole ? qid : "");
	log_fact(LOG_SMTP, LOGL_INFO, "queued", KS("qid", qid),
	    KS("from", t->begin.sender), KU("size", t->size), KU("nrcpt", t->nrcpt));
	if (is_quarantined(t))
		log_fact(LOG_DELIVERY, LOGL_INFO, "quarantined", KS("qid", qid),
		    KS("from", t->begin.sender), KS("why", t->reason));
	if (t->fd != -1 && !t->in_file && !spool_held(queued.spool)) {
		spool_keep(queued.spool, t->id, t->fd);
		t->fd = -1;
	}
	give_note_taken();
	deliver_admit(t->id);
	txn_free(t);
}

static void
write_message(struct txn *t)
{
	struct spool_message sm = { .fd = t->fd, .data = t->content };
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
	if (is_quarantined(t))
		sm.rec.flags |= QM_QUARANTINE | QM_HELD;
	sm.rec.body = b->body;
	sm.rec.ret = b->ret;
	sm.rec.login = b->login;
	(void)txn_ext(b, &sm.rec.ext);
	sm.rec.ext.utf8_header = b->smtputf8 && t->utf8_header;
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

void
commit_waited(struct txn *t, unsigned int what, int status, const char *text)
{
	t->waits &= ~what;
	if (status != MSG_OK && t->failed == MSG_OK) {
		t->failed = status;
		t->failed_text = text;
	}
	if (t->waits != 0)
		return;
	if (t->failed != MSG_OK)
		commit_failed(t, t->failed, t->failed_text);
	else
		write_message(t);
}

static void
on_body_durable(int error, void *arg)
{
	if (error != 0)
		log_warnx("body file: %s", strerror(error));
	commit_waited(arg, TXN_WAIT_BODY, error == 0 ? MSG_OK : MSG_TEMP,
	    "The message could not be written");
}

static void
on_commit_sum(int error, uint32_t crc, void *arg)
{
	struct txn *t = arg;
	struct channel *ch = channel_find(t->serial);

	t->sum = NULL;
	t->crc = crc;
	if (error != 0)
		commit_waited(
		    t, TXN_WAIT_SUM, MSG_TEMP, "The message could not be read back");
	else if (crc != t->final_crc) {
		commit_waited(
		    t, TXN_WAIT_SUM, MSG_TEMP, "The content is not what was judged");
		if (ch != NULL)
			channel_break(ch, "a content that changed after its end");
	} else
		commit_waited(t, TXN_WAIT_SUM, MSG_OK, "");
}

/* With the queue id in it, where smtpd did not know it yet. What no job could carry is
 * not taken. */
static int
take_prefix(struct txn *t, const struct msg_txn_commit *p)
{
	size_t at = p->qid_at < p->prefix_len ? p->qid_at : 0;
	char qid[QID_SIZE] = "";
	size_t len = 0;

	if (at > 0) {
		qid_format(t->id, qid);
		len = strlen(qid);
	}
	if (p->prefix_len + len > TXN_PREFIX_MAX ||
	    (t->prefix = malloc(p->prefix_len + len)) == NULL)
		return -1;
	memcpy(t->prefix, p->prefix, at);
	memcpy(t->prefix + at, qid, len);
	memcpy(t->prefix + at + len, p->prefix + at, p->prefix_len - at);
	t->prefix_len = p->prefix_len + len;
	return 0;
}

void
commit_start(struct channel *ch, struct msg *m)
{
	const struct msg_txn_commit *p = &m->p.txn_commit;
	struct txn *t = txn_find(channel_serial(ch), p->txn);
	struct stat st;

	if (t == NULL || t->state != TXN_OPEN) {
		txn_status_send(ch, MSG_QUEUED_SMTPD_COMMITTED, m->id, p->txn, MSG_TEMP,
		    -1, "There is no such transaction");
		return;
	}
	t->state = TXN_COMMITTING;
	t->answer = m->id;
	if (t->refused) {
		commit_failed(t, t->refused, t->reason);
		return;
	}
	t->size = p->size;
	t->disposition = p->disposition;
	t->tls_optional = p->tls_optional;
	if (p->reason[0] != '\0' || !t->hold)
		strlcpy(t->reason, p->reason, sizeof(t->reason));
	t->utf8_header = p->utf8_header;
	if (t->bad || t->nrcpt == 0) {
		commit_failed(t, t->bad ? MSG_TEMP : MSG_PERM,
		    t->bad ? "Too many recipients" : "No recipients");
		return;
	}
	if (queued.conf.message_size_max != 0 && p->size > queued.conf.message_size_max) {
		commit_failed(t, MSG_PERM, "Message is too large");
		return;
	}
	if (p->prefix_len > 0 && take_prefix(t, p) == -1) {
		commit_failed(t, MSG_TEMP, "The queue is out of memory");
		return;
	}
	if (t->begin.whole) {
		if (t->content_len == p->size) {
			if (sender_wait(t) == 0)
				write_message(t);
			return;
		}
		commit_failed(t, MSG_TEMP, "The content is not what it was said to be");
		channel_break(ch, "a content of another length");
		return;
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
		if (sender_wait(t) == 0)
			write_message(t);
		return;
	}
	if (!t->is_final) {
		commit_failed(t, MSG_TEMP, "The content is not what was judged");
		channel_break(ch, "a large content without its end");
		return;
	}
	/* Read back and synced at the same time. */
	t->waits = TXN_WAIT_SUM;
	t->sum = checksum_start(t->fd, p->size, on_commit_sum, t);
	if (t->sum == NULL) {
		commit_failed(t, MSG_TEMP, "The queue is out of memory");
		return;
	}
	t->waits |= TXN_WAIT_BODY;
	(void)sender_wait(t);
	if (spool_body_sync(queued.spool, t->id, t->fd, on_body_durable, t) == -1)
		commit_waited(
		    t, TXN_WAIT_BODY, MSG_TEMP, "The message could not be written");
}
