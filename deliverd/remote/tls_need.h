/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DELIVERD_TLS_NEED_H
#define FIFE_DELIVERD_TLS_NEED_H

/*
 * What TLS a message needs on its way to one host: by the route, by what its sender asks
 * for (RFC 8689), and by how the host was found.
 */

#include <stdbool.h>

#include "common/proto/routeurl.h"
#include "deliverd/remote/smtp_out.h"

struct tls_ask {
	enum route_scheme scheme;
	bool mx;           /* the host is one that the domain's MX names, not a route's */
	bool mx_secure;    /* by an answer that DNSSEC has proved */
	bool require_tls;  /* REQUIRETLS, and no bounce */
	bool tls_optional; /* "TLS-Required: No" */
	bool failed;       /* a handshake without need has failed: once more in plain */
	bool have_tls;     /* there is TLS to be had here */
};

struct tls_need {
	enum smtp_out_tls tls; /* for the engine */
	bool implicit;         /* from the first octet */
	bool verify;           /* the certificate counts, or nothing is sent */
	/* Not NULL: the message may not go to that host. */
	const char *enhanced;
	const char *text;
};

void tls_need_of(const struct tls_ask *, struct tls_need *);

#endif
