/* SPDX-License-Identifier: ISC */
#ifndef FIFE_KEYCLIENT_H
#define FIFE_KEYCLIENT_H

/*
 * The front's side of keyd: an OpenSSL provider whose keys have only a public
 * half and a number, and whose signatures are made by keyd, to which the
 * to-be-signed octets are sent (keyd checks that they are a TLS handshake's).
 */

#include <stdint.h>

struct evp_pkey_st;
struct x509_st;

/* Registers the provider; called by tls_init(). 0 or -1. */
int keyclient_init(void);
/* The private key that belongs to this certificate and is number key at keyd.
 * NULL: unsupported key type. Free with EVP_PKEY_free(). */
struct evp_pkey_st *keyclient_key(struct x509_st *, uint32_t key);
/* How long a signature may take, and when there is no keyd it fails at once. The channel
 * is daemon_peer(ROLE_KEYD). */
#define KEYCLIENT_TIMEOUT_MS 1000

struct channel;
/* Where to ask instead of daemon_peer(ROLE_KEYD): for programs that are no daemon
 * (tests). */
void keyclient_set_peer(struct channel *(*peer)(void));

#endif
