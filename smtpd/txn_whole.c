/* SPDX-License-Identifier: ISC */
/*
 * The short way of a small message, when filterd has said that it judges nothing: the
 * content is kept here until its end and then goes to queued with the envelope in one
 * go, without a descriptor and without a question before. What turns out large, or
 * has to be judged after all, goes over to the usual way:
 *
 *	OPENED is awaited (spilling), the content so far is written to its descriptor
 */
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "smtpd/txn_internal.h"

#define CHUNK 12000 /* as in payload.def */
#define CONTENT_MAX (4 * (size_t)CHUNK)
#define FIRST_ROOM 8192

int txn_whole_trouble;
static uint64_t indifferent; /* serial of the channel to a filterd that judges nothing */

void
txn_peer_message(struct channel *ch, struct msg *m)
{
	if (m->type == MSG_FILTERD_SMTPD_WANTS)
		indifferent = m->p.filter_wants.content ? 0 : channel_serial(ch);
}

/* Of the filterd that is there now: without one nothing passes unjudged. */
static int
is_judged(void)
{
	return indifferent == 0 || channel_find(indifferent) == NULL;
}

int
txn_whole_open(struct session *s)
{
	/* What a login sends is checked before it is read. */
	s->txn.whole = !is_judged() && !txn_whole_trouble && s->login == 0 &&
		       (s->kind == LISTENER_SMTP || s->kind == LISTENER_LMTP) &&
		       smtp_in_size_hint(s->in) <= CONTENT_MAX;
	return s->txn.whole;
}

static void
on_opened(struct msg *m, void *arg)
{
	struct session *s = arg;
	enum answer_status status = MSG_TEMP;
	int complete = s->txn.complete;

	s->ask.id = 0;
	s->txn.spilling = 0;
	s->txn.whole = 0;
	if (m != NULL) {
		status = (enum answer_status)m->p.txn_opened.status;
		s->txn.fd = msg_take_fd(m);
		s->txn.memory_max = m->p.txn_opened.memory_max;
		s->txn.spilled = s->txn.memory_max == 0;
		strlcpy(s->txn.qid, m->p.txn_opened.qid, sizeof(s->txn.qid));
		if (status == MSG_OK && s->txn.fd == -1)
			status = MSG_TEMP;
	}
	if (status == MSG_OK &&
	    txn_write_at(s->txn.fd, s->txn.text, s->txn.written, 0) == -1)
		status = txn_status_of_errno();
	free(s->txn.text);
	s->txn.text = NULL;
	if (status == MSG_OK && !s->txn.spilled && s->txn.written > s->txn.memory_max)
		txn_spill(s);
	if (status != MSG_OK && complete)
		txn_finish_reply(s,
		    status == MSG_FULL ? SMTP_REPLY_QUEUE_FULL : SMTP_REPLY_QUEUE_TEMP);
	else if (status != MSG_OK) {
		txn_abort(s);
		txn_content_failed(s, status);
	} else if (complete)
		txn_commit(s);
	session_run(s);
}

/* The usual way after all. */
static void
begin(struct session *s)
{
	struct channel *ch = daemon_peer(ROLE_QUEUED);
	struct msg_txn_begin q;

	if (ch != NULL) {
		s->txn.id = txn_begin_fill(s, &q);
		s->txn.channel = channel_serial(ch);
		if (q.size_hint < s->txn.written)
			q.size_hint = s->txn.written;
		s->ask.channel = s->txn.channel;
		s->ask.id = channel_ask(
		    ch, MSG_SMTPD_QUEUED_BEGIN, &q, -1, TXN_OPEN_MS, on_opened, s);
	}
	if (ch == NULL || s->ask.id == 0 || txn_send_rcpts(s, ch) == -1) {
		int complete = s->txn.complete;

		if (complete)
			txn_finish_reply(s, SMTP_REPLY_QUEUE_TEMP);
		else {
			txn_abort(s);
			txn_content_failed(s, MSG_TEMP);
		}
		return;
	}
	s->txn.spilling = 1;
}

void
txn_whole_write(struct session *s, const char *data, size_t len)
{
	size_t need = (size_t)s->txn.written + len;

	if (need > s->txn.text_cap) {
		size_t cap = s->txn.text_cap == 0 ? FIRST_ROOM : s->txn.text_cap * 2;
		char *p = realloc(s->txn.text, cap < need ? need : cap);

		if (p == NULL) {
			txn_abort(s);
			txn_content_failed(s, MSG_TEMP);
			return;
		}
		s->txn.text = p;
		s->txn.text_cap = cap < need ? need : cap;
	}
	memcpy(s->txn.text + s->txn.written, data, len);
	s->txn.written = need;
	if (need > CONTENT_MAX && !s->txn.spilling)
		begin(s);
}

static int
send_content(struct session *s, struct channel *ch)
{
	struct msg_txn_content c = { .txn = s->txn.id };

	for (size_t at = 0; at < s->txn.written; at += c.content_len) {
		c.content = (const uint8_t *)s->txn.text + at;
		c.content_len =
		    s->txn.written - at < CHUNK ? (size_t)s->txn.written - at : CHUNK;
		if (channel_send(ch, MSG_SMTPD_QUEUED_CONTENT, 0, &c, -1) == -1)
			return -1;
	}
	return 0;
}

void
txn_whole_commit(struct session *s)
{
	struct channel *ch = daemon_peer(ROLE_QUEUED);
	struct msg_txn_begin q;

	/* Rules may have come while the content did. */
	if (is_judged()) {
		begin(s);
		return;
	}
	if (ch != NULL) {
		s->txn.id = txn_begin_fill(s, &q);
		s->txn.channel = channel_serial(ch);
		q.whole = 1;
	}
	if (ch == NULL || channel_send(ch, MSG_SMTPD_QUEUED_BEGIN, 0, &q, -1) == -1 ||
	    txn_send_rcpts(s, ch) == -1 || send_content(s, ch) == -1) {
		txn_finish_reply(s, SMTP_REPLY_QUEUE_TEMP);
		return;
	}
	s->txn.disposition = DISPOSITION_ACCEPT;
	txn_commit_now(s);
}

void
txn_whole_committed(struct session *s, struct msg *m)
{
	if (m != NULL && m->p.txn_status.status == MSG_OK)
		strlcpy(s->txn.qid, m->p.txn_status.text, sizeof(s->txn.qid));
	else
		txn_whole_trouble = 1;
}
