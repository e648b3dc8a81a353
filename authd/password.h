/* SPDX-License-Identifier: ISC */
#ifndef FIFE_PASSWORD_H
#define FIFE_PASSWORD_H

/*
 * Password verifiers, of passwords as saslprep.h has them. By default SCRAM keys (RFC
 * 5802, RFC 7677) with which PLAIN is checked too; instead, and only instead, yescrypt:
 * keeping both would make the weaker one the real strength. All of this is slow on
 * purpose and runs in authd's workers.
 */

#include <stddef.h>
#include <stdint.h>

struct password {
	/* iterations$salt$StoredKey$ServerKey, base64; "" for none */
	char scram_sha256[256];
	char scram_sha1[256];
	char crypt[256]; /* as crypt(3); "" for none */
};

#define PASSWORD_MAX 512 /* octets */
#define PASSWORD_ITERATIONS_MIN 4096
#define PASSWORD_ITERATIONS_MAX 10000000

enum scram_hash {
	SCRAM_SHA1,
	SCRAM_SHA256
};

/* RFC 5802, 3 */
struct scram_keys {
	uint32_t iterations;
	unsigned char salt[64];
	size_t salt_len;
	unsigned char stored[64];
	unsigned char server[64];
	size_t key_len;
	int nobody; /* made up: no proof is right */
};
/* From the text in struct password. 0, or -1: none there, or a damaged one. */
int password_keys(const char *text, enum scram_hash, struct scram_keys *);

/* scram: 1 keys, 0 yescrypt. 0, or -1 (too long, no randomness, no memory). */
int password_make(const char *plain, int scram, uint32_t iterations, struct password *);
/* 1 right, 0 wrong, -1 no verifier there or a damaged one. */
int password_check(const char *plain, const struct password *);
/* The work of a check with nobody to check against, so that an unknown user
 * takes as long as a known one. */
void password_check_nobody(const char *plain, uint32_t iterations);

#endif
