/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MBOXD_SYNC_H
#define FIFE_MBOXD_SYNC_H

/*
 * Durability of deliveries by the batch: queued asks, one syncfs of the mail file
 * system runs in a thread that does nothing else, and all who asked before it
 * began are answered. Who asks while it runs waits for the next.
 */

#include "common/channel.h"

struct event_base;

/* In the sandbox. 0 or -1 (logged). */
int sync_start(struct event_base *);
/* A MSG_QUEUED_MBOXD_SYNC. */
void sync_ask(struct channel *, struct msg *);

#endif
