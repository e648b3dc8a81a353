/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_THREAD_H
#define FIFE_IMAP_THREAD_H

/* Threads of messages (RFC 5256, 3), without a store: keys in, numbers out. */

#include <stddef.h>
#include <stdint.h>

#include "mailbox/imap_sortkey.h"

struct evbuffer;

enum imap_thread_algorithm {
	IMAP_THREAD_ORDEREDSUBJECT,
	IMAP_THREAD_REFERENCES,
	IMAP_THREAD_REFS, /* by references alone; the thread with the newest mail last */
};

struct imap_thread_message {
	uint32_t number; /* as printed: of the sequence, or the UID */
	int64_t date;    /* sent date, or INTERNALDATE without one */
	int64_t internal;
	const struct imap_sortkey *key;
};

/* Messages in order of the mailbox. Prints "(1)(2 3)"; -1: no memory. */
int imap_thread_print(enum imap_thread_algorithm, const struct imap_thread_message *,
    size_t n, struct evbuffer *);

#endif
