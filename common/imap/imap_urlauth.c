/* SPDX-License-Identifier: ISC */
/* URLs that carry their authorisation; see imap_urlauth.h. */
#include "common/imap/imap_urlauth.h"

#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/proto/date.h"
#include "common/proto/encoding.h"

static bool
begins(const char *s, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len >= n && strncasecmp(s, word, n) == 0;
}

/* Where the word begins for the last time; NULL: nowhere. */
static const char *
last(const char *s, size_t len, const char *word)
{
	for (size_t i = len; i > 0; i--)
		if (begins(s + i - 1, len - i + 1, word))
			return s + i - 1;
	return NULL;
}

/* Undoes %XX of a user's name. */
static int
user(const char *in, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = in[i];

		if (c == '%') {
			if (len - i < 3 || hex_decode(in + i + 1, 2, &c, 1) != 1)
				return -1;
			i += 2;
		}
		if (n == IMAP_URLAUTH_USER_MAX || (unsigned char)c < 0x21 || c == 0x7f)
			return -1;
		out[n++] = c;
	}
	out[n] = '\0';
	return n > 0 && utf8_valid(out, n) ? 0 : -1;
}

/* "submit+alice:INTERNAL:0123..." or without what follows the first colon. */
static int
authorisation(const char *s, size_t len, struct imap_urlauth *u)
{
	const char *colon = memchr(s, ':', len), *second;
	size_t n = colon != NULL ? (size_t)(colon - s) : len;

	if (begins(s, n, "submit+")) {
		u->access = IMAP_URL_SUBMIT;
		if (user(s + 7, n - 7, u->user) == -1)
			return -1;
	} else if (begins(s, n, "user+")) {
		u->access = IMAP_URL_USER;
		if (user(s + 5, n - 5, u->user) == -1)
			return -1;
	} else if (n == 8 && begins(s, n, "authuser"))
		u->access = IMAP_URL_AUTHUSER;
	else if (n == 9 && begins(s, n, "anonymous"))
		u->access = IMAP_URL_ANONYMOUS;
	else
		return -1;
	if (colon == NULL)
		return 0;
	len -= n + 1;
	u->mechanism = colon + 1;
	if ((second = memchr(u->mechanism, ':', len)) == NULL || second == u->mechanism)
		return -1;
	u->mechanism_len = (size_t)(second - u->mechanism);
	u->token = second + 1;
	u->token_len = len - u->mechanism_len - 1;
	if (u->token_len < IMAP_URLAUTH_TOKEN_MIN)
		return -1;
	for (size_t i = 0; i < u->token_len; i++)
		if (strchr("0123456789abcdefABCDEF", u->token[i]) == NULL ||
		    u->token[i] == '\0')
			return -1;
	return 0;
}

int
imap_urlauth_parse(const char *s, size_t len, struct imap_urlauth *u)
{
	const char *slash, *at, *auth, *expire, *name, *end = s + len;
	struct date date;
	size_t n;

	memset(u, 0, sizeof(*u));
	if (len > IMAP_URLAUTH_MAX || memchr(s, '\0', len) != NULL ||
	    !begins(s, len, "imap://"))
		return -1;
	s += 7;
	if ((slash = memchr(s, '/', (size_t)(end - s))) == NULL ||
	    (at = memchr(s, '@', (size_t)(slash - s))) == NULL || at + 1 == slash)
		return -1;
	/* ";AUTH=..." says how to log in, which is nothing here. */
	name = memchr(s, ';', (size_t)(at - s));
	if (name != NULL && !begins(name, (size_t)(at - name), ";AUTH="))
		return -1;
	if (user(s, (size_t)((name != NULL ? name : at) - s), u->owner) == -1)
		return -1;
	if ((auth = last(slash, (size_t)(end - slash), ";URLAUTH=")) == NULL ||
	    authorisation(auth + 9, (size_t)(end - auth - 9), u) == -1)
		return -1;
	u->rump_len = len;
	if (u->mechanism != NULL)
		u->rump_len -= (size_t)(end - u->mechanism) + 1;
	u->part = slash;
	u->part_len = (size_t)(auth - slash);
	if ((expire = last(slash, u->part_len, ";EXPIRE=")) != NULL) {
		n = u->part_len - (size_t)(expire - slash) - 8;
		if (date_parse_iso(expire + 8, n, &date) == -1)
			return -1;
		u->expires = true;
		u->expire = date.time;
		u->part_len = (size_t)(expire - slash);
	}
	return 0;
}

bool
imap_urlauth_is(const char *name, const char *address, const char *owner)
{
	const char *domain = strrchr(address, '@'), *ours = strrchr(owner, '@');

	if (strchr(name, '@') != NULL || domain == NULL)
		return strcasecmp(name, address) == 0;
	return ours != NULL && strcasecmp(domain, ours) == 0 &&
	       strlen(name) == (size_t)(domain - address) &&
	       strncasecmp(name, address, strlen(name)) == 0;
}
