/* SPDX-License-Identifier: ISC */
/* App passwords; see apppass.h. */
#include "authd/apppass.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/msg.h"
#include "common/proto/encoding.h"

#define SALT_LEN 16
#define HASH_LEN 32

static const char *const services[] = { "all", "smtp", "imap", "pop3", "sieve" };

int
apppass_service(const char *word)
{
	for (int i = 0; i < 5; i++)
		if (strcmp(services[i], word) == 0)
			return i;
	return -1;
}

const char *
apppass_service_word(int service)
{
	return service >= 0 && service < 5 ? services[service] : "?";
}

/* salt is the first SALT_LEN octets of out. */
static int
hash(const char *plain, unsigned char out[SALT_LEN + HASH_LEN])
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	int ok = c != NULL && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1 &&
		 EVP_DigestUpdate(c, out, SALT_LEN) == 1 &&
		 EVP_DigestUpdate(c, plain, strlen(plain)) == 1 &&
		 EVP_DigestFinal_ex(c, out + SALT_LEN, NULL) == 1;

	EVP_MD_CTX_free(c);
	return ok ? 0 : -1;
}

int
apppass_get(const struct user *u, size_t i, struct apppass *a)
{
	const char *p = u->apppass;
	char text[APPPASS_NAME_MAX + 128], *fields[4], *rest = text;
	size_t len;

	for (; i > 0 && p != NULL; i--)
		if ((p = strchr(p, ';')) != NULL)
			p++;
	if (p == NULL || *p == '\0')
		return 0;
	len = strcspn(p, ";");
	memset(a, 0, sizeof(*a));
	if (len >= sizeof(text))
		return 1; /* damaged: a nameless one that fits nothing */
	memcpy(text, p, len);
	text[len] = '\0';
	for (int f = 0; f < 4; f++)
		if ((fields[f] = strsep(&rest, ":")) == NULL)
			return 1;
	strlcpy(a->name, fields[0], sizeof(a->name));
	a->service = apppass_service(fields[1]);
	a->created = strtonum(fields[2], 0, INT64_MAX, NULL);
	strlcpy(a->hash, fields[3], sizeof(a->hash));
	return 1;
}

static int
name_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= APPPASS_NAME_MAX &&
	       strspn(name,
		   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		   len;
}

enum dir_status
apppass_add(
    struct user *u, const char *name, int service, int64_t now, char out[APPPASS_LEN + 1])
{
	static const char letters[] =
	    "abcdefghijkmnpqrstuvwxyz23456789"; /* 32, none alike */
	unsigned char random[APPPASS_LEN], value[SALT_LEN + HASH_LEN];
	char text[BASE64_ENCODED_SIZE(sizeof(value))], entry[APPPASS_NAME_MAX + 128];
	struct apppass a;
	size_t n;

	if (!name_valid(name) || service < 0)
		return DIR_BAD;
	for (n = 0; apppass_get(u, n, &a); n++)
		if (strcmp(a.name, name) == 0)
			return DIR_EXISTS;
	if (n >= APPPASS_USER_MAX)
		return DIR_FULL;
	arc4random_buf(random, sizeof(random));
	arc4random_buf(value, SALT_LEN);
	for (int i = 0; i < APPPASS_LEN; i++)
		out[i] = letters[random[i] & 31];
	out[APPPASS_LEN] = '\0';
	explicit_bzero(random, sizeof(random));
	if (hash(out, value) == -1 ||
	    base64_encode(value, sizeof(value), text, sizeof(text)) == -1)
		return DIR_IO;
	snprintf(entry, sizeof(entry), "%s%s:%s:%lld:%s",
	    u->apppass[0] != '\0' ? ";" : "", name, services[service], (long long)now,
	    text);
	return strlcat(u->apppass, entry, sizeof(u->apppass)) < sizeof(u->apppass)
		   ? DIR_OK
		   : DIR_FULL;
}

enum dir_status
apppass_del(struct user *u, const char *name)
{
	char *p = u->apppass;
	size_t len = strlen(name);

	while (*p != '\0') {
		size_t n = strcspn(p, ";");

		if (n > len && strncmp(p, name, len) == 0 && p[len] == ':') {
			if (p[n] == ';')
				memmove(p, p + n + 1, strlen(p + n + 1) + 1);
			else
				*(p == u->apppass ? p : p - 1) = '\0';
			return DIR_OK;
		}
		p += n + (p[n] == ';');
	}
	return DIR_NONE;
}

int
apppass_check(const struct user *u, int service, const char *plain, struct apppass *found)
{
	unsigned char stored[SALT_LEN + HASH_LEN], mine[SALT_LEN + HASH_LEN];

	if (strlen(plain) != APPPASS_LEN)
		return 0;
	for (size_t i = 0; apppass_get(u, i, found); i++) {
		if ((found->service != 0 && found->service != service) ||
		    base64_decode(found->hash, strlen(found->hash), stored,
			sizeof(stored)) != (int)sizeof(stored))
			continue;
		memcpy(mine, stored, SALT_LEN);
		if (hash(plain, mine) == 0 &&
		    CRYPTO_memcmp(mine, stored, sizeof(stored)) == 0)
			return 1;
	}
	return 0;
}
