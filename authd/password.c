/* SPDX-License-Identifier: ISC */
/* Making and checking password verifiers; see password.h. */
#include "authd/password.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authd/pbkdf2.h"
#include "authd/saslprep.h"
#include "common/compat/compat.h"
#include "common/proto/encoding.h"

#define SALT_LEN 16
#define YESCRYPT_COST 5 /* about 75 ms on a small server */

/* RFC 5802, 3: SaltedPassword, then StoredKey and ServerKey. */
static int
derive(const char *plain, const EVP_MD *md, struct scram_keys *s)
{
	unsigned char salted[EVP_MAX_MD_SIZE], client[EVP_MAX_MD_SIZE];
	unsigned int len;
	int ok = 1;

	s->key_len = (size_t)EVP_MD_get_size(md);
	if (md == EVP_sha256())
		pbkdf2_sha256(
		    plain, strlen(plain), s->salt, s->salt_len, s->iterations, salted);
	else
		ok = PKCS5_PBKDF2_HMAC(plain, (int)strlen(plain), s->salt,
			 (int)s->salt_len, (int)s->iterations, md, (int)s->key_len,
			 salted) == 1;
	ok = ok &&
	     HMAC(md, salted, (int)s->key_len, (const unsigned char *)"Client Key", 10,
		 client, &len) != NULL &&
	     EVP_Digest(client, s->key_len, s->stored, NULL, md, NULL) == 1 &&
	     HMAC(md, salted, (int)s->key_len, (const unsigned char *)"Server Key", 10,
		 s->server, &len) != NULL;
	explicit_bzero(salted, sizeof(salted));
	explicit_bzero(client, sizeof(client));
	return ok ? 0 : -1;
}

static int
scram_print(const struct scram_keys *s, char *out, size_t cap)
{
	char salt[128], stored[128], server[128];
	int n;

	if (base64_encode(s->salt, s->salt_len, salt, sizeof(salt)) == -1 ||
	    base64_encode(s->stored, s->key_len, stored, sizeof(stored)) == -1 ||
	    base64_encode(s->server, s->key_len, server, sizeof(server)) == -1)
		return -1;
	n = snprintf(out, cap, "%u$%s$%s$%s", s->iterations, salt, stored, server);
	return n < 0 || (size_t)n >= cap ? -1 : 0;
}

static int
scram_parse(const char *text, const EVP_MD *md, struct scram_keys *s)
{
	char number[16];
	const char *p = strchr(text, '$'), *q, *r, *bad;
	int n;

	if (p == NULL || (size_t)(p - text) >= sizeof(number) ||
	    (q = strchr(p + 1, '$')) == NULL || (r = strchr(q + 1, '$')) == NULL)
		return -1;
	memcpy(number, text, (size_t)(p - text));
	number[p - text] = '\0';
	s->iterations = (uint32_t)strtonum(
	    number, PASSWORD_ITERATIONS_MIN, PASSWORD_ITERATIONS_MAX, &bad);
	if (bad != NULL)
		return -1;
	s->key_len = (size_t)EVP_MD_get_size(md);
	if ((n = base64_decode(p + 1, (size_t)(q - p - 1), s->salt, sizeof(s->salt))) <=
	    0)
		return -1;
	s->salt_len = (size_t)n;
	n = base64_decode(q + 1, (size_t)(r - q - 1), s->stored, sizeof(s->stored));
	if (n == -1 || (size_t)n != s->key_len)
		return -1;
	n = base64_decode(r + 1, strlen(r + 1), s->server, sizeof(s->server));
	return n != -1 && (size_t)n == s->key_len ? 0 : -1;
}

int
password_keys(const char *text, enum scram_hash hash, struct scram_keys *k)
{
	memset(k, 0, sizeof(*k));
	return scram_parse(text, hash == SCRAM_SHA1 ? EVP_sha1() : EVP_sha256(), k);
}

