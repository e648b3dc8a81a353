/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTPD_RATE_H
#define FIFE_SMTPD_RATE_H

/*
 * How often a network came lately: a bounded table. The time of the next event at
 * an even pace is all that is kept of each (GCRA); limit events may come at once.
 * When the table is full, the one that was seen the longest ago is forgotten.
 */

#include <stddef.h>
#include <stdint.h>

#define RATE_KEY 9 /* family and network */

struct sockaddr;
struct rate;

/* NULL without memory. */
struct rate *rate_new(size_t entries_max);
void rate_free(struct rate *);

/* Count an event: 0; -1 (not counted): beyond limit events within period_ms. */
int rate_take(struct rate *, const uint8_t key[RATE_KEY], uint32_t limit,
    uint64_t period_ms, uint64_t now_ms);
/* Would rate_take() say no? */
int rate_is_over(struct rate *, const uint8_t key[RATE_KEY], uint32_t limit,
    uint64_t period_ms, uint64_t now_ms);
size_t rate_count(const struct rate *);

/* The network of an address: an IPv6 /64, an IPv4 network of ipv4_prefix bits, also in
 * IPv6's clothes. Other families are all one. */
void rate_key(const struct sockaddr *, unsigned int ipv4_prefix, uint8_t key[RATE_KEY]);

#endif
