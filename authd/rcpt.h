/* SPDX-License-Identifier: ISC */
#ifndef FIFE_RCPT_H
#define FIFE_RCPT_H

/* smtpd's question about a recipient: does it exist, may this sender, is it enough? */

#include "authd/greylist.h"
#include "common/channel.h"

/* greylist: NULL while it is off. Answers at once. */
void rcpt_answer(struct channel *, struct msg *, struct greylist *);

/* queued's question about a message of a login (MSG_QUEUED_AUTHD_SENDER). */
void rcpt_sender_answer(struct channel *, struct msg *);

#endif
