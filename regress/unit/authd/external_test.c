/* SPDX-License-Identifier: ISC */
/* Client certificates: made here, then read, hashed and judged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authd/external.h"
#include "authd/sasl.h"
#include "common/log.h"

#define NOW 1800000000

struct pair {
	EVP_PKEY *key;
	X509 *cert;
};

static void
extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX c;
	X509_EXTENSION *e;

	X509V3_set_ctx(&c, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &c, nid, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static struct pair
make(const char *name, const char *alt, const char *usage, const struct pair *issuer,
    int64_t from, int64_t to)
{
	struct pair p = { EVP_EC_gen("P-256"), X509_new() };
	X509_NAME *n;

	assert_non_null(p.key);
	assert_non_null(p.cert);
	X509_set_version(p.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(p.cert), random());
	ASN1_TIME_set(X509_getm_notBefore(p.cert), (time_t)from);
	ASN1_TIME_set(X509_getm_notAfter(p.cert), (time_t)to);
	X509_set_pubkey(p.cert, p.key);
	n = X509_get_subject_name(p.cert);
	X509_NAME_add_entry_by_txt(
	    n, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(
	    p.cert, issuer == NULL ? n : X509_get_subject_name(issuer->cert));
	if (issuer == NULL)
		extend(p.cert, p.cert, NID_basic_constraints, "critical,CA:TRUE");
	if (alt != NULL)
		extend(p.cert, p.cert, NID_subject_alt_name, alt);
	if (usage != NULL)
		extend(p.cert, p.cert, NID_ext_key_usage, usage);
	assert_true(
	    X509_sign(p.cert, issuer == NULL ? p.key : issuer->key, EVP_sha256()) > 0);
	return p;
}

static void
clear(struct pair *p)
{
	EVP_PKEY_free(p->key);
	X509_free(p->cert);
}

static X509_STORE *
authorities(X509 *x, const char *more)
{
	char path[] = "/tmp/fife-ca.XXXXXX";
	int fd = mkstemp(path);
	X509_STORE *s;
	FILE *f;

	assert_int_not_equal(fd, -1);
	unlink(path);
	f = fdopen(dup(fd), "w");
	assert_non_null(f);
	if (x != NULL)
		PEM_write_X509(f, x);
	fputs(more, f);
	fclose(f);
	s = external_authorities(fd);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	return s;
}

static void
by_key(void **state)
{
	struct pair p = make("x", NULL, NULL, NULL, NOW - 10, NOW + 10);
	char print[FINGERPRINT_SIZE], again[FINGERPRINT_SIZE], text[100] = "";
	unsigned char *der = NULL;
	int len = i2d_X509(p.cert, &der);
	X509 *x;

	assert_true(len > 0);
	x = external_parse(der, (size_t)len);
	assert_non_null(x);
	assert_int_equal(external_fingerprint(x, print), 0);
	assert_int_equal(strlen(print), 64);
	assert_int_equal(external_fingerprint_parse(print, again), 0);
	assert_string_equal(again, print);
	for (int i = 0; i < 32; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%c%c",
		    i > 0 ? ":" : "", print[2 * i],
		    print[2 * i + 1] & 0x5f ? print[2 * i + 1] : '0');
	assert_int_equal(external_fingerprint_parse(text, again), 0);
	assert_string_equal(again, print);
	X509_free(x);
	/* Octets missing, octets behind it, none. */
	for (int i = 0; i < len; i++)
		assert_null(external_parse(der, (size_t)i));
	der = OPENSSL_realloc(der, (size_t)len + 1);
	der[len] = 0;
	assert_null(external_parse(der, (size_t)len + 1));
	OPENSSL_free(der);
	assert_int_equal(external_is_current(p.cert, NOW), 1);
	assert_int_equal(external_is_current(p.cert, NOW + 11), 0);
	assert_int_equal(external_is_current(p.cert, NOW - 11), 0);
	clear(&p);
}

