/* SPDX-License-Identifier: ISC */
#ifndef FIFE_TLS_H
#define FIFE_TLS_H

/*
 * TLS contexts whose private keys are not here: the server side signs through
 * keyd (common/keyclient.h). Certificates come as descriptors from fifed and
 * are read before or after the sandbox; nothing here opens a path, but
 * tls_client_context() before the sandbox.
 */

#include <stddef.h>
#include <stdint.h>

struct ssl_ctx_st;

/* Before the sandbox; calling it again is fine: loads the providers (default first, then
 * ours) and everything that OpenSSL would load from files later. 0 or -1 (logged). */
int tls_init(void);

/* A set of server certificates chosen by SNI (RFC 6066), the default first. */
struct tls_certs;
struct tls_certs *tls_certs_new(void);
void tls_certs_free(struct tls_certs *);
/* Reads the PEM chain from fd (closed here). key: number by which keyd knows the
 * private key. names: comma-separated host names it serves besides its
 * subjectAltNames, "" for none. 0 or -1 (logged). */
int tls_certs_add(
    struct tls_certs *, int fd, uint32_t key, const char *names, int is_default);
/* The context for server connections; borrowed, valid while the set lives
 * (connections hold references of their own). NULL: no certificate yet. */
struct ssl_ctx_st *tls_certs_context(struct tls_certs *);
/* Seconds since 1970 when the first of them expires; 0: none. */
int64_t tls_certs_expiry(const struct tls_certs *);

/* The context for client connections; ca_file may be "" (the system's). NULL: error. */
struct ssl_ctx_st *tls_client_context(const char *ca_file);

#endif
