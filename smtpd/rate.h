/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTPD_RATE_H
#define FIFE_SMTPD_RATE_H

/*
 * How often a network came lately, to all processes of smtpd (counts.h). The time of the
 * next event at an even pace is all that is kept of each (GCRA); limit events may come
 * at once. Everybody goes on from the latest time that anybody has. The table is
 * bounded: the one that was busy the longest ago is forgotten.
 */

#include <stddef.h>
#include <stdint.h>

#include "smtpd/counts.h"

#define RATE_KEY COUNTS_KEY

struct sockaddr;

/* Count an event: 0; -1 (not counted): beyond limit events within period_ms. A limit of
 * 0 is none. */
int rate_take(enum counts_kind, const uint8_t key[RATE_KEY], uint32_t limit,
    uint64_t period_ms, uint64_t now_ms);
/* Would rate_take() say no? */
int rate_is_over(enum counts_kind, const uint8_t key[RATE_KEY], uint32_t limit,
    uint64_t period_ms, uint64_t now_ms);

/* The network of an address: an IPv6 /64, an IPv4 network of ipv4_prefix bits, also in
 * IPv6's clothes. Other families are all one. */
void rate_key(const struct sockaddr *, unsigned int ipv4_prefix, uint8_t key[RATE_KEY]);

#endif