static void
fingerprints(void **state)
{
	static const char good[] =
	    "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef";
	static const char *const bad[] = { "", "0", "zz", ":",
		"01:", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0",
		"012:3456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg" };
	char out[FINGERPRINT_SIZE];

	assert_int_equal(external_fingerprint_parse(good, out), 0);
	assert_string_equal(
	    out, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(external_fingerprint_parse(bad[i], out), -1);
}

static void
by_authority(void **state)
{
	struct pair ca = make("ca", NULL, NULL, NULL, NOW - 10, NOW + 1000);
	struct pair other = make("ca", NULL, NULL, NULL, NOW - 10, NOW + 1000);
	struct pair user = make("u", "DNS:x.test,email:a@x.test,email:b@x.test",
	    "clientAuth", &ca, NOW - 10, NOW + 10);
	struct pair server =
	    make("s", "email:a@x.test", "serverAuth", &ca, NOW - 10, NOW + 10);
	struct pair forged =
	    make("f", "email:a@x.test", "clientAuth", &other, NOW - 10, NOW + 10);
	X509_STORE *s = authorities(ca.cert, "");
	char address[30];

	assert_non_null(s);
	assert_int_equal(external_is_issued(user.cert, s, NOW), 1);
	assert_int_equal(external_is_issued(user.cert, s, NOW + 11), 0);
	assert_int_equal(external_is_issued(user.cert, NULL, NOW), 0);
	assert_int_equal(external_is_issued(server.cert, s, NOW), 0);
	assert_int_equal(external_is_issued(forged.cert, s, NOW), 0);
	assert_int_equal(external_address(user.cert, 0, address, sizeof(address)), 1);
	assert_string_equal(address, "a@x.test");
	assert_int_equal(external_address(user.cert, 1, address, sizeof(address)), 1);
	assert_string_equal(address, "b@x.test");
	assert_int_equal(external_address(user.cert, 2, address, sizeof(address)), 0);
	assert_int_equal(external_address(user.cert, 0, address, 8), 1);
	assert_string_equal(address, "");
	assert_int_equal(external_address(ca.cert, 0, address, sizeof(address)), 0);
	X509_STORE_free(s);
	assert_null(authorities(NULL, ""));
	assert_null(authorities(NULL, "hello\n"));
	assert_null(external_authorities(-1));
	clear(&ca);
	clear(&other);
	clear(&user);
	clear(&server);
	clear(&forged);
}

static void
mechanism(void **state)
{
	struct sasl_binding none = { "", NULL, 0 };
	const char *challenge, *why;
	char longest[SASL_LOGIN_MAX + 2];
	struct sasl s;

	assert_int_equal(sasl_mechanism("external"), SASL_MECH_EXTERNAL);
	sasl_init(&s, "EXTERNAL", 1);
	assert_int_equal(sasl_input(&s, NULL, 0, &none, &challenge, &why), SASL_ASK);
	assert_string_equal(challenge, "");
	assert_int_equal(sasl_input(&s, (const uint8_t *)"", 0, &none, &challenge, &why),
	    SASL_CERTIFICATE);
	assert_string_equal(s.login, "");
	sasl_init(&s, "EXTERNAL", 1);
	assert_int_equal(
	    sasl_input(&s, (const uint8_t *)"a@b.test", 8, &none, &challenge, &why),
	    SASL_CERTIFICATE);
	assert_string_equal(s.login, "a@b.test");
	sasl_init(&s, "EXTERNAL", 1);
	assert_int_equal(
	    sasl_input(&s, (const uint8_t *)"a\0b", 3, &none, &challenge, &why),
	    SASL_FAIL);
	sasl_init(&s, "EXTERNAL", 1);
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(sasl_input(&s, (const uint8_t *)longest, sizeof(longest), &none,
			     &challenge, &why),
	    SASL_FAIL);
	sasl_clear(&s);
}

static void
quiet(enum log_kind kind, enum log_level level, int64_t t, const char *text)
{
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(by_key),
		cmocka_unit_test(fingerprints), cmocka_unit_test(by_authority),
		cmocka_unit_test(mechanism) };

	log_set_sink(quiet);
	log_set_stderr(0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
