/* SPDX-License-Identifier: ISC */
#ifndef FIFE_KEYD_SASL_CLIENT_H
#define FIFE_KEYD_SASL_CLIENT_H

/*
 * The client's side of SASL at a relay, where the secret is: PLAIN (RFC 4616), LOGIN,
 * SCRAM-SHA-1 and -256 with and without a binding (RFC 5802, 7677), XOAUTH2 and
 * OAUTHBEARER (RFC 7628). Pure: the server's octets in, ours out.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SASL_CLIENT_OUT_MAX 4096
#define SASL_CLIENT_SECRET_MAX 3000
/* More would keep everybody waiting for keyd. */
#define SASL_CLIENT_ITERATIONS_MAX 250000

enum sasl_client_kind {
	SASL_CLIENT_PLAIN,
	SASL_CLIENT_LOGIN,
	SASL_CLIENT_SCRAM,
	SASL_CLIENT_XOAUTH2,
	SASL_CLIENT_OAUTHBEARER
};

struct sasl_client {
	const char *mechanism;
	enum sasl_client_kind kind;
	int step;
	bool proved; /* the server has shown that it knows the secret, or need not */
	char user[128];
	char secret[SASL_CLIENT_SECRET_MAX + 1];
	char host[256];
	uint16_t port;
	/* SCRAM */
	char nonce[48];
	char gs2[40];
	uint8_t binding[512];
	size_t binding_len;
	char bare[400];
	uint8_t server_signature[32];
	size_t hash_len;
};

/*
 * The best of the mechanisms offered (blanks between); only: that one or none, "" for
 * any. bound: there is a binding. shown: the secret may be shown to the server. token:
 * it is a token, no password. NULL: none fits.
 */
const char *sasl_client_choose(
    const char *offered, const char *only, bool bound, bool shown, bool token);
/* user, secret, host and port are set; nonce: printable, fresh. */
int sasl_client_init(struct sasl_client *, const char *mechanism, const char *nonce,
    const char *binding_type, const uint8_t *binding, size_t binding_len);
/* Octets of the initial answer, *len 0 for an empty one; 1, or 0: there is none. */
int sasl_client_first(struct sasl_client *, char *out, size_t *len);
/* The answer to a challenge. 0, or -1 with *why. */
int sasl_client_next(struct sasl_client *, const char *in, size_t in_len, char *out,
    size_t *len, const char **why);
void sasl_client_clear(struct sasl_client *);

#endif
