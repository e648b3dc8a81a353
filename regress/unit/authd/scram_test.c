/* SPDX-License-Identifier: ISC */
/* SCRAM: the exchanges of RFC 5802 and RFC 7677, bindings, downgrade, nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "authd/sasl.h"
#include "common/compat/compat.h"
#include "common/proto/encoding.h"

/* Keys from a password, as password_make() does, but with a given salt. */
static void
keys_of(const char *plain, enum scram_hash hash, const char *salt, uint32_t iterations,
    struct scram_keys *k)
{
	const EVP_MD *md = hash == SCRAM_SHA1 ? EVP_sha1() : EVP_sha256();
	unsigned char salted[64], client[64];
	unsigned int n;

	memset(k, 0, sizeof(*k));
	k->iterations = iterations;
	k->salt_len = (size_t)base64_decode(salt, strlen(salt), k->salt, sizeof(k->salt));
	k->key_len = (size_t)EVP_MD_get_size(md);
	PKCS5_PBKDF2_HMAC(plain, (int)strlen(plain), k->salt, (int)k->salt_len,
	    (int)iterations, md, (int)k->key_len, salted);
	HMAC(md, salted, (int)k->key_len, (const unsigned char *)"Client Key", 10, client,
	    &n);
	EVP_Digest(client, k->key_len, k->stored, NULL, md, NULL);
	HMAC(md, salted, (int)k->key_len, (const unsigned char *)"Server Key", 10,
	    k->server, &n);
}

