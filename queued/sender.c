/*
 * Messages of logins: authd says by the record of the login whether it may send as that,
 * and whether it was asked for all of the recipients. smtpd's word does not count, since
 * it may have been taken over. The question is asked while the content comes, so that
 * nobody waits for the answer.
 *
 * SPDX-License-Identifier: ISC
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "queued/internal.h"
#include "queued/qid.h"
#include "queued/txn_private.h"

#define TIMEOUT_MS 10000

/* By numbers: the transaction may be gone when the answer comes. */
struct question {
	uint64_t serial, txn, id;
	struct event *soon;
};

static struct txn *
txn_of(const struct question *q)
{
	struct txn *t = txn_find(q->serial, q->txn);

	return t != NULL && t->id == q->id ? t : NULL;
}

static void step(struct txn *);

static void
answered(struct txn *t, int status, const char *text)
{
	t->nanswers--;
	if (status != MSG_OK && t->failed == MSG_OK) {
		t->failed = status;
		t->failed_text = text;
	}
	if (t->waits & TXN_WAIT_LOGIN && t->nanswers == 0)
		step(t);
}

static void
on_answer(struct msg *m, void *arg)
{
	struct question *q = arg;
	struct txn *t = txn_of(q);
	char qid[QID_SIZE];

	free(q);
	if (t == NULL)
		return;
	if (m == NULL) {
		answered(t, MSG_TEMP, "The directory does not answer");
		return;
	}
	if (m->p.sender_is.status != MSG_OK) {
		qid_format(t->id, qid);
		log_fact(LOG_SMTP, LOGL_WARN, "login-refused", KS("qid", qid),
		    KS("from", t->begin.sender), KS("client", t->begin.client),
		    KS("why", m->p.sender_is.text));
		answered(t, m->p.sender_is.status == MSG_TEMP ? MSG_TEMP : MSG_PERM,
		    "The login does not allow that");
		return;
	}
	strlcpy(t->begin.login_address, m->p.sender_is.address,
	    sizeof(t->begin.login_address));
	if (m->p.sender_is.hold) {
		t->hold = 1;
		if (t->reason[0] == '\0')
			strlcpy(t->reason, m->p.sender_is.text, sizeof(t->reason));
	}
	answered(t, MSG_OK, "");
}

/* Takes q, which stands for t. */
static void
ask(struct txn *t, struct question *q)
{
	struct channel *ch = daemon_peer(ROLE_AUTHD);
	struct msg_sender_check c = { .login = t->begin.login,
		.rcpts = t->nrcpt - t->nasked };

	t->nasked = t->nrcpt;
	strlcpy(c.sender, t->begin.sender, sizeof(c.sender));
	if (ch != NULL && channel_ask(ch, MSG_QUEUED_AUTHD_SENDER, &c, -1, TIMEOUT_MS,
			      on_answer, q) != 0)
		return;
	free(q);
	answered(t, MSG_TEMP, "The directory does not answer");
}

static void
on_soon(evutil_socket_t fd, short what, void *arg)
{
	struct question *q = arg;
	struct txn *t = txn_of(q);

	(void)fd;
	(void)what;
	event_free(q->soon);
	q->soon = NULL;
	if (t != NULL)
		ask(t, q);
	else
		free(q);
}

static struct question *
question_new(struct txn *t)
{
	struct question *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->serial = t->serial;
	q->txn = t->begin.txn;
	q->id = t->id;
	t->nanswers++;
	return q;
}

void
sender_soon(struct txn *t)
{
	struct question *q = question_new(t);

	if (q == NULL)
		return; /* COMMIT asks */
	q->soon = event_new(daemon_base(), -1, 0, on_soon, q);
	if (q->soon == NULL)
		ask(t, q);
	else
		event_active(q->soon, EV_TIMEOUT, 0);
}

/* COMMIT waits, and nothing is under way: ask for the recipients that came late, or be
 * content. */
static void
step(struct txn *t)
{
	struct question *q;

	if (t->failed == MSG_OK && t->nasked < t->nrcpt) {
		q = question_new(t);
		if (q != NULL) {
			ask(t, q);
			return;
		}
		t->failed = MSG_TEMP;
		t->failed_text = "The queue is out of memory";
	}
	commit_waited(t, TXN_WAIT_LOGIN, MSG_OK, "");
}

int
sender_wait(struct txn *t)
{
	if (t->begin.login == 0)
		return 0;
	t->waits |= TXN_WAIT_LOGIN;
	if (t->nanswers == 0)
		step(t);
	return 1;
}
