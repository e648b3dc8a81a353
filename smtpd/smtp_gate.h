/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTP_GATE_H
#define FIFE_SMTP_GATE_H

/* What the gate has the engine of smtp_in.h say. */

#include "smtpd/smtp_in.h"

/* In place of smtp_in_rcpt_answer(). rcpt and text have to live until the actions are
 * performed; enhanced is static. */
void smtp_in_rcpt_refuse(
    struct smtp_in *, const char *rcpt, int code, const char *enhanced, const char *text);
/* 421 to who has had too many recipients refused. */
void smtp_in_refused_too_many(struct smtp_in *);

#endif