static const struct {
	enum scram_hash hash;
	const char *salt, *nonce, *first, *challenge, *final, *proof;
} examples[] = {
	/* RFC 5802, 5 */
	{ SCRAM_SHA1, "QSXCR+Q6sek8bf92", "3rfcNHYJY1ZVvWVs7j",
	    "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
	    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
	    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+"
	    "HI4Ts=",
	    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
	/* RFC 7677, 3 */
	{ SCRAM_SHA256, "W22ZaJ0SNY7soEsUEjb6gQ==", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
	    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s="
	    "W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
};

static void
rfc_examples(void **state)
{
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		struct scram_keys keys;
		struct scram s;
		char wrong[200];
		const char *why;

		for (int bad = 0; bad < 2; bad++) {
			keys_of(
			    "pencil", examples[i].hash, examples[i].salt, 4096, &keys);
			scram_init(&s, examples[i].hash, 0, 0);
			assert_int_equal(
			    scram_first(&s, (const uint8_t *)examples[i].first,
				strlen(examples[i].first), "", NULL, 0, &why),
			    0);
			assert_string_equal(s.name, "user");
			assert_int_equal(
			    scram_challenge(&s, &keys, examples[i].nonce), 0);
			assert_string_equal(s.out, examples[i].challenge);
			strlcpy(wrong, examples[i].final, sizeof(wrong));
			if (bad)
				*(strstr(wrong, ",p=") + 3) ^= 1;
			assert_int_equal(
			    scram_final(&s, (const uint8_t *)wrong, strlen(wrong), &why),
			    !bad);
			if (!bad)
				assert_string_equal(s.out, examples[i].proof);
		}
	}
}

/* A client, for what the RFCs have no example of. */
static void
client_final(const struct scram *s, const char *plain, const char *gs2,
    const void *binding, size_t binding_len, char *out, size_t cap)
{
	const EVP_MD *md = s->hash == SCRAM_SHA1 ? EVP_sha1() : EVP_sha256();
	unsigned char salted[64], client[64], stored[64], signature[64], c[256];
	char text[200], auth[4000], b[200];
	int len = EVP_MD_get_size(md);
	unsigned int n;

	memcpy(c, gs2, strlen(gs2));
	if (binding_len > 0)
		memcpy(c + strlen(gs2), binding, binding_len);
	base64_encode(c, strlen(gs2) + binding_len, text, sizeof(text));
	n = (unsigned int)snprintf(out, cap, "c=%s,r=%s", text, s->nonce);
	snprintf(auth, sizeof(auth), "%s,%s,%s", s->bare, s->out, out);
	PKCS5_PBKDF2_HMAC(plain, (int)strlen(plain), s->keys.salt, (int)s->keys.salt_len,
	    (int)s->keys.iterations, md, len, salted);
	HMAC(md, salted, len, (const unsigned char *)"Client Key", 10, client, &n);
	EVP_Digest(client, (size_t)len, stored, NULL, md, NULL);
	HMAC(md, stored, len, (unsigned char *)auth, strlen(auth), signature, &n);
	for (int i = 0; i < len; i++)
		client[i] ^= signature[i];
	base64_encode(client, (size_t)len, b, sizeof(b));
	strlcat(out, ",p=", cap);
	strlcat(out, b, cap);
}

#define B "0123456789abcdef0123456789abcdef"
#define EXPORTER "tls-exporter"
#define END_POINT "tls-server-end-point"

/* first: result of scram_first(); last: of scram_final(). */
static const struct {
	int plus, offered;
	const char *first, *gs2, *type, *sent;
	int rc_first, rc_last;
} bindings[] = {
	{ 1, 1, "p=tls-exporter,,n=u,r=x", "p=tls-exporter,,", EXPORTER, B, 0, 1 },
	{ 1, 1, "p=tls-server-end-point,,n=u,r=x", "p=tls-server-end-point,,", END_POINT,
	    B, 0, 1 },
	/* Somebody between, who has another connection to us. */
	{ 1, 1, "p=tls-exporter,,n=u,r=x", "p=tls-exporter,,", EXPORTER, "x" B, 0, -1 },
	{ 1, 1, "p=tls-exporter,,n=u,r=x", "p=tls-exporter,,", EXPORTER, "", 0, -1 },
	{ 1, 1, "p=tls-exporter,,n=u,r=x", "n,,", EXPORTER, B, 0, -1 },
	{ 1, 1, "p=tls-unique,,n=u,r=x", "", "tls-unique", B, -1, 0 },
	{ 1, 1, "p=tls-exporter,,n=u,r=x", "", END_POINT, B, -1, 0 },
	{ 1, 1, "p=tls-exporter,,n=u,r=x", "", "", "", -1, 0 },
	{ 1, 1, "n,,n=u,r=x", "", "", "", -1, 0 },
	{ 1, 1, "y,,n=u,r=x", "", "", "", -1, 0 },
	{ 0, 1, "y,,n=u,r=x", "", "", "", -1, 0 }, /* -PLUS was taken out of the list */
	{ 0, 0, "y,,n=u,r=x", "y,,", "", "", 0, 1 },
	{ 0, 1, "n,,n=u,r=x", "n,,", "", "", 0, 1 },
	{ 0, 1, "n,,n=u,r=x", "y,,", "", "", 0, -1 },
	{ 0, 1, "p=tls-exporter,,n=u,r=x", "", EXPORTER, B, -1, 0 },
	{ 0, 0, "n,a=u,n=u,r=x", "n,a=u,", "", "", 0, 1 },
	{ 0, 0, "n,a=v,n=u,r=x", "", "", "", -1, 0 },
	{ 0, 0, "n,,n=u,r=x,ext=1", "n,,", "", "", 0, 1 },
	{ 0, 0, "n,,m=1,n=u,r=x", "", "", "", -1, 0 },
	{ 0, 0, "n,,n=,r=x", "", "", "", -1, 0 },
	{ 0, 0, "n,,n=u,r=", "", "", "", -1, 0 },
	{ 0, 0, "n,,n=a=2Cb=3Dc,r=x", "n,,", "", "", 0, 1 },
	{ 0, 0, "n,,n=a=2cb,r=x", "", "", "", -1, 0 },
	{ 0, 0, "n,,n=a=,r=x", "", "", "", -1, 0 },
	{ 0, 0, "n,,n=u\xff,r=x", "", "", "", -1, 0 },
	{ 0, 0, "n,x,n=u,r=x", "", "", "", -1, 0 },
	{ 0, 0, "n,,n=u", "", "", "", -1, 0 },
	{ 0, 0, "n,", "", "", "", -1, 0 },
	{ 0, 0, "n", "", "", "", -1, 0 },
};

static void
binding_rows(void **state)
{
	for (size_t i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++) {
		struct scram_keys keys;
		struct scram s;
		char final[400];
		const char *why;
		int rc;

		keys_of("secret", SCRAM_SHA256, "W22ZaJ0SNY7soEsUEjb6gQ==", 4096, &keys);
		scram_init(&s, SCRAM_SHA256, bindings[i].plus, bindings[i].offered);
		rc = scram_first(&s, (const uint8_t *)bindings[i].first,
		    strlen(bindings[i].first), bindings[i].type, (const uint8_t *)B,
		    bindings[i].type[0] ? strlen(B) : 0, &why);
		if (rc != bindings[i].rc_first)
			fail_msg("%s: %d %s", bindings[i].first, rc, why);
		if (rc == -1)
			continue;
		assert_int_equal(scram_challenge(&s, &keys, "servernonce"), 0);
		client_final(&s, "secret", bindings[i].gs2, bindings[i].sent,
		    strlen(bindings[i].sent), final, sizeof(final));
		rc = scram_final(&s, (const uint8_t *) final, strlen(final), &why);
		if (rc != bindings[i].rc_last)
			fail_msg("%s: %d %s", bindings[i].first, rc, why);
	}
}

static void
names(void **state)
{
	struct scram s;
	const char *why;

	scram_init(&s, SCRAM_SHA1, 0, 0);
	assert_int_equal(
	    scram_first(&s, (const uint8_t *)"n,,n=a=2Cb=3Dc,r=x", 18, "", NULL, 0, &why),
	    0);
	assert_string_equal(s.name, "a,b=c");
}

/* The same salt for the same stranger, another one for another; and no way in. */
static void
nobody(void **state)
{
	uint8_t secret[32] = { 1 }, other[32] = { 2 };
	struct scram_keys a, b;
	struct scram s;
	char final[400];
	const char *why;

	assert_int_equal(
	    scram_keys_nobody(secret, "x@y.test", SCRAM_SHA256, 100000, &a), 0);
	assert_int_equal(
	    scram_keys_nobody(secret, "x@y.test", SCRAM_SHA256, 100000, &b), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(a.iterations, 100000);
	assert_int_equal(a.salt_len, 16);
	scram_keys_nobody(secret, "z@y.test", SCRAM_SHA256, 100000, &b);
	assert_memory_not_equal(a.salt, b.salt, 16);
	scram_keys_nobody(other, "x@y.test", SCRAM_SHA256, 100000, &b);
	assert_memory_not_equal(a.salt, b.salt, 16);
	a.iterations = 4096;
	scram_init(&s, SCRAM_SHA256, 0, 0);
	assert_int_equal(
	    scram_first(&s, (const uint8_t *)"n,,n=u,r=x", 10, "", NULL, 0, &why), 0);
	assert_int_equal(scram_challenge(&s, &a, "n"), 0);
	client_final(&s, "", "n,,", "", 0, final, sizeof(final));
	assert_int_equal(
	    scram_final(&s, (const uint8_t *) final, strlen(final), &why), 0);
}

/* Every truncation of a right final message is refused. */
static void
truncated(void **state)
{
	struct scram_keys keys;
	struct scram s;
	const char *why, *final = examples[1].final;

	keys_of("pencil", SCRAM_SHA256, examples[1].salt, 4096, &keys);
	for (size_t n = 0; n < strlen(final); n++) {
		scram_init(&s, SCRAM_SHA256, 0, 0);
		scram_first(&s, (const uint8_t *)examples[1].first,
		    strlen(examples[1].first), "", NULL, 0, &why);
		scram_challenge(&s, &keys, examples[1].nonce);
		assert_int_not_equal(
		    scram_final(&s, (const uint8_t *) final, n, &why), 1);
	}
}

/* The steps as sasl.c takes them, the empty answer at the end included. */
static void
steps(void **state)
{
	static const struct sasl_binding none = { "", NULL, 0 };
	struct scram_keys keys;
	const char *challenge, *why;
	char final[400];

	keys_of("secret", SCRAM_SHA256, "W22ZaJ0SNY7soEsUEjb6gQ==", 4096, &keys);
	for (int last = 0; last < 2; last++) {
		struct sasl s;

		sasl_init(&s, "scram-sha-256", 1);
		assert_int_equal(
		    sasl_input(&s, NULL, 0, &none, &challenge, &why), SASL_ASK);
		assert_string_equal(challenge, "");
		assert_int_equal(sasl_input(&s, (const uint8_t *)"n,,n=alice,r=x", 14,
				     &none, &challenge, &why),
		    SASL_KEYS);
		assert_string_equal(s.login, "alice");
		assert_int_equal(sasl_keys(&s, &keys, &challenge, &why), SASL_ASK);
		client_final(&s.scram, "secret", "n,,", "", 0, final, sizeof(final));
		assert_int_equal(sasl_input(&s, (const uint8_t *) final, strlen(final),
				     &none, &challenge, &why),
		    SASL_ASK);
		assert_int_equal(strncmp(challenge, "v=", 2), 0);
		assert_int_equal(sasl_input(&s, (const uint8_t *)"x", (size_t)last, &none,
				     &challenge, &why),
		    last == 0 ? SASL_PROVED : SASL_FAIL);
		sasl_clear(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_examples),
		cmocka_unit_test(binding_rows),
		cmocka_unit_test(names),
		cmocka_unit_test(nobody),
		cmocka_unit_test(truncated),
		cmocka_unit_test(steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
