/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SIEVE_LOGIN_H
#define FIFE_SIEVE_LOGIN_H

/*
 * ManageSieve before the login (RFC 5804, 1.7, 2.1 to 2.4): bytes in, bytes out, no
 * socket; the functions of struct front_protocol (common/front/front.h).
 *
 *	READY --AUTHENTICATE--> [RESPONSE] --> ASKING --denied--> READY
 *	READY --STARTTLS--> TLS --> READY
 *	ASKING --ok--> OPENING --> (the relay), or READY
 *	any --LOGOUT--> ENDED
 */

#include "common/front/front.h"

#define SIEVE_LOGIN_BAD_MAX 20
#define SIEVE_LOGIN_LITERAL_MAX 16384

void *sieve_login_new(const struct login_facts *);
void sieve_login_free(void *);
size_t sieve_login_input(void *, const uint8_t *, size_t);
enum login_action sieve_login_action(void *, struct login_sasl *);
struct evbuffer *sieve_login_output(void *);
void sieve_login_certificate(void *);
void sieve_login_tls_ready(void *);
void sieve_login_result(
    void *, enum login_status, const uint8_t *data, size_t, const char *text);
void sieve_login_opened(void *, bool ok, const char *text);
void sieve_login_bye(void *, const char *text);

#endif
