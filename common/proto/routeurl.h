/* SPDX-License-Identifier: ISC */
#ifndef FIFE_ROUTEURL_H
#define FIFE_ROUTEURL_H

/*
 * The URL of a route: scheme://[user:secret-name@]host[:port]
 *	smtp://		TLS when offered, not verified; port 25
 *	smtp+tls://	STARTTLS required and verified; port 25
 *	smtps://	TLS from the start, verified; port 465
 *	lmtp://		LMTP (RFC 2033); port 24
 * or a socket of this host, by its absolute path:
 *	lmtp+unix:/path, smtp+unix:/path
 * host is a name (looked up by A and AAAA, never MX), an IPv4 address, or an
 * IPv6 address in brackets. user and secret-name are percent-encoded.
 */

#include <stddef.h>
#include <stdint.h>

enum route_scheme {
	ROUTE_SMTP = 1,
	ROUTE_SMTP_TLS,
	ROUTE_SMTPS,
	ROUTE_LMTP
};

struct routeurl {
	enum route_scheme scheme;
	char host[256];   /* without brackets; "" with a path */
	char path[108];   /* "" for a host */
	uint16_t port;    /* 0 with a path */
	char user[128];   /* "" for none */
	char secret[128]; /* the name of a secret, never the secret */
};

/* 0; or -1 with *why a short reason. */
int routeurl_parse(const char *, struct routeurl *, const char **why);

#endif
