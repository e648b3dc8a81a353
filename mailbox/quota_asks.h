/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_QUOTA_ASKS_H
#define FIFE_MAILBOX_QUOTA_ASKS_H

/*
 * Limits of mailboxes, as an administrator's session sees and sets them (RFC 9208): the
 * question goes through mboxd to authd, which knows whether the session is one.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/channel.h"

/* The channel is borrowed; NULL once it is gone, and where there is none. */
void quota_asks_init(struct channel *mboxd);

struct quota_wanted {
	uint64_t login;      /* of the session */
	const char *address; /* whose mailbox */
	bool set;
	uint64_t octets; /* 0: no limit of its own */
	uint64_t messages;
};

/* done: with quota_is, never from inside; NULL: nobody answered. 0: it cannot be asked.
 */
uint64_t quota_ask(const struct quota_wanted *, channel_answer_cb done, void *arg);
void quota_ask_forget(uint64_t id);

#endif
