/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DELIVERD_TLSPOLICY_H
#define FIFE_DELIVERD_TLSPOLICY_H

/*
 * What must be checked before mail goes to a host, out of what the route, the
 * sender and the recipient's domain want, and what follows when it fails:
 *	the route's floor	a promise of the administrator: failing is for good
 *	DANE (RFC 7672)		of the host, by DNSSEC; failing waits
 *	MTA-STS (RFC 8461)	of the domain; failing waits
 *	REQUIRETLS (RFC 8689)	of the sender: failing is for good
 *	TLS-Required: no	of the sender: DANE and MTA-STS are tried, no more
 * The higher demand counts; where DANE can be used it is what is checked (RFC
 * 8461, 2). Pure: facts in, a decision out; then an event in, the next step out.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/msg.h"
#include "common/proto/route.h"

enum tlsa_state {
	TLSA_NONE,   /* none, or not vouched for by DNSSEC */
	TLSA_USABLE, /* with at least one record of usage 2 or 3 */
	TLSA_UNUSABLE,
	TLSA_FAILED /* bogus, or cannot be looked up: RFC 7672, 2.1.1 */
};

struct tlspolicy_facts {
	enum tls_floor floor; /* never DEFAULT */
	bool by_mx;           /* the host comes from the domain, not from a route */
	bool mx_secure;
	enum tlsa_state tlsa;
	enum sts_mode sts;
	bool sts_match; /* the host is in the policy */
	bool require_tls;
	bool tls_optional;
	bool have_tls; /* we can do TLS at all */
};

enum tls_mode {
	TLS_MODE_PLAIN,
	TLS_MODE_TRY,  /* when offered, unverified, in plain when it fails */
	TLS_MODE_MUST, /* unverified */
	TLS_MODE_PKIX, /* verified by known authorities and the host's name */
	TLS_MODE_DANE,
	TLS_MODE_PIN
};

enum tls_reason {
	TLS_BY_DEFAULT,
	TLS_BY_ROUTE,
	TLS_BY_DANE,
	TLS_BY_MTASTS,
	TLS_BY_REQUIRETLS
};

struct tlspolicy {
	enum tls_mode mode;
	enum tls_reason reason;
	bool skip;              /* not to be used: status, code and text say why */
	bool requiretls;        /* the host must offer REQUIRETLS */
	enum job_status status; /* of a failure */
	const char *code;
	const char *text;
};

enum tls_event {
	TLS_NOT_OFFERED,
	TLS_REFUSED,   /* STARTTLS answered by an error */
	TLS_HANDSHAKE, /* broke */
	TLS_CERTIFICATE,
	TLS_UNAVAILABLE, /* on our side */
	TLS_DOWNGRADE /* not offered by a host that had it, and that is held against it */
};

enum tls_step {
	TLS_GO_ON,    /* in plain on this connection */
	TLS_AGAIN,    /* a new connection, in plain */
	TLS_NEXT_HOST /* with status, code and text */
};

struct tls_outcome {
	enum tls_step step;
	enum job_status status;
	const char *code;
	char text[400];
};

void tlspolicy_decide(const struct tlspolicy_facts *, struct tlspolicy *);
/* detail: what the library or the host says, "" for nothing. */
void tlspolicy_outcome(
    const struct tlspolicy *, enum tls_event, const char *detail, struct tls_outcome *);
/* How a message went out, for log and why. version "": in plain; trust: why the
 * certificate would not have been trusted, "" when it was. */
void tlspolicy_sentence(const struct tlspolicy *, const char *version, const char *cipher,
    const char *trust, char *out, size_t cap);
/* RFC 8461, 4.1: host is one of the patterns, which blanks separate. */
bool tlspolicy_sts_match(const char *patterns, const char *host);

#endif
