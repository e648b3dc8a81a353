/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_SESSION_CHANNEL_H
#define FIFE_MAILBOX_SESSION_CHANNEL_H

/*
 * What the sessions share whose peer is another process of the suite, on a channel: how
 * they start, are lost and are stopped. A kind of session has this as its first member.
 */

#include <sys/queue.h>

#include <stddef.h>

#include "common/channel.h"

struct store;

struct session_channel {
	LIST_ENTRY(session_channel) entry;
	struct channel *ch;
	struct store *store; /* borrowed */
	char address[321];   /* of the mailbox, as the label says */
	void (*clear)(void *);
	void (*ended)(void *);
	void *arg;
};

/*
 * size octets for that kind, zeroed behind this part; fd is taken. on_message gets the
 * session as its arg. clear (or NULL) frees what the kind holds, before the session is
 * freed. ended(arg) as in session.h. NULL: no memory; neither is called.
 */
void *session_channel_new(size_t size, struct event_base *, int fd, enum role peer,
    struct store *, const struct msg_mbox_label *, channel_message_cb on_message,
    void (*clear)(void *), void (*ended)(void *), void *arg);

#endif
