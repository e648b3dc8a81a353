/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_STATUS_H
#define FIFE_IMAP_STATUS_H

/* STATUS of a mailbox, for STATUS itself, LIST (RFC 5819) and NOTIFY (RFC 5465). */

#include "mailbox/store.h"

struct imap;
struct imap_args;
struct evbuffer;

enum imap_status_item {
	IMAP_STATUS_MESSAGES = 1,
	IMAP_STATUS_RECENT = 2,
	IMAP_STATUS_UIDNEXT = 4,
	IMAP_STATUS_UIDVALIDITY = 8,
	IMAP_STATUS_UNSEEN = 16,
	IMAP_STATUS_SIZE = 32,
	IMAP_STATUS_APPENDLIMIT = 64,
	IMAP_STATUS_HIGHESTMODSEQ = 128,
	IMAP_STATUS_MAILBOXID = 256,
	IMAP_STATUS_DELETED = 512,
	IMAP_STATUS_DELETED_STORAGE = 1024,
};

/* "(" items ")". -1 with a->error. */
int imap_status_parse(struct imap_args *, unsigned int *items);
/* The same words as they came. */
void imap_status_print_items(struct evbuffer *, unsigned int items);
/* "* STATUS name (...)"; nothing when the mailbox cannot be opened. */
enum store_error imap_status_tell(struct imap *, const char *name, unsigned int items);

#endif
