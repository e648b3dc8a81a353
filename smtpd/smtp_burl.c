/* SPDX-License-Identifier: ISC */
/*
 * BURL (RFC 4468): content that the server fetches itself, by a URL that authorises it.
 *
 *	RCPT, CHUNKS --BURL--> (authd is asked) --> BDAT, as if the octets came by BDAT
 *	                                        \-> HELLO: the transaction has failed
 *
 * The URL is the mailbox process' to judge; here it is a word.
 */
#include "smtpd/smtp_in_internal.h"

#include <stdlib.h>
#include <string.h>

int
smtp_burl_offered(const struct smtp_in *e)
{
	return e->authenticated &&
	       (e->facts.kind == LISTENER_SUBMISSION || e->facts.kind == LISTENER_SMTP);
}

void
smtp_burl_start(struct smtp_in *e, const struct smtp_command *c)
{
	enum smtp_reply r;

	if (!smtp_burl_offered(e)) {
		smtp_in_error(e,
		    e->facts.kind == LISTENER_SUBMISSION || e->facts.kind == LISTENER_SMTP
			? SMTP_REPLY_AUTH_REQUIRED
			: SMTP_REPLY_NOT_IMPLEMENTED);
		return;
	}
	if (e->state != ST_RCPT && e->state != ST_CHUNKS) {
		r = smtp_bdat_unwanted(e);
		/* Pipelined behind one that failed. */
		if (e->chunk_failed)
			smtp_in_reply(e, r);
		else
			smtp_in_error(e, r);
		return;
	}
	free(e->url);
	if ((e->url = strndup(c->rest, c->rest_len)) == NULL) {
		smtp_in_end(e, SMTP_REPLY_MEMORY);
		return;
	}
	e->chunk_last = c->last;
	e->wait = WAIT_URL;
	smtp_in_act(e, &(struct smtp_action){ .type = SMTP_ACT_URL, .name = e->url });
}

static void
failed(struct smtp_in *e, enum smtp_reply r)
{
	smtp_in_refuse(e, r, "", "");
	if (e->opened)
		smtp_in_act(e, &(struct smtp_action){ .type = SMTP_ACT_ABORT });
	e->opened = 0;
	e->forget = 1;
	e->state = ST_HELLO;
	e->chunk_failed = 1;
}

int
smtp_in_url_answer(
    struct smtp_in *e, enum answer_status status, int no_owner, uint64_t size)
{
	if (e->wait != WAIT_URL)
		return -1;
	e->wait = WAIT_NONE;
	free(e->url);
	e->url = NULL;
	if (status == MSG_OK && size > smtp_in_size_max(e))
		failed(e, SMTP_REPLY_MESSAGE_SIZE);
	else if (status == MSG_OK) {
		e->from_url = 1;
		smtp_bdat_chunk(e, size);
		return 0;
	} else
		failed(e, status == MSG_UNKNOWN && no_owner ? SMTP_REPLY_URL_TRUST
			  : status == MSG_UNKNOWN           ? SMTP_REPLY_URL_FAILED
			  : status == MSG_DENIED            ? SMTP_REPLY_URL_DENIED
							    : SMTP_REPLY_URL_TEMP);
	return -1;
}
