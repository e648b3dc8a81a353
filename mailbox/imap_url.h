/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_URL_H
#define FIFE_IMAP_URL_H

/* IMAP URLs (RFC 5092) that name a message or a part of one on this server, as CATENATE
 * takes them: "/box;UIDVALIDITY=1/;UID=2/;SECTION=1.2/;PARTIAL=0.10". */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbox/store.h"

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
/* Of a message's content; free octets->owned. -1: there is no such part, or no memory. */
int imap_url_octets(
    const struct imap_url *, bool binary, const struct content *, struct imap_octets *);

#endif