static int
scram_make(
    const char *plain, const EVP_MD *md, uint32_t iterations, char *out, size_t cap)
{
	struct scram_keys s = { .iterations = iterations, .salt_len = SALT_LEN };

	if (RAND_bytes(s.salt, SALT_LEN) != 1 || derive(plain, md, &s) == -1)
		return -1;
	return scram_print(&s, out, cap);
}

static int
make(const char *plain, int scram, uint32_t iterations, struct password *p)
{
	struct crypt_data *data = NULL;
	char random[32], setting[CRYPT_GENSALT_OUTPUT_SIZE];
	int rc = -1;

	if (iterations < PASSWORD_ITERATIONS_MIN)
		iterations = PASSWORD_ITERATIONS_MIN;
	if (scram) {
		if (scram_make(plain, EVP_sha256(), iterations, p->scram_sha256,
			sizeof(p->scram_sha256)) == -1)
			return -1;
		return scram_make(
		    plain, EVP_sha1(), iterations, p->scram_sha1, sizeof(p->scram_sha1));
	}
	if (RAND_bytes((unsigned char *)random, sizeof(random)) != 1 ||
	    crypt_gensalt_rn("$y$", YESCRYPT_COST, random, sizeof(random), setting,
		sizeof(setting)) == NULL)
		return -1;
	if ((data = calloc(1, sizeof(*data))) != NULL) {
		const char *h = crypt_rn(plain, setting, data, sizeof(*data));

		if (h != NULL &&
		    strlcpy(p->crypt, h, sizeof(p->crypt)) < sizeof(p->crypt))
			rc = 0;
		freezero(data, sizeof(*data));
	}
	return rc;
}

int
password_make(const char *plain, int scram, uint32_t iterations, struct password *p)
{
	char prepared[PASSWORD_MAX + 1];
	int rc;

	memset(p, 0, sizeof(*p));
	if (strlen(plain) > PASSWORD_MAX ||
	    saslprep(plain, prepared, sizeof(prepared)) == -1)
		return -1;
	rc = make(prepared, scram, iterations, p);
	explicit_bzero(prepared, sizeof(prepared));
	return rc;
}

static int
scram_check(const char *plain, const EVP_MD *md, const char *text)
{
	struct scram_keys s, mine;
	int rc;

	if (scram_parse(text, md, &s) == -1)
		return -1;
	mine = s;
	if (derive(plain, md, &mine) == -1)
		return -1;
	rc = CRYPTO_memcmp(s.stored, mine.stored, s.key_len) == 0;
	explicit_bzero(&mine, sizeof(mine));
	return rc;
}

static int
check(const char *plain, const struct password *p)
{
	struct crypt_data *data;
	const char *h;
	int rc = -1;

	if (p->scram_sha256[0] != '\0')
		return scram_check(plain, EVP_sha256(), p->scram_sha256);
	if (p->crypt[0] == '\0' || (data = calloc(1, sizeof(*data))) == NULL)
		return -1;
	h = crypt_rn(plain, p->crypt, data, sizeof(*data));
	if (h != NULL && strlen(h) == strlen(p->crypt))
		rc = CRYPTO_memcmp(h, p->crypt, strlen(h)) == 0;
	freezero(data, sizeof(*data));
	return rc;
}

/* What is not as SASLprep would have it is tried as it stands, too: it may have been set
 * by another program. */
int
password_check(const char *plain, const struct password *p)
{
	char prepared[PASSWORD_MAX + 1];
	int rc = 0;

	if (strlen(plain) > PASSWORD_MAX)
		return 0;
	if (saslprep(plain, prepared, sizeof(prepared)) == 0)
		rc = check(prepared, p);
	else
		prepared[0] = '\0';
	if (rc == 0 && strcmp(prepared, plain) != 0)
		rc = check(plain, p);
	explicit_bzero(prepared, sizeof(prepared));
	return rc;
}

void
password_check_nobody(const char *plain, uint32_t iterations)
{
	struct scram_keys s = { .iterations = iterations, .salt_len = SALT_LEN };

	if (strlen(plain) <= PASSWORD_MAX)
		(void)derive(plain, EVP_sha256(), &s);
	explicit_bzero(&s, sizeof(s));
}
