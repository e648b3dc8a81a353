/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_URLAUTH_H
#define FIFE_IMAP_URLAUTH_H

/*
 * The frame of URLs that carry their authorisation (RFC 4467, 3):
 *	imap://alice%40example.test@host/PART;EXPIRE=...;URLAUTH=submit+alice:INTERNAL:TOKEN
 * What names the message is left as it stands. No I/O.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAP_URLAUTH_MAX \
	4000 /* octets of a URL; struct msg_url_ask has no room for more */
#define IMAP_URLAUTH_USER_MAX 320
#define IMAP_URLAUTH_TOKEN_MIN 32 /* hex digits */

enum imap_url_access {
	IMAP_URL_SUBMIT, /* who submits for that user */
	IMAP_URL_USER,   /* that user */
	IMAP_URL_AUTHUSER,
	IMAP_URL_ANONYMOUS
};

struct imap_urlauth {
	char owner[IMAP_URLAUTH_USER_MAX + 1]; /* whose mailbox */
	const char *part;                      /* in the URL, from its slash on */
	size_t part_len;
	bool expires;
	int64_t expire; /* seconds since 1970 */
	enum imap_url_access access;
	char user[IMAP_URLAUTH_USER_MAX + 1]; /* of submit+ and user+ */
	size_t rump_len;                      /* what the token is made of */
	const char *mechanism, *token;        /* NULL: a rump URL */
	size_t mechanism_len, token_len;
};

/* 0; -1: it is none. */
int imap_urlauth_parse(const char *, size_t, struct imap_urlauth *);
/* Is that the user whose address is given? A name alone is of the owner's domain. */
bool imap_urlauth_is(const char *user, const char *address, const char *owner);

#endif
