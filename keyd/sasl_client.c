/* SPDX-License-Identifier: ISC */
/* Logging in elsewhere; see sasl_client.h. */
#include "keyd/sasl_client.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"

#define MESSAGE_MAX 2048

/* The best first. */
static const struct {
	const char *name;
	enum sasl_client_kind kind;
	bool bound, shows, token;
} mechanisms[] = {
	{ "SCRAM-SHA-256-PLUS", SASL_CLIENT_SCRAM, true, false, false },
	{ "SCRAM-SHA-256", SASL_CLIENT_SCRAM, false, false, false },
	{ "SCRAM-SHA-1-PLUS", SASL_CLIENT_SCRAM, true, false, false },
	{ "SCRAM-SHA-1", SASL_CLIENT_SCRAM, false, false, false },
	{ "OAUTHBEARER", SASL_CLIENT_OAUTHBEARER, false, true, true },
	{ "XOAUTH2", SASL_CLIENT_XOAUTH2, false, true, true },
	{ "PLAIN", SASL_CLIENT_PLAIN, false, true, false },
	{ "LOGIN", SASL_CLIENT_LOGIN, false, true, false },
};
#define N_MECHANISMS (sizeof(mechanisms) / sizeof(mechanisms[0]))

static bool
offers(const char *offered, const char *name)
{
	while (*offered != '\0') {
		size_t n = strcspn(offered, " ");

		if (ascii_equal(offered, n, name))
			return true;
		offered += n;
		offered += strspn(offered, " ");
	}
	return false;
}

const char *
sasl_client_choose(
    const char *offered, const char *only, bool bound, bool shown, bool token)
{
	for (size_t i = 0; i < N_MECHANISMS; i++) {
		if (only[0] != '\0' && strcmp(only, mechanisms[i].name) != 0)
			continue;
		if (mechanisms[i].token != token || (mechanisms[i].bound && !bound) ||
		    (mechanisms[i].shows && !shown))
			continue;
		if (offers(offered, mechanisms[i].name))
			return mechanisms[i].name;
	}
	return NULL;
}

int
sasl_client_init(struct sasl_client *c, const char *mechanism, const char *nonce,
    const char *binding_type, const uint8_t *binding, size_t binding_len)
{
	size_t i;

	for (i = 0; i < N_MECHANISMS && strcmp(mechanisms[i].name, mechanism) != 0; i++)
		;
	if (i == N_MECHANISMS)
		return -1;
	c->mechanism = mechanisms[i].name;
	c->kind = mechanisms[i].kind;
	c->step = 0;
	c->proved = c->kind != SASL_CLIENT_SCRAM;
	c->hash_len = strstr(mechanism, "SHA-256") != NULL ? 32 : 20;
	strlcpy(c->nonce, nonce, sizeof(c->nonce));
	if (mechanisms[i].bound) {
		if (binding_len == 0 || binding_len > sizeof(c->binding))
			return -1;
		memcpy(c->binding, binding, binding_len);
		c->binding_len = binding_len;
		snprintf(c->gs2, sizeof(c->gs2), "p=%.30s,,", binding_type);
	} else
		/* y would claim that the server offers no -PLUS, which is not known. */
		strlcpy(c->gs2, "n,,", sizeof(c->gs2));
	return 0;
}

void
sasl_client_clear(struct sasl_client *c)
{
	explicit_bzero(c, sizeof(*c));
}

/* RFC 5802, 5.1: saslname. */
static int
escape(const char *in, char *out, size_t cap)
{
	size_t n = 0;

	for (; *in != '\0'; in++) {
		const char *e = *in == '=' ? "=3D" : *in == ',' ? "=2C" : NULL;

		if (n + 4 >= cap)
			return -1;
		if (e != NULL) {
			memcpy(out + n, e, 3);
			n += 3;
		} else
			out[n++] = *in;
	}
	out[n] = '\0';
	return 0;
}

static int
put(char *out, size_t *len, int n)
{
	if (n < 0 || n >= SASL_CLIENT_OUT_MAX)
		return -1;
	*len = (size_t)n;
	(void)out;
	return 1;
}

