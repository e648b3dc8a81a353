/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_FILTER_H
#define FIFE_MAILBOX_FILTER_H

/*
 * Delivery by the user's Sieve script and by the rules that come with the delivery (from
 * fifectl user set). Messages go into folders here; what is to be sent is handed out.
 */

#include "common/msg.h"
#include "mailbox/store.h"

struct filter_owner {
	const char *address;
	const char *hostname;
};

/* fd is taken: the message to send, or -1: the one that is delivered. -1: no more. */
typedef int (*filter_outlet)(const struct msg_outlet *, int fd, void *arg);

/*
 * 0: there are no rules, and nothing was done. 1: out is filled; what is to be sent
 * went to outlet before. The store's error for out->status is in *error.
 */
int filter_deliver(struct store *, const struct filter_owner *,
    const struct msg_deliver *, int fd, filter_outlet, void *arg,
    struct msg_delivered *out, enum store_error *error);

#endif
