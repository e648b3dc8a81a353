/* SPDX-License-Identifier: ISC */
/*
 * keyd signs what a TLS server signs in a handshake and nothing else, so that a
 * front that was taken over can pass for this server while it is connected to keyd,
 * which cannot be helped, but gets no signature under mail, certificate requests or
 * anything else that it could carry away. Both shapes contain the client's random
 * (or its hash), so none can be stored for later.
 */
#include "keyd/sign.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>

#define RANDOMS_LEN 64
#define NAMED_CURVE 3

struct scheme {
	uint16_t number;
	const char *key;
	const char *md; /* NULL: the algorithm has its own */
	int pss;
	int tls13; /* may sign a CertificateVerify */
};

static const struct scheme schemes[] = {
	{ 0x0401, "RSA", "SHA256", 0, 0 }, /* rsa_pkcs1_sha256 */
	{ 0x0501, "RSA", "SHA384", 0, 0 },
	{ 0x0601, "RSA", "SHA512", 0, 0 },
	{ 0x0403, "EC", "SHA256", 0, 1 }, /* ecdsa_secp256r1_sha256 */
	{ 0x0503, "EC", "SHA384", 0, 1 },
	{ 0x0603, "EC", "SHA512", 0, 1 },
	{ 0x0804, "RSA", "SHA256", 1, 1 }, /* rsa_pss_rsae_sha256 */
	{ 0x0805, "RSA", "SHA384", 1, 1 },
	{ 0x0806, "RSA", "SHA512", 1, 1 },
	{ 0x0807, "ED25519", NULL, 0, 1 },
};

/* RFC 8422, 5.1.1 and 5.4: the length of a point of that group; 0: not ours. */
static size_t
point_len(unsigned int group)
{
	switch (group) {
	case 23: /* secp256r1 */
		return 65;
	case 24: /* secp384r1 */
		return 97;
	case 25: /* secp521r1 */
		return 133;
	case 29: /* x25519 */
		return 32;
	default:
		return 0;
	}
}

/* client_random, server_random, ECParameters, and the public point. */
static int
is_tls12(const uint8_t *tbs, size_t len)
{
	const uint8_t *params = tbs + RANDOMS_LEN;
	unsigned int group;
	size_t want;

	if (len < RANDOMS_LEN + 4 || params[0] != NAMED_CURVE)
		return 0;
	group = (unsigned int)params[1] << 8 | params[2];
	want = point_len(group);
	if (want == 0 || params[3] != want || len != RANDOMS_LEN + 4 + want)
		return 0;
	/* Points of the NIST curves come uncompressed. */
	return group == 29 || params[4] == 4;
}

/* 64 spaces, the context, a zero, and the transcript's hash. */
static int
is_tls13(const uint8_t *tbs, size_t len)
{
	static const char context[] =
	    "TLS 1.3, server CertificateVerify"; /* and its NUL */
	size_t hash;

	if (len < 64 + sizeof(context))
		return 0;
	hash = len - 64 - sizeof(context);
	if (hash != 32 && hash != 48 && hash != 64)
		return 0;
	for (size_t i = 0; i < 64; i++)
		if (tbs[i] != ' ')
			return 0;
	return memcmp(tbs + 64, context, sizeof(context)) == 0;
}

enum sign_shape
sign_shape(const uint8_t *tbs, size_t len)
{
	if (len > SIGN_TBS_MAX)
		return SIGN_SHAPE_NONE;
	if (is_tls13(tbs, len))
		return SIGN_SHAPE_TLS13;
	if (is_tls12(tbs, len))
		return SIGN_SHAPE_TLS12;
	return SIGN_SHAPE_NONE;
}

static const struct scheme *
scheme_find(uint16_t number)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (schemes[i].number == number)
			return &schemes[i];
	return NULL;
}

enum sign_result
sign_make(EVP_PKEY *key, uint16_t number, const uint8_t *tbs, size_t len, uint8_t *sig,
    size_t *siglen)
{
	enum sign_shape shape = sign_shape(tbs, len);
	const struct scheme *s = scheme_find(number);
	EVP_PKEY_CTX *pctx;
	EVP_MD_CTX *ctx;
	int ok;

	if (shape == SIGN_SHAPE_NONE)
		return SIGN_SHAPE;
	if (s == NULL || (shape == SIGN_SHAPE_TLS13 && !s->tls13) ||
	    !EVP_PKEY_is_a(key, s->key))
		return SIGN_SCHEME;
	if ((ctx = EVP_MD_CTX_new()) == NULL)
		return SIGN_FAILED;
	ok = EVP_DigestSignInit_ex(ctx, &pctx, s->md, NULL, NULL, key, NULL) == 1;
	if (ok && s->pss)
		ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_DigestSign(ctx, sig, siglen, tbs, len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok ? SIGN_OK : SIGN_FAILED;
}

const char *
sign_result_text(enum sign_result r)
{
	switch (r) {
	case SIGN_OK:
		return "";
	case SIGN_SHAPE:
		return "not the octets of a TLS handshake";
	case SIGN_SCHEME:
		return "signature scheme not for this key";
	default:
		return "signature failed";
	}
}
