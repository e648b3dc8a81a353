/* SPDX-License-Identifier: ISC */
#ifndef FIFE_KEYD_SIGN_H
#define FIFE_KEYD_SIGN_H

/*
 * What keyd is ready to sign, and the signing. Pure: octets in, octets out.
 */

#include <stddef.h>
#include <stdint.h>

struct evp_pkey_st;

#define SIGN_TBS_MAX 256
#define SIGN_SIGNATURE_MAX 1024

enum sign_shape {
	SIGN_SHAPE_NONE,  /* nothing that a TLS server signs */
	SIGN_SHAPE_TLS12, /* ServerKeyExchange with ECDHE: RFC 8422, 5.4 */
	SIGN_SHAPE_TLS13  /* CertificateVerify of a server: RFC 8446, 4.4.3 */
};

enum sign_result {
	SIGN_OK,
	SIGN_SHAPE,  /* the octets are not a handshake's */
	SIGN_SCHEME, /* unknown scheme, or not this shape's, or not this key's */
	SIGN_FAILED  /* OpenSSL could not */
};

enum sign_shape sign_shape(const uint8_t *tbs, size_t len);

/*
 * Sign tbs by the TLS SignatureScheme (RFC 8446, 4.2.3) if it has one of the
 * shapes. *siglen: room in, length out.
 */
enum sign_result sign_make(struct evp_pkey_st *, uint16_t scheme, const uint8_t *tbs,
    size_t len, uint8_t *sig, size_t *siglen);

/* "" for SIGN_OK. */
const char *sign_result_text(enum sign_result);

#endif
