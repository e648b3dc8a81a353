/* SPDX-License-Identifier: ISC */
#ifndef FIFE_ROUTE_H
#define FIFE_ROUTE_H

/*
 * A route as the directory keeps it: a URL (routeurl.h), or "mx" for the hosts of
 * the domain itself, and settings behind it, each at most once:
 *	tls=none|opportunistic|required|verified|dane|pin:HEX
 *			the least that is wanted; HEX is the SHA-256 of the public key
 *			(SubjectPublicKeyInfo) as 64 digits
 *	auth=MECHANISM	the only mechanism to log in with
 *	source=ADDRESS	of ours (for IPv4 and IPv6 one each)
 *	helo=NAME
 *	concurrency=N	jobs at a time
 *	rate=N		messages a minute
 *	messages=N	on one connection
 *	fallback=URL	where to go instead
 *	after=N		tries before the fallback, 1 by default
 *	on=CODE,...	replies at which the fallback is taken at once: 550, 5.7.1, 4xx
 */

#include <stdint.h>

#include "common/proto/dnshosts.h"
#include "common/proto/routeurl.h"

#define ROUTE_MAX 511
#define ROUTE_ON_MAX 8

enum tls_floor {
	TLS_FLOOR_DEFAULT, /* as the URL's scheme or the configuration say */
	TLS_FLOOR_NONE,
	TLS_FLOOR_OPPORTUNISTIC,
	TLS_FLOOR_REQUIRED,
	TLS_FLOOR_VERIFIED,
	TLS_FLOOR_DANE,
	TLS_FLOOR_PIN
};

struct route {
	int mx; /* url holds nothing but the scheme */
	struct routeurl url;
	enum tls_floor tls;
	uint8_t pin[32];
	char auth[24];                   /* in upper case; "" for the best there is */
	struct dnsaddr source4, source6; /* family 0: none */
	char helo[256];
	uint32_t concurrency, rate, messages; /* 0: not set */
	char fallback[256];
	uint32_t after;
	char on[ROUTE_ON_MAX][8];
	unsigned int n_on;
};

/* 0; or -1 with *why a short reason. */
int route_parse(const char *, struct route *, const char **why);
/* Is that reply among those of on=? code: 550, enhanced: "5.7.1" or "". */
int route_falls_back_on(const struct route *, int code, const char *enhanced);
/* "verified" */
const char *tls_floor_name(enum tls_floor);

#endif
