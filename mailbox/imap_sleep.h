/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_SLEEP_H
#define FIFE_IMAP_SLEEP_H

/*
 * A session that waits, as octets, so that its process need not wait with it: another one
 * goes on from there when the client speaks or there is news. Only what a client that
 * waits has: no command at work, no NOTIFY, no context, no compression, nothing of
 * other users' mailboxes.
 */

#include <stddef.h>
#include <stdint.h>

struct evbuffer;
struct imap;

#define IMAP_SLEEP_MAX 11500 /* octets; a session that needs more stays awake */

/* 0, or -1: it cannot be put away now. Nothing is changed. */
int imap_sleep(struct imap *, struct evbuffer *out);
/* Into a session that is new. -1: it cannot go on, since its folder is another one or
 * gone, or the octets do not make sense; the client must be told good-bye. */
int imap_wake(struct imap *, const uint8_t *, size_t);

#endif
