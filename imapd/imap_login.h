/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_LOGIN_H
#define FIFE_IMAP_LOGIN_H

/*
 * IMAP before the login (RFC 3501, 6.1 and 6.2): bytes in, bytes out, no socket; the
 * functions of struct front_protocol (common/front/front.h).
 *
 *	READY --LOGIN, AUTHENTICATE--> ASKING --denied--> READY
 *	READY --AUTHENTICATE--> RESPONSE --line--> ASKING --continue--> RESPONSE
 *	READY --STARTTLS--> TLS --> READY
 *	ASKING --ok--> OPENING --> (the relay), or READY
 *	any --LOGOUT--> ENDED
 */

#include "common/front/front.h"

#define IMAP_LOGIN_LINE_MAX                                        \
	12288 /* base64 of a SASL response of 8192 octets and some \
	       */
#define IMAP_LOGIN_LITERAL_MAX 1024
#define IMAP_LOGIN_BAD_MAX 20

void *imap_login_new(const struct login_facts *);
void imap_login_free(void *);
size_t imap_login_input(void *, const uint8_t *, size_t);
enum login_action imap_login_action(void *, struct login_sasl *);
struct evbuffer *imap_login_output(void *);
void imap_login_certificate(void *);
void imap_login_tls_ready(void *);
void imap_login_result(
    void *, enum login_status, const uint8_t *data, size_t, const char *text);
void imap_login_opened(void *, bool ok, const char *text);
void imap_login_bye(void *, const char *text);

#endif
