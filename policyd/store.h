/* SPDX-License-Identifier: ISC */
#ifndef FIFE_POLICYD_STORE_H
#define FIFE_POLICYD_STORE_H

/*
 * The policies that have been fetched, in memory and as one file each, so that
 * they outlive a restart: an attacker who can suppress the record must not win by
 * waiting for one (RFC 8461, 10.2). Bounded: the one that expires first goes.
 */

#include <stdint.h>

#include "policyd/policy.h"

#define STORE_MAX 10000

struct stored {
	char domain[256];
	char id[33];
	int64_t fetched; /* seconds since 1970 */
	int64_t expires;
	struct policy policy;
};

/* In the daemon's root directory. now: those that have expired go. */
void store_open(int64_t now);
/* Borrowed until the next store_put(); NULL: none that is valid. */
const struct stored *store_find(const char *domain, int64_t now);
/* text: as it was fetched, for the file. */
void store_put(const struct stored *, const char *text, size_t len);
void store_remove(const char *domain);
unsigned int store_count(void);
/* i-th, NULL at the end. */
const struct stored *store_at(unsigned int i);

#endif
