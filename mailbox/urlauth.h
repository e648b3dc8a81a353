/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_URLAUTH_H
#define FIFE_MAILBOX_URLAUTH_H

/*
 * URLs that authorise whoever has them (RFC 4467): the keys of folders, and what a URL
 * opens. The keys never leave this process; they lie in the file fife-urlauth above the
 * Maildir, a line with MAILBOXID and key for each folder.
 *
 * The token of the mechanism INTERNAL is "01", which names the algorithm, and
 * HMAC-SHA-256 of the rump URL in hexadecimal.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbox/imap_fetch.h"
#include "mailbox/store.h"

#define URLAUTH_TOKEN_SIZE (2 + 64 + 1)

/* The token for a rump URL about that folder, which gets a key if it has none. */
enum store_error urlauth_token(
    struct store *, struct folder *, const char *rump, size_t, char *token);
/* A new key for a folder, or (NULL) none for all: URLs of before open nothing. */
enum store_error urlauth_reset(struct store *, struct folder *);

enum urlauth_status {
	URLAUTH_OK,
	URLAUTH_BAD,    /* no such URL, wrong token, not for the asker, expired */
	URLAUTH_ABSENT, /* authorised, but there is no such message or part */
	URLAUTH_IO
};

struct urlauth_asker {
	const char *address; /* who is logged in */
	bool submits;        /* by smtpd, for him */
};

/* What a URL opened. */
struct urlauth_part {
	struct content content;
	struct imap_octets octets;  /* nil: cannot be decoded */
	struct evbuffer *structure; /* if that was asked for */
};

/* items: of enum imap_url_item; 0: the octets. The part is to be cleared if it is OK. */
enum urlauth_status urlauth_open(struct store *, const char *owner,
    const struct urlauth_asker *, const char *url, size_t len, unsigned int items,
    int64_t now, struct urlauth_part *);
void urlauth_part_clear(struct urlauth_part *);

#endif
