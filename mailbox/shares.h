/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_SHARES_H
#define FIFE_MAILBOX_SHARES_H

/*
 * How the sessions of a mailbox process reach other users' mailboxes (imap_share.h): the
 * question goes to mboxd, which asks authd, and what comes back is a socket to a session
 * at the owner's process. And how it is told with whom this mailbox is shared.
 */

#include "common/channel.h"

struct event_base;
struct imap;
struct store;

/* prefix: of other users' folders; "": they are not shown, and ours are not shared. The
 * channel to mboxd is borrowed; NULL once it is gone. */
void shares_init(struct event_base *, struct channel *mboxd, const char *prefix);
void shares_mboxd_gone(void);
/* For a new session. guest: it is itself another user's, and goes nowhere else. -1: no
 * memory. */
int shares_attach(struct imap *, struct store *, int guest);
/* The name of an owner's tree as others see it. -1: nothing is shared. */
int shares_prefix_of(const char *owner, char *out, size_t cap);
/* Tells with whom the mailbox is shared, when that has changed. By a timer. */
void shares_tell(struct store *);

#endif
