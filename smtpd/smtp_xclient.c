/* SPDX-License-Identifier: ISC */
/* XCLIENT and XFORWARD in the engine (Postfix's XCLIENT_README, XFORWARD_README). */
#include "smtpd/smtp_in_internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"

void
smtp_xclient(struct smtp_in *e, const struct smtp_command *c)
{
	if (!e->facts.xclient) {
		smtp_in_error(e, SMTP_REPLY_XCLIENT_DENIED);
		return;
	}
	free(e->xattr);
	if ((e->xattr = calloc(1, sizeof(*e->xattr))) == NULL) {
		smtp_in_end(e, SMTP_REPLY_MEMORY);
		return;
	}
	if (xattr_parse(c->rest, c->rest_len, XATTR_XCLIENT, e->xattr) == -1) {
		smtp_in_error(e, SMTP_REPLY_SYNTAX_XATTR);
		return;
	}
	e->wait = WAIT_XCLIENT;
	smtp_in_act(
	    e, &(struct smtp_action){ .type = SMTP_ACT_XCLIENT, .xattr = e->xattr });
}

/* Another client, another session: as after a connection, but for TLS. */
void
smtp_in_xclient_answer(struct smtp_in *e, int check_sender, enum smtp_reply refusal)
{
	if (e->wait != WAIT_XCLIENT)
		return;
	e->wait = WAIT_NONE;
	smtp_in_reset(e);
	free(e->helo);
	e->helo = e->xattr->helo[0] != '\0' ? strdup(e->xattr->helo) : NULL;
	e->esmtp = strcmp(e->xattr->proto, "ESMTP") == 0;
	e->authenticated = 0;
	e->errors = e->bad_rcpts = e->auth_failures = 0;
	e->facts.check_sender = (uint8_t)check_sender;
	e->state = ST_START;
	if (refusal != SMTP_REPLY_NONE)
		smtp_in_end(e, refusal);
	else
		smtp_in_start(e);
}

/* For the log only; more lines may follow. */
void
smtp_xforward(struct smtp_in *e, const struct smtp_command *c)
{
	if (!e->facts.xclient) {
		smtp_in_error(e, SMTP_REPLY_XCLIENT_DENIED);
		return;
	}
	if (e->forward == NULL && (e->forward = calloc(1, sizeof(*e->forward))) == NULL) {
		smtp_in_end(e, SMTP_REPLY_MEMORY);
		return;
	}
	if (xattr_parse(c->rest, c->rest_len, XATTR_XFORWARD, e->forward) == -1)
		smtp_in_error(e, SMTP_REPLY_SYNTAX_XATTR);
	else
		smtp_in_reply(e, SMTP_REPLY_OK);
}

const struct xattr *
smtp_in_forward(const struct smtp_in *e)
{
	return e->forward;
}
