/* SPDX-License-Identifier: ISC */
/* PBKDF2 on the bare compression function of SHA-256; see pbkdf2.h. */
#define OPENSSL_SUPPRESS_DEPRECATED /* nothing newer hashes a block without allocating \
				     */

#include "authd/pbkdf2.h"

#include <arpa/inet.h>
#include <openssl/sha.h>
#include <string.h>

#include "common/compat/compat.h"

#define BLOCK SHA256_CBLOCK
#define WORDS (PBKDF2_SHA256_LEN / sizeof(uint32_t))

/* The states after the first block of the inner and of the outer hash (RFC 2104). */
struct keyed {
	SHA256_CTX inner;
	SHA256_CTX outer;
};

/* A digest as the second and last block of a hash of so many octets in all. */
struct last {
	uint32_t digest[WORDS];
	uint32_t end[WORDS];
};

static void
key_set(struct keyed *k, const void *password, size_t len)
{
	uint8_t pad[BLOCK] = { 0 };

	if (len > BLOCK)
		SHA256(password, len, pad);
	else if (len > 0)
		memcpy(pad, password, len);
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36;
	SHA256_Init(&k->inner);
	SHA256_Update(&k->inner, pad, BLOCK);
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	SHA256_Init(&k->outer);
	SHA256_Update(&k->outer, pad, BLOCK);
	explicit_bzero(pad, sizeof(pad));
}

static void
hash_last(const SHA256_CTX *from, struct last *block)
{
	SHA256_CTX c;

	memcpy(c.h, from->h, sizeof(c.h));
	SHA256_Transform(&c, (const unsigned char *)block);
	for (size_t i = 0; i < WORDS; i++)
		block->digest[i] = htonl(c.h[i]);
}

void
pbkdf2_sha256(const void *password, size_t password_len, const void *salt,
    size_t salt_len, uint32_t iterations, uint8_t out[PBKDF2_SHA256_LEN])
{
	static const uint8_t first[4] = { 0, 0, 0, 1 };
	struct last block = { .end = { htonl(0x80000000u),
				  [WORDS - 1] =
				      htonl(8 * (BLOCK + PBKDF2_SHA256_LEN)) } };
	uint32_t sum[WORDS];
	struct keyed k;
	SHA256_CTX c;

	key_set(&k, password, password_len);
	c = k.inner;
	SHA256_Update(&c, salt, salt_len);
	SHA256_Update(&c, first, sizeof(first));
	SHA256_Final((unsigned char *)block.digest, &c);
	hash_last(&k.outer, &block);
	memcpy(sum, block.digest, sizeof(sum));
	for (uint32_t n = 1; n < iterations; n++) {
		hash_last(&k.inner, &block);
		hash_last(&k.outer, &block);
		for (size_t i = 0; i < WORDS; i++)
			sum[i] ^= block.digest[i];
	}
	memcpy(out, sum, sizeof(sum));
	explicit_bzero(sum, sizeof(sum));
	explicit_bzero(&block, sizeof(block));
	explicit_bzero(&k, sizeof(k));
	explicit_bzero(&c, sizeof(c));
}
