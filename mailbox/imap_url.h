/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_URL_H
#define FIFE_IMAP_URL_H

/* IMAP URLs (RFC 5092) that name a message or a part of one on this server, as CATENATE
 * takes them: "/box;UIDVALIDITY=1/;UID=2/;SECTION=1.2/;PARTIAL=0.10". */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbox/store.h"

struct evbuffer;
struct imap_octets;

#define IMAP_URL_MAX 4096

struct imap_url {
	bool has_mailbox; /* false: the selected one */
	char mailbox[STORE_NAME_MAX + 1];
	uint32_t uidvalidity; /* 0: any */
	uint32_t uid;
	char section[IMAP_URL_MAX]; /* as between "[" and "]" */
	bool has_partial;
	uint32_t offset, count; /* count 0: to the end */
};

/* 0 or -1. */
int imap_url_parse(const char *, size_t, struct imap_url *);
/* What URLFETCH may ask about a part (RFC 5524, 3.1); bits. */
enum imap_url_item {
	IMAP_URL_BODY = 1,   /* as it stands */
	IMAP_URL_BINARY = 2, /* without its transfer encoding, instead */
	IMAP_URL_STRUCTURE = 4
};

/* Of a message's content, as it stands; free octets->owned. -1: there is no such part, or
 * no memory. */
int imap_url_octets(
    const struct imap_url *, const struct content *, struct imap_octets *);
/* The same as items say. octets->nil: its encoding is unknown. structure: added to when
 * asked for; of the part as octets have it. */
int imap_url_items(const struct imap_url *, unsigned int items, const struct content *,
    struct imap_octets *, struct evbuffer *structure);

#endif