int
sasl_client_first(struct sasl_client *c, char *out, size_t *len)
{
	char name[380];
	size_t u = strlen(c->user), s = strlen(c->secret);

	*len = 0;
	switch (c->kind) {
	case SASL_CLIENT_PLAIN:
		out[0] = '\0';
		memcpy(out + 1, c->user, u + 1);
		memcpy(out + 2 + u, c->secret, s);
		*len = 2 + u + s;
		return 1;
	case SASL_CLIENT_LOGIN:
		return 0;
	case SASL_CLIENT_XOAUTH2:
		return put(out, len,
		    snprintf(out, SASL_CLIENT_OUT_MAX,
			"user=%s\001auth=Bearer %s\001\001", c->user, c->secret));
	case SASL_CLIENT_OAUTHBEARER:
		if (escape(c->user, name, sizeof(name)) == -1)
			return -1;
		return put(out, len,
		    snprintf(out, SASL_CLIENT_OUT_MAX,
			"n,a=%s,\001host=%s\001port=%u\001auth=Bearer %s\001\001", name,
			c->host, c->port, c->secret));
	default:
		if (escape(c->user, name, sizeof(name)) == -1 ||
		    snprintf(c->bare, sizeof(c->bare), "n=%s,r=%s", name, c->nonce) >=
			(int)sizeof(c->bare))
			return -1;
		return put(out, len,
		    snprintf(out, SASL_CLIENT_OUT_MAX, "%s%s", c->gs2, c->bare));
	}
}

/* ---- SCRAM ---- */

static const EVP_MD *
hash_of(const struct sasl_client *c)
{
	return c->hash_len == 32 ? EVP_sha256() : EVP_sha1();
}

static int
mac(const struct sasl_client *c, const uint8_t *key, const void *data, size_t len,
    uint8_t out[32])
{
	unsigned int n;

	return HMAC(hash_of(c), key, (int)c->hash_len, data, len, out, &n) == NULL ? -1
										   : 0;
}

/* "r=...,s=...,i=..." */
static int
server_first(const struct sasl_client *c, const char *in, size_t len, char *nonce,
    size_t cap, uint8_t *salt, size_t *salt_len, int *iterations, const char **why)
{
	const char *end = in + len, *p, *bad;
	char number[12];
	int n;

	*why = "the server's challenge is malformed";
	if (len < 2 || memcmp(in, "r=", 2) != 0 || (p = memchr(in, ',', len)) == NULL ||
	    (size_t)(p - in - 2) >= cap)
		return -1;
	memcpy(nonce, in + 2, (size_t)(p - in - 2));
	nonce[p - in - 2] = '\0';
	*why = "the server does not answer to our nonce";
	if (strlen(nonce) <= strlen(c->nonce) ||
	    strncmp(nonce, c->nonce, strlen(c->nonce)) != 0)
		return -1;
	*why = "the server's challenge is malformed";
	in = p + 1;
	if (end - in < 2 || memcmp(in, "s=", 2) != 0 ||
	    (p = memchr(in, ',', (size_t)(end - in))) == NULL)
		return -1;
	n = base64_decode(in + 2, (size_t)(p - in - 2), salt, *salt_len);
	if (n <= 0)
		return -1;
	*salt_len = (size_t)n;
	in = p + 1;
	if (end - in < 3 || memcmp(in, "i=", 2) != 0)
		return -1;
	in += 2;
	if ((p = memchr(in, ',', (size_t)(end - in))) == NULL)
		p = end;
	if ((size_t)(p - in) >= sizeof(number))
		return -1;
	memcpy(number, in, (size_t)(p - in));
	number[p - in] = '\0';
	*why = "the server asks for fewer than 4096 or too many iterations";
	*iterations = (int)strtonum(number, 4096, SASL_CLIENT_ITERATIONS_MAX, &bad);
	return bad == NULL ? 0 : -1;
}

