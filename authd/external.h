/* SPDX-License-Identifier: ISC */
#ifndef FIFE_EXTERNAL_H
#define FIFE_EXTERNAL_H

/*
 * AUTH EXTERNAL (RFC 4422, appendix A) by the client's TLS certificate. It opens an
 * account when its public key was registered for that account (the SHA-256 of its
 * SubjectPublicKeyInfo), or when it was issued by an authority of fife.conf's client-ca
 * and names the account's address.
 *
 * The certificate comes from a front, which did the handshake. What a front that was
 * taken over can lie about is that its client has the private key: certificates are no
 * secrets, so it may show any that it has ever seen or guessed the contents of. It cannot
 * invent one: who is let in by which certificate is decided here, from the certificate
 * itself. Such a front could as well use the passwords that pass through it.
 */

#include <stddef.h>
#include <stdint.h>

struct x509_st;
struct x509_store_st;

#define FINGERPRINT_SIZE 65 /* hexadecimal, and its end */

/* Reads the PEM file of authorities (closes fd). NULL: logged. */
struct x509_store_st *external_authorities(int fd);
/* DER. NULL: malformed, or octets behind it. */
struct x509_st *external_parse(const uint8_t *der, size_t len);
/* The first certificate of a PEM file's text. */
struct x509_st *external_parse_pem(const char *text, size_t len);
int external_fingerprint(const struct x509_st *, char out[FINGERPRINT_SIZE]);
/* What people paste: with colons or without, any case. 0 or -1. */
int external_fingerprint_parse(const char *text, char out[FINGERPRINT_SIZE]);
/* Is it within its dates? */
int external_is_current(const struct x509_st *, int64_t now_s);
/* Does one of these authorities say who that client is? now_s as above. */
int external_is_issued(
    struct x509_st *, struct x509_store_st *authorities, int64_t now_s);
/* The i-th address (rfc822Name) in it: 1, or 0 behind the last. */
int external_address(const struct x509_st *, int i, char *out, size_t cap);

#endif
