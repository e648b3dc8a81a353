/* SPDX-License-Identifier: ISC */
/* What keyd signs, and above all what it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/compat/compat.h"
#include "keyd/keys.h"
#include "keyd/sign.h"

static size_t
make_tls13(uint8_t *buf, size_t hash)
{
	memset(buf, ' ', 64);
	memcpy(buf + 64, "TLS 1.3, server CertificateVerify", 34);
	memset(buf + 98, 0xab, hash);
	return 98 + hash;
}

static size_t
make_tls12(uint8_t *buf, unsigned int group, size_t point)
{
	memset(buf, 0x5a, 64);
	buf[64] = 3;
	buf[65] = (uint8_t)(group >> 8);
	buf[66] = (uint8_t)group;
	buf[67] = (uint8_t)point;
	memset(buf + 68, 4, point);
	return 68 + point;
}

static void
test_shape_tls13(void **state)
{
	static const size_t hashes[] = { 32, 48, 64 };
	uint8_t buf[512];
	size_t len;

	for (size_t i = 0; i < 3; i++) {
		len = make_tls13(buf, hashes[i]);
		assert_int_equal(sign_shape(buf, len), SIGN_SHAPE_TLS13);
	}
	/* Every other length, and every change of the fixed part. */
	make_tls13(buf, 200);
	for (len = 0; len < 300; len++)
		assert_int_equal(sign_shape(buf, len) == SIGN_SHAPE_TLS13,
		    len == 130 || len == 146 || len == 162);
	len = make_tls13(buf, 32);
	for (size_t i = 0; i < 98; i++) {
		buf[i] ^= 1;
		assert_int_equal(sign_shape(buf, len), SIGN_SHAPE_NONE);
		buf[i] ^= 1;
	}
	/* A client's CertificateVerify is not ours to sign. */
	memcpy(buf + 64, "TLS 1.3, client CertificateVerify", 34);
	assert_int_equal(sign_shape(buf, len), SIGN_SHAPE_NONE);
}

static void
test_shape_tls12(void **state)
{
	static const struct {
		unsigned int group;
		size_t point;
	} groups[] = { { 23, 65 }, { 24, 97 }, { 25, 133 }, { 29, 32 } };
	uint8_t buf[512];
	size_t len;

	for (size_t i = 0; i < 4; i++) {
		len = make_tls12(buf, groups[i].group, groups[i].point);
		assert_int_equal(sign_shape(buf, len), SIGN_SHAPE_TLS12);
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(sign_shape(buf, cut), SIGN_SHAPE_NONE);
		assert_int_equal(sign_shape(buf, len + 1), SIGN_SHAPE_NONE);
		buf[64] = 1; /* explicit_prime */
		assert_int_equal(sign_shape(buf, len), SIGN_SHAPE_NONE);
		buf[64] = 3;
		buf[67]--;
		assert_int_equal(sign_shape(buf, len), SIGN_SHAPE_NONE);
		buf[67]++;
		buf[65] = 1; /* another group */
		assert_int_equal(sign_shape(buf, len), SIGN_SHAPE_NONE);
	}
	len = make_tls12(buf, 23, 65);
	buf[68] = 2; /* compressed */
	assert_int_equal(sign_shape(buf, len), SIGN_SHAPE_NONE);
}

static void
test_shape_other(void **state)
{
	static const char dkim[] =
	    "dkim-signature:v=1; a=rsa-sha256; d=example.com; s=x; "
	    "h=from:to:subject; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NM"
	    "pJWZG3hSuFU=; b=";
	uint8_t digest_info[51] = { 0x30, 0x31, 0x30, 0x0d };
	uint8_t big[4096] = { 0 };

	assert_int_equal(
	    sign_shape((const uint8_t *)dkim, sizeof(dkim) - 1), SIGN_SHAPE_NONE);
	assert_int_equal(sign_shape(digest_info, sizeof(digest_info)), SIGN_SHAPE_NONE);
	assert_int_equal(sign_shape(big, 32), SIGN_SHAPE_NONE);
	assert_int_equal(sign_shape(big, 256), SIGN_SHAPE_NONE);
	assert_int_equal(sign_shape(big, sizeof(big)), SIGN_SHAPE_NONE);
}

