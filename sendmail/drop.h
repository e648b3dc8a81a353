/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SENDMAIL_DROP_H
#define FIFE_SENDMAIL_DROP_H

/* With the suite down: keep the message in STATE/spool/drop, from where queued collects
 * it (fife-spool(5), DROP FILES). */

#include "sendmail/host.h"
#include "sendmail/message.h"
#include "sendmail/submit.h"

/* Keeps it for the recipients in state RCPT_LATER. 0, or -1 with errno; nothing is left
 * behind then. */
int drop_message(const struct host *, const struct submit *, const struct message *);

#endif
