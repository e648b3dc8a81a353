/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MBOXD_SHARES_H
#define FIFE_MBOXD_SHARES_H

/*
 * Mailbox processes that want to reach others: who they are is known here by their
 * channel, and whether they may is authd's word. A process that was taken over asks no
 * faster than others.
 */

#include "common/channel.h"

/* MAILBOX_MBOXD_SHARES, _SHARE or _GRANTS, of the process of that mailbox. */
void shares_message(struct channel *, const char *mailbox, struct msg *);

#endif