static int
verifies(EVP_PKEY *key, const char *md, int pss, const uint8_t *tbs, size_t len,
    const uint8_t *sig, size_t siglen)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p;
	int ok = EVP_DigestVerifyInit_ex(ctx, &p, md, NULL, NULL, key, NULL) == 1;

	if (ok && pss) {
		EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST);
	}
	ok = ok && EVP_DigestVerify(ctx, sig, siglen, tbs, len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

static void
test_sign(void **state)
{
	enum {
		RSA_KEY,
		EC_KEY,
		ED_KEY
	};
	static const struct {
		uint16_t scheme;
		int key;
		const char *md;
		int pss;
		int tls13;
	} rows[] = {
		{ 0x0401, RSA_KEY, "SHA256", 0, 0 },
		{ 0x0501, RSA_KEY, "SHA384", 0, 0 },
		{ 0x0601, RSA_KEY, "SHA512", 0, 0 },
		{ 0x0804, RSA_KEY, "SHA256", 1, 1 },
		{ 0x0805, RSA_KEY, "SHA384", 1, 1 },
		{ 0x0806, RSA_KEY, "SHA512", 1, 1 },
		{ 0x0403, EC_KEY, "SHA256", 0, 1 },
		{ 0x0503, EC_KEY, "SHA384", 0, 1 },
		{ 0x0603, EC_KEY, "SHA512", 0, 1 },
		{ 0x0807, ED_KEY, NULL, 0, 1 },
	};
	EVP_PKEY *keys[3] = { EVP_RSA_gen(2048), EVP_EC_gen("P-256"),
		EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") };
	uint8_t t12[256], t13[256], sig[SIGN_SIGNATURE_MAX];
	size_t len12 = make_tls12(t12, 29, 32), len13 = make_tls13(t13, 48), n;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int k = 0; k < 3; k++) {
			enum sign_result want = k == rows[i].key ? SIGN_OK : SIGN_SCHEME;

			n = sizeof(sig);
			assert_int_equal(
			    sign_make(keys[k], rows[i].scheme, t12, len12, sig, &n),
			    want);
			if (want == SIGN_OK)
				assert_true(verifies(keys[k], rows[i].md, rows[i].pss,
				    t12, len12, sig, n));
		}
		n = sizeof(sig);
		assert_int_equal(
		    sign_make(keys[rows[i].key], rows[i].scheme, t13, len13, sig, &n),
		    rows[i].tls13 ? SIGN_OK : SIGN_SCHEME);
		if (rows[i].tls13)
			assert_true(verifies(keys[rows[i].key], rows[i].md, rows[i].pss,
			    t13, len13, sig, n));
		t12[64] = 0;
		assert_int_equal(
		    sign_make(keys[rows[i].key], rows[i].scheme, t12, len12, sig, &n),
		    SIGN_SHAPE);
		t12[64] = 3;
	}
	/* rsa_pkcs1_sha1, ecdsa_sha1, none */
	assert_int_equal(sign_make(keys[0], 0x0201, t12, len12, sig, &n), SIGN_SCHEME);
	assert_int_equal(sign_make(keys[1], 0x0203, t12, len12, sig, &n), SIGN_SCHEME);
	assert_int_equal(sign_make(keys[0], 0, t12, len12, sig, &n), SIGN_SCHEME);
	n = 10; /* no room */
	assert_int_equal(sign_make(keys[0], 0x0401, t12, len12, sig, &n), SIGN_FAILED);
	for (int k = 0; k < 3; k++)
		EVP_PKEY_free(keys[k]);
}

static int
key_file(EVP_PKEY *key, const char *passphrase)
{
	int fd = compat_memfd_create("key");
	FILE *f = fdopen(dup(fd), "w");

	assert_int_equal(
	    PEM_write_PrivateKey(f, key, passphrase ? EVP_aes_128_cbc() : NULL, NULL, 0,
		NULL, (void *)(uintptr_t)passphrase),
	    1);
	fclose(f);
	return fd; /* its position is at the end, as after another's reading */
}

static void
test_keys(void **state)
{
	EVP_PKEY *rsa = EVP_RSA_gen(2048), *ec = EVP_EC_gen("P-256");
	EVP_PKEY *x = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	int fd;

	keys_init();
	keys_round();
	assert_int_equal(keys_add(key_file(rsa, NULL), 1), 0);
	assert_int_equal(keys_add(key_file(ec, NULL), 7), 0);
	assert_int_equal(keys_count(), 0); /* not before the round has ended */
	keys_switch();
	assert_int_equal(keys_count(), 2);
	assert_int_equal(EVP_PKEY_eq(keys_find(1), rsa), 1);
	assert_int_equal(EVP_PKEY_eq(keys_find(7), ec), 1);
	assert_null(keys_find(2));
	/* The next round: the old serve until it ends; what cannot be used is left out.
	 */
	keys_round();
	assert_int_equal(keys_add(key_file(ec, NULL), 1), 0);
	keys_round();
	assert_int_equal(keys_add(key_file(ec, NULL), 2), 0);
	assert_int_equal(keys_add(key_file(rsa, NULL), 2), 0); /* the later wins */
	assert_int_equal(keys_add(key_file(rsa, "secret"), 3), -1);
	assert_int_equal(keys_add(key_file(x, NULL), 4), -1);
	fd = compat_memfd_create("empty");
	assert_int_equal(keys_add(fd, 5), -1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	fd = compat_memfd_create("large");
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(keys_add(fd, 5), -1);
	assert_int_equal(EVP_PKEY_eq(keys_find(1), rsa), 1);
	keys_switch();
	assert_int_equal(keys_count(), 1);
	assert_int_equal(EVP_PKEY_eq(keys_find(2), rsa), 1);
	keys_clear();
	assert_int_equal(keys_count(), 0);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shape_tls13),
		cmocka_unit_test(test_shape_tls12),
		cmocka_unit_test(test_shape_other),
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
