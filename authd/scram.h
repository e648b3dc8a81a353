/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SCRAM_H
#define FIFE_SCRAM_H

/*
 * The server's side of SCRAM (RFC 5802; RFC 7677 for SHA-256), with channel binding
 * for the -PLUS names (RFC 5929, tls-server-end-point; RFC 9266, tls-exporter). No I/O
 * and no look-up: the caller gets the name, gives the keys and the nonce.
 *
 *	scram_init, scram_first, [keys of s->name], scram_challenge -> out,
 *	scram_final -> out, the client's empty answer
 */

#include <stddef.h>
#include <stdint.h>

#include "authd/password.h"

#define SCRAM_NAME_MAX 320
#define SCRAM_FIRST_MAX 1024 /* of what a client says first */
#define SCRAM_NONCE_MAX 128  /* the client's part */
#define SCRAM_BINDING_MAX 512
#define SCRAM_OUT_MAX 360

struct scram {
	enum scram_hash hash;
	uint8_t plus;         /* the name of the mechanism ends in -PLUS */
	uint8_t plus_offered; /* it was to be had on this connection */
	char name[SCRAM_NAME_MAX + 1];
	char gs2[SCRAM_FIRST_MAX + 1];  /* gs2-header as it came */
	char bare[SCRAM_FIRST_MAX + 1]; /* client-first-message-bare */
	char nonce[SCRAM_NONCE_MAX + 64];
	uint8_t binding[SCRAM_BINDING_MAX];
	size_t binding_len;
	struct scram_keys keys;
	char server_first[SCRAM_OUT_MAX + 1];
	char out[SCRAM_OUT_MAX + 1]; /* what goes to the client next */
};

void scram_init(struct scram *, enum scram_hash, int plus, int plus_offered);
/*
 * client-first-message. The binding is the connection's for the type that the message
 * names ("" and 0 octets: there is none). 0 with s->name, or -1 with *why.
 */
int scram_first(struct scram *, const uint8_t *data, size_t len, const char *binding_type,
    const uint8_t *binding, size_t binding_len, const char **why);
/* server-first-message into s->out. nonce: printable without comma, fresh, at most
 * 40 octets. -1: no room. */
int scram_challenge(struct scram *, const struct scram_keys *, const char *nonce);
/* client-final-message. 1: right, s->out is the server's proof; 0: wrong; -1: malformed.
 */
int scram_final(struct scram *, const uint8_t *data, size_t len, const char **why);
/*
 * What an unknown user gets: the same salt each time, as one would expect of a real
 * account. secret: of this installation, 32 octets. No proof fits these keys.
 */
int scram_keys_nobody(const uint8_t secret[32], const char *name, enum scram_hash,
    uint32_t iterations, struct scram_keys *);

#endif
