/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_LOGIN_H
#define FIFE_IMAP_LOGIN_H

/*
 * IMAP before the login (RFC 3501, 6.1 and 6.2): bytes in, bytes out, no socket; the
 * functions of struct front_protocol (common/front/front.h).
 */

#include "common/front/front.h"

#define IMAP_LOGIN_LINE_MAX                                        \
	12288 /* base64 of a SASL response of 8192 octets and some \
	       */
#define IMAP_LOGIN_LITERAL_MAX 1024
#define IMAP_LOGIN_BAD_MAX 20

struct login *imap_login_new(const struct login_facts *);
void imap_login_free(struct login *);
size_t imap_login_input(struct login *, const uint8_t *, size_t);
void imap_login_tls_ready(struct login *);
void imap_login_result(
    struct login *, enum login_status, const uint8_t *data, size_t, const char *text);
void imap_login_opened(struct login *, bool ok, const char *text);
void imap_login_bye(struct login *, const char *text);

#endif
