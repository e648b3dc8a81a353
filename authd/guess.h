/* SPDX-License-Identifier: ISC */
#ifndef FIFE_GUESS_H
#define FIFE_GUESS_H

/*
 * Who guesses passwords: failed logins by a name, which is a client's network or an
 * account. One failure is forgiven every GUESS_FORGIVE_MS. The same wrong password again,
 * as of a program that nobody told of the new one, is no new guess. Bounded; the name
 * that has been quiet longest goes first. No I/O.
 */

#include <stddef.h>
#include <stdint.h>

#define GUESS_NAMES_MAX 16384
#define GUESS_FORGIVE_MS (3 * 60 * 1000)
#define GUESS_DELAY_MAX_MS 8000

struct guess;

struct guess *guess_new(void); /* NULL: no memory */
void guess_free(struct guess *);
/* A failure. token: a keyed hash of what was tried, 0: not known. Returns how many count
 * now, 0 without memory. */
uint32_t guess_failed(struct guess *, const char *name, uint32_t token, uint64_t now_ms);
void guess_forget(struct guess *, const char *name);
size_t guess_count(const struct guess *);
/* How long the answer has to wait after that many; the first free ones cost nothing. */
uint32_t guess_delay_ms(uint32_t failures, uint32_t free);

#endif
