/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LIMIT_H
#define FIFE_LIMIT_H

/*
 * Who has how many connections, and who guessed passwords: a bounded table by
 * address (IPv6 by /64, since a client has all of it).
 */

#include <stddef.h>
#include <stdint.h>

struct sockaddr;

#define LIMIT_KEY_SIZE 16
#define LIMIT_ENTRIES_MAX 16384
#define LIMIT_DELAY_MAX_MS 15000
#define LIMIT_FORGET_MS (10 * 60 * 1000)

struct limit;
struct limit *limit_new(void); /* NULL: no memory */
void limit_free(struct limit *);

/* The key of an address; all zero for what is not of the internet. */
void limit_key(const struct sockaddr *, uint8_t key[LIMIT_KEY_SIZE]);
int limit_is_loopback(const struct sockaddr *);

/* A connection more; -1 when that would be more than max, or the table is full
 * (then it is not counted). */
int limit_open(
    struct limit *, const uint8_t key[LIMIT_KEY_SIZE], uint32_t max, uint64_t now_ms);
void limit_close(struct limit *, const uint8_t key[LIMIT_KEY_SIZE]);

/* A login failed: how long the reply has to wait, doubling from one second. */
uint32_t limit_failed(struct limit *, const uint8_t key[LIMIT_KEY_SIZE], uint64_t now_ms);
/* A login succeeded: guesses are forgotten. */
void limit_succeeded(struct limit *, const uint8_t key[LIMIT_KEY_SIZE]);

#endif
