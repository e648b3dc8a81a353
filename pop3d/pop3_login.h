/* SPDX-License-Identifier: ISC */
#ifndef FIFE_POP3_LOGIN_H
#define FIFE_POP3_LOGIN_H

/*
 * POP3's AUTHORIZATION state (RFC 1939, 4; RFC 2595; RFC 5034): bytes in, bytes out, no
 * socket; the functions of struct front_protocol (common/front/front.h).
 */

#include "common/front/front.h"

#define POP3_LOGIN_BAD_MAX 20
#define POP3_USER_MAX 320

struct login *pop3_login_new(const struct login_facts *);
void pop3_login_free(struct login *);
size_t pop3_login_input(struct login *, const uint8_t *, size_t);
void pop3_login_tls_ready(struct login *);
void pop3_login_result(
    struct login *, enum login_status, const uint8_t *data, size_t, const char *text);
void pop3_login_opened(struct login *, bool ok, const char *text);
size_t pop3_login_hello(struct login *, char out[LOGIN_HELLO_MAX]);
void pop3_login_bye(struct login *, const char *text);

#endif
