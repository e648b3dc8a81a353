/* SPDX-License-Identifier: ISC */
#ifndef FIFE_PBKDF2_H
#define FIFE_PBKDF2_H

/*
 * PBKDF2 (RFC 8018, 5.2) with HMAC-SHA-256, for the first block alone: Hi() of RFC 5802.
 * What libcrypto gives takes twice the time, in the bookkeeping between two blocks; who
 * guesses passwords does not wait for that, so our users need not.
 */

#include <stddef.h>
#include <stdint.h>

#define PBKDF2_SHA256_LEN 32

/* iterations is at least 1. out is for the caller to wipe. */
void pbkdf2_sha256(const void *password, size_t password_len, const void *salt,
    size_t salt_len, uint32_t iterations, uint8_t out[PBKDF2_SHA256_LEN]);

#endif
