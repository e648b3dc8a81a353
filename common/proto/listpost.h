/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LISTPOST_H
#define FIFE_LISTPOST_H

/*
 * A post of a mailing list is one message in the queue for all members; what differs from
 * member to member is made when it is delivered:
 *
 *	reverse-path	LIST-bounces+local=domain=TOKEN@DOMAIN	(VERP)
 *	header		List-Unsubscribe (RFC 2369), List-Unsubscribe-Post (RFC 8058)
 *
 * TOKEN is a letter for the period of the key and a MAC of the member's address by the
 * list's key of that period, so that nobody makes one for another member. authd derives
 * the keys and checks tokens; who delivers has the key of one list for one period. Pure.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/proto/address.h"

#define LISTPOST_KEY 16
#define LISTPOST_URI_MAX 200
#define LISTPOST_TEXT_MAX 600 /* of listpost_format() */
#define LISTPOST_TOKEN_LEN 13
#define LISTPOST_PERIOD_S (30 * 86400)
#define LISTPOST_PERIODS 32 /* letters; they come again after that */
#define LISTPOST_FIELDS_MAX 3000

/* What a token is for: a bounce opens no door, and a confirmation is not used twice. */
enum listpost_purpose {
	LISTPOST_BOUNCE = 'b',
	LISTPOST_UNSUBSCRIBE = 'u',
	LISTPOST_JOIN = 'j',
	LISTPOST_LEAVE = 'l'
};

struct listpost {
	char list[ADDRESS_MAX + 1]; /* its key */
	uint8_t key[LISTPOST_KEY];
	uint8_t period; /* number, modulo LISTPOST_PERIODS */
	/* https URI of the site's web server with {token} in it; "": none */
	char uri[LISTPOST_URI_MAX + 1];
};

/* As text for a record and a message: 0 or -1 (malformed, no room). */
int listpost_parse(const char *, struct listpost *);
int listpost_format(const struct listpost *, char *out, size_t cap);

/* The key of a list for a period (seconds since 1970 / LISTPOST_PERIOD_S). */
void listpost_key(const uint8_t secret[32], const char *list, int64_t period,
    uint8_t key[LISTPOST_KEY]);
/* member: its key. */
void listpost_token(const struct listpost *, enum listpost_purpose, const char *member,
    char token[LISTPOST_TOKEN_LEN + 1]);
/*
 * Is it a token of that list, purpose and member, made in the present period or one of
 * `back` before it? 1 or 0. Case does not matter.
 */
int listpost_check(const uint8_t secret[32], int64_t now, int back, const char *list,
    enum listpost_purpose, const char *member, const char *token);

/* LIST-what+local=domain=TOKEN@DOMAIN. 0, or -1: it would be too long. */
int listpost_address(const char *list, const char *what, const char *member,
    const char *token, char *out, size_t cap);
/* The reverse-path for a member; without room that of the list alone. */
void listpost_sender(
    const struct listpost *, const char *member, char out[ADDRESS_MAX + 1]);
/* LIST-what@DOMAIN. 0 or -1. */
int listpost_plain(const char *list, const char *what, char *out, size_t cap);
/* local=domain=TOKEN into member (a key) and token. 0 or -1. */
int listpost_tag(
    const char *tag, char *member, size_t cap, char token[LISTPOST_TOKEN_LEN + 1]);

/* mailto: of an address (RFC 6068, 2): what has a meaning in a URI by its number. 0 or
 * -1. */
int listpost_mailto(const char *address, char *out, size_t cap);
/* The fields for a member, with CRLF; the length, 0 without room. */
size_t listpost_fields(
    const struct listpost *, const char *member, char *out, size_t cap);
/* The {token} of the URI, and back. 0 or -1. */
int listpost_uri_token(
    const char *list, const char *member, const char *token, char *out, size_t cap);
int listpost_uri_parse(const char *text, char list[ADDRESS_MAX + 1],
    char member[ADDRESS_MAX + 1], char token[LISTPOST_TOKEN_LEN + 1]);

/* Does an enhanced status (RFC 3463) say that an address is dead? Words about the
 * message, its size or the space do not. */
int listpost_is_hard(const char *status);

#endif
