/* SPDX-License-Identifier: ISC */
#ifndef FIFE_POP3_LOGIN_H
#define FIFE_POP3_LOGIN_H

/*
 * POP3's AUTHORIZATION state (RFC 1939, 4; RFC 2595; RFC 5034): bytes in, bytes out, no
 * socket; the functions of struct front_protocol (common/front/front.h).
 *
 *	READY --USER--> READY (name kept) --PASS--> ASKING --denied--> READY
 *	READY --AUTH PLAIN--> [RESPONSE] --> ASKING
 *	READY --STLS--> TLS --> READY
 *	ASKING --ok--> OPENING --> (the relay), or READY
 *	any --QUIT--> ENDED
 */

#include "common/front/front.h"

#define POP3_LOGIN_BAD_MAX 20
#define POP3_USER_MAX 320

void *pop3_login_new(const struct login_facts *);
void pop3_login_free(void *);
size_t pop3_login_input(void *, const uint8_t *, size_t);
enum login_action pop3_login_action(void *, struct login_sasl *);
struct evbuffer *pop3_login_output(void *);
void pop3_login_certificate(void *);
void pop3_login_tls_ready(void *);
void pop3_login_result(
    void *, enum login_status, const uint8_t *data, size_t, const char *text);
void pop3_login_opened(void *, bool ok, const char *text);
void pop3_login_bye(void *, const char *text);

#endif
