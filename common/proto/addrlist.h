/* SPDX-License-Identifier: ISC */
/*
 * Address lists of header fields (RFC 5322, 3.4 and 4.4), read tolerantly and in order,
 * in the shape IMAP's ENVELOPE wants (RFC 9051, 7.5.2).  A stream of items: nothing is
 * allocated, the item's buffers are overwritten by the next call.
 */
#ifndef FIFE_ADDRLIST_H
#define FIFE_ADDRLIST_H

#include <stdbool.h>
#include <stddef.h>

#define ADDRLIST_MAX 10000 /* items of one field; the rest is dropped */

enum addrlist_kind {
	ADDRLIST_MAILBOX,
	ADDRLIST_GROUP, /* start: the group's name is in name and in local */
	ADDRLIST_GROUP_END,
};

/* Strings end in NUL and hold none inside; what is too long is cut. */
struct addrlist_item {
	enum addrlist_kind kind;
	bool
	    has_name; /* false: NIL.  A comment after a bare address counts as its name */
	bool has_route;
	bool has_host;   /* false: no "@" was found; local is all there is */
	char name[1024]; /* quotes removed, RFC 2047 words left as they are */
	char route[512]; /* "@a,@b" */
	char local[512]; /* quotes removed */
	char host[512];
};

struct addrlist {
	const char *s; /* borrowed */
	size_t len, pos;
	size_t items;
	bool in_group;
};

/* value may be folded: CR and LF count as white space. */
void addrlist_init(struct addrlist *l, const char *value, size_t len);
/* 1: *item is filled; 0: no more.  There is no error: malformed text gives its best
 * reading. */
int addrlist_next(struct addrlist *l, struct addrlist_item *item);

/* local@host of a mailbox, quoted where needed.  The length, or -1. */
int addrlist_format(const struct addrlist_item *item, char *out, size_t cap);

#endif
