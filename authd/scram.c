/* SPDX-License-Identifier: ISC */
/* SCRAM on the server's side; see scram.h. */
#include "authd/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"

#define FINAL_MAX 2048
#define SALT_LEN 16

static const EVP_MD *
md_of(enum scram_hash hash)
{
	return hash == SCRAM_SHA1 ? EVP_sha1() : EVP_sha256();
}

void
scram_init(struct scram *s, enum scram_hash hash, int plus, int plus_offered)
{
	memset(s, 0, sizeof(*s));
	s->hash = hash;
	s->plus = plus != 0;
	s->plus_offered = plus_offered != 0;
}

/* saslname: "=2C" and "=3D" stand for comma and equals sign; no other "=" may come. */
static int
decode_name(const char *in, size_t len, char *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = in[i];

		if (c == '=') {
			if (len - i >= 3 && strncmp(in + i, "=2C", 3) == 0)
				c = ',';
			else if (len - i >= 3 && strncmp(in + i, "=3D", 3) == 0)
				c = '=';
			else
				return -1;
			i += 2;
		}
		if (n + 1 >= cap)
			return -1;
		out[n++] = c;
	}
	out[n] = '\0';
	return n == 0 ? -1 : 0;
}

/*
 * The flag against downgrade (RFC 5802, 6): "y" says that the server offers no binding.
 * If it does, somebody in between took -PLUS out of the list.
 */
static int
check_flag(struct scram *s, const char *flag, size_t len, const char *binding_type,
    const uint8_t *binding, size_t binding_len, const char **why)
{
	if (len == 1 && (flag[0] == 'n' || flag[0] == 'y')) {
		*why = "this mechanism needs a channel binding";
		if (s->plus)
			return -1;
		*why =
		    "the client was told that there is no channel binding, but there is";
		return flag[0] == 'y' && s->plus_offered ? -1 : 0;
	}
	*why = "malformed SCRAM message";
	if (len < 3 || strncmp(flag, "p=", 2) != 0)
		return -1;
	*why = "channel binding without a -PLUS mechanism";
	if (!s->plus)
		return -1;
	*why = "channel binding of an unknown kind";
	if (binding_len == 0 || binding_len > sizeof(s->binding) ||
	    strlen(binding_type) != len - 2 ||
	    strncmp(binding_type, flag + 2, len - 2) != 0 ||
	    (strcmp(binding_type, "tls-exporter") != 0 &&
		strcmp(binding_type, "tls-server-end-point") != 0))
		return -1;
	memcpy(s->binding, binding, binding_len);
	s->binding_len = binding_len;
	return 0;
}

static int
printable(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] < 0x21 || p[i] > 0x7e)
			return 0;
	return 1;
}

int
scram_first(struct scram *s, const uint8_t *data, size_t len, const char *binding_type,
    const uint8_t *binding, size_t binding_len, const char **why)
{
	char text[SCRAM_FIRST_MAX + 1], authzid[SCRAM_NAME_MAX + 1] = "", *p, *q;
	size_t n;

	*why = "malformed SCRAM message";
	if (len == 0 || len > SCRAM_FIRST_MAX || memchr(data, '\0', len) != NULL ||
	    !utf8_valid((const char *)data, len))
		return -1;
	memcpy(text, data, len);
	text[len] = '\0';
	if ((p = strchr(text, ',')) == NULL ||
	    check_flag(s, text, (size_t)(p - text), binding_type, binding, binding_len,
		why) == -1)
		return -1;
	*why = "malformed SCRAM message";
	p++;
	if ((q = strchr(p, ',')) == NULL)
		return -1;
	if (q != p && (strncmp(p, "a=", 2) != 0 || decode_name(p + 2, (size_t)(q - p - 2),
						       authzid, sizeof(authzid)) == -1))
		return -1;
	p = q + 1;
	memcpy(s->gs2, text, (size_t)(p - text));
	s->gs2[p - text] = '\0';
	strlcpy(s->bare, p, sizeof(s->bare));
	/* "m=" is a mandatory extension, and none is known (5.1). */
	if (strncmp(p, "n=", 2) != 0 || (q = strchr(p, ',')) == NULL ||
	    decode_name(p + 2, (size_t)(q - p - 2), s->name, sizeof(s->name)) == -1 ||
	    strncmp(q, ",r=", 3) != 0)
		return -1;
	n = strcspn(q + 3, ",");
	if (n == 0 || n > SCRAM_NONCE_MAX || !printable(q + 3, n))
		return -1;
	memcpy(s->nonce, q + 3, n);
	s->nonce[n] = '\0';
	/* Nobody may act for another (yet). */
	if (authzid[0] != '\0' && strcmp(authzid, s->name) != 0) {
		*why = "no right to act for another";
		return -1;
	}
	return 0;
}

