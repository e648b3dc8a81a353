/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_URL_ASKS_H
#define FIFE_MAILBOX_URL_ASKS_H

/*
 * URLs about other users' mailboxes (RFC 4467): the question goes to mboxd and authd, and
 * their owner's process answers with a descriptor of just that part. And the session in
 * which this process answers such questions about its own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/channel.h"

/* The channel is borrowed; NULL once it is gone, and where there is none. */
void url_asks_init(struct channel *mboxd);

/* What another mailbox's process says that a URL opens. */
struct url_opened {
	int fd;          /* -1: nothing; to be closed by the receiver */
	uint64_t offset; /* of the part in it, */
	uint64_t size;   /* whose octets need not be there */
	bool nil;        /* it cannot be decoded */
	bool nul;        /* there are NULs in it */
	char *structure; /* a list in parentheses as IMAP has it, if it was asked for; */
	size_t structure_len; /* to be freed by the receiver */
};

#define URL_STRUCTURE_MAX (1024 * 1024)

/* items: of enum imap_url_item. done: never from inside. 0: cannot be asked. */
uint64_t url_ask(const char *url, unsigned int items,
    void (*done)(const struct url_opened *, void *), void *arg);
void url_ask_forget(uint64_t id);

#endif
