/* SPDX-License-Identifier: ISC */
#ifndef FIFE_VERIFIED_H
#define FIFE_VERIFIED_H

/*
 * A short memory of passwords that have just been verified, so that a client that
 * logs in every few seconds does not cost a slow hash each time. It holds keyed
 * hashes only (the key dies with the process), which cover the stored verifier too: a
 * changed password is never found.
 */

#include <stdint.h>

#include "authd/password.h"

#define VERIFIED_LIFE_MS (5 * 60 * 1000)

int verified_init(void);
/* 1: this password was right for this user at most VERIFIED_LIFE_MS ago. */
int verified_find(
    const char *address, const char *plain, const struct password *, uint64_t now_ms);
void verified_add(
    const char *address, const char *plain, const struct password *, uint64_t now_ms);

#endif