static int
scram_final(struct sasl_client *c, const char *in, size_t in_len, char *out, size_t *len,
    const char **why)
{
	uint8_t salt[128], salted[32], key[32], stored[32], sig[32], cbind[600];
	char nonce[256], cb64[BASE64_ENCODED_SIZE(600)], proof[BASE64_ENCODED_SIZE(32)];
	char auth[MESSAGE_MAX * 2], bare[1200];
	size_t salt_len = sizeof(salt), gs2_len = strlen(c->gs2);
	unsigned int n;
	int iterations, auth_len, rc = -1;

	if (in_len > MESSAGE_MAX || server_first(c, in, in_len, nonce, sizeof(nonce),
					salt, &salt_len, &iterations, why) == -1)
		return -1;
	*why = "out of memory";
	memcpy(cbind, c->gs2, gs2_len);
	memcpy(cbind + gs2_len, c->binding, c->binding_len);
	if (base64_encode(cbind, gs2_len + c->binding_len, cb64, sizeof(cb64)) == -1 ||
	    snprintf(bare, sizeof(bare), "c=%s,r=%s", cb64, nonce) >= (int)sizeof(bare))
		return -1;
	auth_len =
	    snprintf(auth, sizeof(auth), "%s,%.*s,%s", c->bare, (int)in_len, in, bare);
	if (auth_len >= (int)sizeof(auth) ||
	    PKCS5_PBKDF2_HMAC(c->secret, (int)strlen(c->secret), salt, (int)salt_len,
		iterations, hash_of(c), (int)c->hash_len, salted) != 1 ||
	    mac(c, salted, "Client Key", 10, key) == -1 ||
	    EVP_Digest(key, c->hash_len, stored, &n, hash_of(c), NULL) != 1 ||
	    mac(c, stored, auth, (size_t)auth_len, sig) == -1)
		goto done;
	for (size_t i = 0; i < c->hash_len; i++)
		key[i] ^= sig[i];
	if (base64_encode(key, c->hash_len, proof, sizeof(proof)) == -1 ||
	    mac(c, salted, "Server Key", 10, stored) == -1 ||
	    mac(c, stored, auth, (size_t)auth_len, c->server_signature) == -1)
		goto done;
	*len = (size_t)snprintf(out, SASL_CLIENT_OUT_MAX, "%s,p=%s", bare, proof);
	rc = 0;
done:
	explicit_bzero(salted, sizeof(salted));
	explicit_bzero(key, sizeof(key));
	explicit_bzero(stored, sizeof(stored));
	return rc;
}

static int
scram_check(struct sasl_client *c, const char *in, size_t in_len, const char **why)
{
	uint8_t got[64];
	const char *comma;
	int n;

	*why = "the server does not prove that it knows the secret";
	if (in_len < 2 || memcmp(in, "v=", 2) != 0)
		return -1;
	comma = memchr(in, ',', in_len);
	n = base64_decode(in + 2, comma != NULL ? (size_t)(comma - in - 2) : in_len - 2,
	    got, sizeof(got));
	if (n != (int)c->hash_len ||
	    CRYPTO_memcmp(got, c->server_signature, c->hash_len) != 0)
		return -1;
	c->proved = true;
	return 0;
}

int
sasl_client_next(struct sasl_client *c, const char *in, size_t in_len, char *out,
    size_t *len, const char **why)
{
	int step = c->step++;

	*len = 0;
	*why = "the server asks for more than there is";
	switch (c->kind) {
	case SASL_CLIENT_LOGIN:
		if (step > 1)
			return -1;
		*len = strlcpy(out, step == 0 ? c->user : c->secret, SASL_CLIENT_OUT_MAX);
		return 0;
	case SASL_CLIENT_SCRAM:
		if (step == 0)
			return scram_final(c, in, in_len, out, len, why);
		return step == 1 ? scram_check(c, in, in_len, why) : -1;
	case SASL_CLIENT_XOAUTH2:
	case SASL_CLIENT_OAUTHBEARER:
		/* An error as JSON, which is answered so that the reply may come
		 * (RFC 7628, 3.2.3). */
		if (step > 0)
			return -1;
		if (c->kind == SASL_CLIENT_OAUTHBEARER) {
			out[0] = '\001';
			*len = 1;
		}
		return 0;
	default:
		return -1;
	}
}
