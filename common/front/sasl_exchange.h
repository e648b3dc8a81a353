/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SASL_EXCHANGE_H
#define FIFE_SASL_EXCHANGE_H

/*
 * A front's half of a SASL exchange (RFC 4422): base64 on and off, the bounds, and what
 * authd has to be told. The mechanisms themselves run in authd; how challenge and
 * response look on the wire is the protocol's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SASL_RESPONSE_MAX 8192 /* decoded; struct msg_sasl has no room for more */

enum sasl_step {
	SASL_STEP_ASK,       /* what the exchange holds is for authd */
	SASL_STEP_CHALLENGE, /* the client speaks first: an empty challenge */
	/* The rest end it: */
	SASL_STEP_CANCELLED, /* by the client */
	SASL_STEP_BASE64,
	SASL_STEP_TOO_LONG,
	SASL_STEP_MEMORY,
	SASL_STEP_MECHANISM, /* not offered (login.h) */
	SASL_STEP_PRIVACY,   /* not without TLS (login.h) */
};

struct sasl_exchange {
	const char *mechanism; /* of sasl_names.h */
	uint8_t *data;         /* response for authd, wiped when it is freed */
	size_t len, cap;
	bool begun;    /* authd was given something of it */
	uint8_t first; /* as in struct msg_sasl: 0 a later response, 1 the first, 2 the
			* first and empty */
};

/* initial: base64 of the initial response, NULL for none; of length 0 an empty one. */
enum sasl_step sasl_exchange_begin(
    struct sasl_exchange *, const char *mechanism, const char *initial, size_t len);
/* The whole of PLAIN (RFC 4616) out of a name and a password. */
enum sasl_step sasl_exchange_password(struct sasl_exchange *, const char *user,
    size_t user_len, const char *password, size_t password_len);
/* A line of the client behind a challenge; "*" cancels. */
enum sasl_step sasl_exchange_response(struct sasl_exchange *, const char *, size_t);
/* The response goes to authd. */
void sasl_exchange_given(struct sasl_exchange *);
/* base64 of a challenge, free()d by the caller; NULL: no memory. */
char *sasl_exchange_challenge(const uint8_t *, size_t);
/* Wipes and frees the response; the exchange may go on. */
void sasl_exchange_clear(struct sasl_exchange *);

#endif
