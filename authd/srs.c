/* SPDX-License-Identifier: ISC */
/* SRS addresses; see srs.h. */
#include "authd/srs.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/proto/address.h"
#include "common/proto/encoding.h"

#define HASH_LEN 8
#define DAY 86400
#define KEY_DAYS 30
#define DAYS_MOD 1024

static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";

/* Of the month-long period that the day is in. */
static int
key_of(const uint8_t secret[32], int64_t day, uint8_t key[32])
{
	char text[40];
	unsigned int n;

	snprintf(text, sizeof(text), "srs %lld", (long long)(day / KEY_DAYS));
	return HMAC(EVP_sha256(), secret, 32, (const uint8_t *)text, strlen(text), key,
		   &n) == NULL
		   ? -1
		   : 0;
}

static int
hash_of(const uint8_t secret[32], int64_t day, const char *text, char out[HASH_LEN + 1])
{
	uint8_t key[32], mac[32];
	char lower[ADDRESS_MAX * 2];
	size_t len = strlen(text);
	unsigned int n;

	if (len >= sizeof(lower) || key_of(secret, day, key) == -1)
		return -1;
	for (size_t i = 0; i < len; i++)
		lower[i] = (char)ascii_lower((unsigned char)text[i]);
	if (HMAC(EVP_sha256(), key, 32, (const uint8_t *)lower, len, mac, &n) == NULL)
		return -1;
	for (size_t i = 0; i < HASH_LEN; i++)
		out[i] = base32[mac[i] & 31];
	out[HASH_LEN] = '\0';
	explicit_bzero(key, sizeof(key));
	return 0;
}

int
srs_is(const char *address)
{
	return (strncasecmp(address, "SRS0", 4) == 0 ||
		   strncasecmp(address, "SRS1", 4) == 0) &&
	       address[4] != '\0' && strchr("=+-", address[4]) != NULL;
}

int
srs_forward(const uint8_t secret[32], int64_t now, const char *address, const char *here,
    char *out, size_t cap)
{
	const char *at = strrchr(address, '@');
	int64_t day = now / DAY;
	char rest[ADDRESS_MAX * 2], hash[HASH_LEN + 1];
	int n;

	if (at == NULL || at == address || address[0] == '"')
		return -1;
	if (srs_is(address)) {
		/* What the first host wrote goes back to the first host, however many
		 * there are between. */
		const char *first = at + 1, *tail = address + 4;
		int first_len = (int)strlen(first);

		if (address[3] == '1') {
			const char *eq = strchr(address + 5, '=');

			if (eq == NULL ||
			    (first = eq + 1, tail = strstr(first, "==")) == NULL)
				return -1;
			first_len = (int)(tail - first);
			tail++;
		}
		n = snprintf(rest, sizeof(rest), "%.*s=%.*s", first_len, first,
		    (int)(at - tail), tail);
		if (n >= (int)sizeof(rest) || hash_of(secret, day, rest, hash) == -1)
			return -1;
		n = snprintf(out, cap, "SRS1=%s=%s@%s", hash, rest, here);
		return n > ADDRESS_MAX || n >= (int)cap ? -1 : 0;
	}
	n = snprintf(rest, sizeof(rest), "%c%c=%s=%.*s", base32[day % DAYS_MOD >> 5],
	    base32[day & 31], at + 1, (int)(at - address), address);
	if (n >= (int)sizeof(rest) || hash_of(secret, day, rest, hash) == -1)
		return -1;
	n = snprintf(out, cap, "SRS0=%s=%s@%s", hash, rest, here);
	return n > ADDRESS_MAX || n >= (int)cap ? -1 : 0;
}

/* Made on that day, or on one before that has the same key, or the key before. */
static int
is_ours(const uint8_t secret[32], int64_t day, const char *hash, const char *rest)
{
	char want[HASH_LEN + 1], lower[HASH_LEN + 1];

	for (size_t i = 0; i <= HASH_LEN; i++)
		lower[i] = (char)ascii_lower((unsigned char)hash[i]);
	for (int back = 0; back < 2; back++, day -= KEY_DAYS)
		if (hash_of(secret, day, rest, want) == 0 &&
		    CRYPTO_memcmp(want, lower, HASH_LEN) == 0)
			return 1;
	return 0;
}

static int
digit(char c)
{
	const char *p = strchr(base32, ascii_lower((unsigned char)c));

	return c == '\0' || p == NULL ? -1 : (int)(p - base32);
}

int
srs_reverse(
    const uint8_t secret[32], int64_t now, const char *address, char *out, size_t cap)
{
	const char *at = strrchr(address, '@'), *p;
	char hash[HASH_LEN + 1], rest[ADDRESS_MAX * 2], *eq;
	int64_t day = now / DAY;
	int high, low, age;

	if (at == NULL || !srs_is(address) || at - address < 5 + HASH_LEN + 2 ||
	    address[5 + HASH_LEN] != '=' || (size_t)(at - address) >= sizeof(rest))
		return -1;
	memcpy(hash, address + 5, HASH_LEN);
	hash[HASH_LEN] = '\0';
	p = address + 5 + HASH_LEN + 1;
	memcpy(rest, p, (size_t)(at - p));
	rest[at - p] = '\0';
	if (!is_ours(secret, day, hash, rest))
		return -1;
	if (address[3] == '1') {
		/* first.test==hash=tt=... : the first host knows the rest. */
		if ((eq = strstr(rest, "==")) == NULL || eq == rest)
			return -1;
		*eq = '\0';
		return snprintf(out, cap, "SRS0%s@%s", eq + 1, rest) >= (int)cap ? -1 : 0;
	}
	if ((high = digit(rest[0])) == -1 || (low = digit(rest[1])) == -1 ||
	    rest[2] != '=' || (eq = strchr(rest + 3, '=')) == NULL || eq == rest + 3 ||
	    eq[1] == '\0')
		return -1;
	age = (int)(((day % DAYS_MOD) - (high * 32 + low) + DAYS_MOD) % DAYS_MOD);
	if (age > SRS_DAYS)
		return -1;
	*eq = '\0';
	return snprintf(out, cap, "%s@%s", eq + 1, rest + 3) >= (int)cap ? -1 : 0;
}
