/* SPDX-License-Identifier: ISC */
/*
 * BDAT (RFC 3030): content in chunks whose sizes are said before.
 *
 *	RCPT --BDAT--> BDAT --chunk is in--> CHUNKS --BDAT--> BDAT --chunk of LAST-->
 *HELLO
 *
 * The octets of a chunk are read in any case, also of one that may not come here or that
 * comes behind a refused one: else they would be taken for commands.
 */
#include "smtpd/smtp_in_internal.h"

/* A chunk that nobody wants may have the size of a message. */
#define UNWANTED_MORE (1024 * 1024)

static void
chunk_end(struct smtp_in *e)
{
	if (e->chunk_unwanted) {
		e->chunk_unwanted = 0;
		e->state = e->chunk_back;
		/* RFC 3030, 4.2: chunks that were on their way already. */
		if (e->chunk_failed)
			smtp_in_reply(e, e->chunk_reply);
		else
			smtp_in_error(e, e->chunk_reply);
		return;
	}
	if (e->chunk_last)
		smtp_data_finish(&e->data);
	if (e->chunk_last || e->content_failed != SMTP_REPLY_NONE ||
	    e->data.fault != SMTP_DATA_GOOD) {
		smtp_in_data_end(e);
		e->chunk_failed = e->state == ST_HELLO;
		return;
	}
	e->state = ST_CHUNKS;
	smtp_in_reply(e, e->from_url ? SMTP_REPLY_URL_OK : SMTP_REPLY_CHUNK_OK);
}

/* Where content may not come. */
enum smtp_reply
smtp_bdat_unwanted(const struct smtp_in *e)
{
	if (e->state == ST_START)
		return SMTP_REPLY_HELLO_FIRST;
	if (e->state == ST_HELLO)
		return SMTP_REPLY_MAIL_FIRST;
	return e->refused_rcpt ? SMTP_REPLY_NO_VALID_RCPT : SMTP_REPLY_RCPT_FIRST;
}

void
smtp_bdat_start(struct smtp_in *e, const struct smtp_command *c)
{
	e->chunk_left = c->chunk;
	e->chunk_last = c->last;
	e->from_url = 0;
	if (e->state != ST_RCPT && e->state != ST_CHUNKS) {
		if (c->chunk > smtp_in_size_max(e) + UNWANTED_MORE) {
			smtp_in_end(e, SMTP_REPLY_MESSAGE_SIZE);
			return;
		}
		e->chunk_reply = smtp_bdat_unwanted(e);
		e->chunk_back = e->state;
		e->chunk_unwanted = 1;
		e->state = ST_BDAT;
		if (e->chunk_left == 0)
			chunk_end(e);
	} else
		smtp_bdat_chunk(e, c->chunk);
}

void
smtp_bdat_chunk(struct smtp_in *e, uint64_t size)
{
	e->chunk_left = size;
	if (e->state == ST_RCPT) {
		e->state = ST_BDAT;
		e->wait = WAIT_OPEN;
		smtp_in_act(e, &(struct smtp_action){ .type = SMTP_ACT_OPEN });
		return;
	}
	e->state = ST_BDAT;
	if (e->chunk_left == 0)
		chunk_end(e);
}

void
smtp_bdat_opened(struct smtp_in *e, enum answer_status status)
{
	smtp_data_init(&e->data,
	    e->body == BODY_BINARYMIME ? SMTP_DATA_BINARY : SMTP_DATA_TEXT,
	    smtp_in_size_max(e), e->conf->hops_max);
	if (status == MSG_OK)
		e->opened = 1;
	else
		e->content_failed = smtp_in_queue_reply(status);
	if (e->chunk_left == 0)
		chunk_end(e);
}

size_t
smtp_bdat_input(struct smtp_in *e, const char *in, size_t len)
{
	enum smtp_data_result r;
	size_t used = len;

	if (used > e->chunk_left)
		used = (size_t)e->chunk_left;
	if (!e->chunk_unwanted)
		used = smtp_in_data_feed(e, in, used, &r);
	e->chunk_left -= used;
	if (e->chunk_left == 0 && e->state == ST_BDAT)
		chunk_end(e);
	return used;
}
