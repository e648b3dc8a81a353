/* SPDX-License-Identifier: ISC */
#ifndef FIFE_POP3_HELLO_H
#define FIFE_POP3_HELLO_H

/*
 * What holds on both sides of POP3's login: the capabilities, and the line with which
 * pop3d hands a session to the mailbox process. It comes before all octets of the
 * client, and says what the client asked for before the login.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/pop3/pop3_text.h"
#include "common/sasl_names.h"

struct evbuffer;

struct pop3_hello {
	bool utf8;                 /* UTF8 was given (RFC 6856, 2.1) */
	bool utf8_strict;          /* without it, no message with a UTF-8 header */
	enum pop3_lang lang;       /* LANG */
	uint32_t login_delay_s;    /* what CAPA tells */
	char sasl[SASL_NAMES_MAX]; /* mechanisms, each behind a space; "": no login
				    * without TLS */
};

#define POP3_HELLO_MAX 400 /* octets of the line, CRLF and NUL included */

/* The line with its CRLF. */
void pop3_hello_print(const struct pop3_hello *, char out[POP3_HELLO_MAX]);
/* Of the line without CRLF. -1: it is none. */
int pop3_hello_parse(const char *line, struct pop3_hello *);

/* CAPA's reply (RFC 2449). */
void pop3_capa(struct evbuffer *, const struct pop3_hello *, bool stls);

#endif
