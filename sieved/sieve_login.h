/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SIEVE_LOGIN_H
#define FIFE_SIEVE_LOGIN_H

/*
 * ManageSieve before the login (RFC 5804, 1.7, 2.1 to 2.4): bytes in, bytes out, no
 * socket; the functions of struct front_protocol (common/front/front.h).
 */

#include "common/front/front.h"

#define SIEVE_LOGIN_BAD_MAX 20
#define SIEVE_LOGIN_LITERAL_MAX 16384

struct login *sieve_login_new(const struct login_facts *);
void sieve_login_free(struct login *);
size_t sieve_login_input(struct login *, const uint8_t *, size_t);
void sieve_login_tls_ready(struct login *);
void sieve_login_result(
    struct login *, enum login_status, const uint8_t *data, size_t, const char *text);
void sieve_login_opened(struct login *, bool ok, const char *text);
void sieve_login_bye(struct login *, const char *text);

#endif
