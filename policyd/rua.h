/* SPDX-License-Identifier: ISC */
#ifndef FIFE_POLICYD_RUA_H
#define FIFE_POLICYD_RUA_H

/*
 * Where a domain wants its TLS reports: the TXT record of _smtp._tls (RFC 8460, 3).
 * Pure and bounded.
 */

#include <stddef.h>
#include <stdint.h>

#define RUA_MAX 4 /* of a record; more are passed over */

enum rua_scheme {
	RUA_MAILTO = 1,
	RUA_HTTPS
};

struct rua {
	enum rua_scheme scheme;
	char address[321]; /* RUA_MAILTO */
	char host[256];    /* RUA_HTTPS, port 443 only */
	char path[513];
};

/*
 * The number of places, 0 when there is none that can be used; -1: this is no record of
 * TLSRPT, to be left out of count. Unknown schemes and fields are passed over.
 */
int rua_parse(const uint8_t *txt, size_t len, struct rua out[RUA_MAX]);

#endif
