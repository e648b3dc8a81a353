/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MBOXD_QUOTAS_H
#define FIFE_MBOXD_QUOTAS_H

/*
 * Limits of other mailboxes that an administrator asks about over IMAP: his mailbox's
 * process asks authd, which judges. mboxd says which mailbox it is that asks, and looks
 * at nothing else.
 */

#include "common/channel.h"

/* How often a mailbox process asks: authd is not its plaything. */
struct quotas_pace {
	uint64_t since_ms;
	unsigned int asked; /* in this second */
};
#define QUOTAS_PER_S 40

/* MSG_MAILBOX_MBOXD_QUOTA of the process of that mailbox. */
void quotas_ask(
    struct channel *, const char *mailbox, struct quotas_pace *, struct msg *);

#endif
