/* SPDX-License-Identifier: ISC */
/* Refusals of the gate; see smtp_gate.h. */
#include "smtpd/smtp_gate.h"

#include "smtpd/smtp_in_internal.h"

void
smtp_in_rcpt_refuse(
    struct smtp_in *e, const char *rcpt, int code, const char *enhanced, const char *text)
{
	if (e->wait != WAIT_RCPT)
		return;
	e->wait = WAIT_NONE;
	e->refused_rcpt = 1;
	smtp_in_act(e, &(struct smtp_action){ .type = SMTP_ACT_REFUSED,
			   .name = rcpt,
			   .code = code,
			   .enhanced = enhanced,
			   .text = text });
	smtp_in_reply_text(e, code, enhanced, text);
	if (code >= 500 && ++e->bad_rcpts / BAD_RCPTS_FACTOR > e->conf->errors_max)
		smtp_in_end(e, SMTP_REPLY_TOO_MANY_ERRORS);
}

void
smtp_in_refused_too_many(struct smtp_in *e)
{
	smtp_in_end(e, SMTP_REPLY_TOO_MANY_REFUSED);
}
