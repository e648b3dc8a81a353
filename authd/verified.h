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

int verified_init(void);
/* How long a password is remembered; 0: not at all, and what is known is forgotten. */
void verified_set_life(uint64_t ms);
/* 1: this password was right for this user within that time. */
int verified_find(
    const char *address, const char *plain, const struct password *, uint64_t now_ms);
void verified_add(
    const char *address, const char *plain, const struct password *, uint64_t now_ms);

#endif