int
scram_challenge(struct scram *s, const struct scram_keys *keys, const char *nonce)
{
	char salt[BASE64_ENCODED_SIZE(sizeof(keys->salt))];
	int n;

	s->keys = *keys;
	if (strlcat(s->nonce, nonce, sizeof(s->nonce)) >= sizeof(s->nonce) ||
	    base64_encode(keys->salt, keys->salt_len, salt, sizeof(salt)) == -1)
		return -1;
	n = snprintf(s->server_first, sizeof(s->server_first), "r=%s,s=%s,i=%u", s->nonce,
	    salt, keys->iterations);
	if (n < 0 || (size_t)n >= sizeof(s->server_first))
		return -1;
	strlcpy(s->out, s->server_first, sizeof(s->out));
	return 0;
}

/* "c=" holds the gs2-header again, and behind it what the connection is bound to. */
static int
binding_fits(const struct scram *s, const char *text, size_t len)
{
	uint8_t got[SCRAM_FIRST_MAX + SCRAM_BINDING_MAX + 4];
	size_t header = strlen(s->gs2);
	int n = base64_decode(text, len, got, sizeof(got));

	return n >= 0 && (size_t)n == header + s->binding_len &&
	       memcmp(got, s->gs2, header) == 0 &&
	       CRYPTO_memcmp(got + header, s->binding, s->binding_len) == 0;
}

/* 1: the proof shows that the client has the password; signature is the server's. */
static int
verify(const struct scram *s, const char *auth, const uint8_t *proof,
    unsigned char *signature)
{
	const EVP_MD *md = md_of(s->hash);
	unsigned char client[EVP_MAX_MD_SIZE], stored[EVP_MAX_MD_SIZE];
	unsigned int n;
	int right;

	if (HMAC(md, s->keys.stored, (int)s->keys.key_len, (const unsigned char *)auth,
		strlen(auth), client, &n) == NULL)
		return 0;
	for (size_t i = 0; i < s->keys.key_len; i++)
		client[i] ^= proof[i];
	right = EVP_Digest(client, s->keys.key_len, stored, NULL, md, NULL) == 1 &&
		CRYPTO_memcmp(stored, s->keys.stored, s->keys.key_len) == 0 &&
		!s->keys.nobody &&
		HMAC(md, s->keys.server, (int)s->keys.key_len,
		    (const unsigned char *)auth, strlen(auth), signature, &n) != NULL;
	explicit_bzero(client, sizeof(client));
	return right;
}

int
scram_final(struct scram *s, const uint8_t *data, size_t len, const char **why)
{
	char text[FINAL_MAX + 1],
	    auth[2 * SCRAM_FIRST_MAX + SCRAM_OUT_MAX + FINAL_MAX + 4];
	char encoded[BASE64_ENCODED_SIZE(EVP_MAX_MD_SIZE)], *p, *nonce;
	unsigned char proof[EVP_MAX_MD_SIZE], signature[EVP_MAX_MD_SIZE];
	size_t n;
	int got;

	*why = "malformed SCRAM message";
	if (len == 0 || len > FINAL_MAX || memchr(data, '\0', len) != NULL)
		return -1;
	memcpy(text, data, len);
	text[len] = '\0';
	/* The proof is the last attribute; base64 has no comma. */
	if (strncmp(text, "c=", 2) != 0 || (nonce = strstr(text, ",r=")) == NULL ||
	    (p = strrchr(text, ',')) == NULL || strncmp(p, ",p=", 3) != 0 || p <= nonce)
		return -1;
	got = base64_decode(p + 3, strlen(p + 3), proof, sizeof(proof));
	if (got < 0 || (size_t)got != s->keys.key_len)
		return -1;
	*p = '\0';
	n = strcspn(nonce + 3, ",");
	*why = "not the nonce of this exchange";
	if (n != strlen(s->nonce) || strncmp(nonce + 3, s->nonce, n) != 0)
		return -1;
	*why = "channel binding does not fit";
	if (memchr(text, ',', (size_t)(nonce - text)) != NULL ||
	    !binding_fits(s, text + 2, (size_t)(nonce - text - 2)))
		return -1;
	snprintf(auth, sizeof(auth), "%s,%s,%s", s->bare, s->server_first, text);
	if (!verify(s, auth, proof, signature))
		return 0;
	if (base64_encode(signature, s->keys.key_len, encoded, sizeof(encoded)) == -1)
		return -1;
	snprintf(s->out, sizeof(s->out), "v=%s", encoded);
	return 1;
}

int
scram_keys_nobody(const uint8_t secret[32], const char *name, enum scram_hash hash,
    uint32_t iterations, struct scram_keys *k)
{
	char text[SCRAM_NAME_MAX + 64];
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int n;

	memset(k, 0, sizeof(*k));
	snprintf(
	    text, sizeof(text), "scram-salt %d %s", hash == SCRAM_SHA1 ? 1 : 256, name);
	if (HMAC(EVP_sha256(), secret, 32, (unsigned char *)text, strlen(text), mac,
		&n) == NULL)
		return -1;
	memcpy(k->salt, mac, SALT_LEN);
	k->salt_len = SALT_LEN;
	k->iterations = iterations;
	k->key_len = (size_t)EVP_MD_get_size(md_of(hash));
	k->nobody = 1;
	return 0;
}
