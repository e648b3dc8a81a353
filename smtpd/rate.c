/* SPDX-License-Identifier: ISC */
/* Rates by network; see rate.h. */
#include "smtpd/rate.h"

#include <sys/socket.h>

#include <netinet/in.h>
#include <string.h>

#include "common/compat/compat.h"

/* An even pace, at least a millisecond an event. */
static uint64_t
interval(uint32_t limit, uint64_t period_ms)
{
	uint64_t t = period_ms / limit;

	return t == 0 ? 1 : t;
}

/* When the next event would be at an even pace; no later than limit events from now,
 * whatever somebody says. */
static uint64_t
next_event(uint64_t tag, uint32_t limit, uint64_t period_ms, uint64_t now)
{
	return counts_latest(tag, now + interval(limit, period_ms) * limit);
}

static int
over(uint64_t next, uint32_t limit, uint64_t period_ms, uint64_t now)
{
	return next > now && next - now > interval(limit, period_ms) * (limit - 1);
}

int
rate_is_over(enum counts_kind kind, const uint8_t key[RATE_KEY], uint32_t limit,
    uint64_t period_ms, uint64_t now)
{
	return limit != 0 &&
	       over(next_event(counts_tag(kind, key), limit, period_ms, now), limit,
		   period_ms, now);
}

int
rate_take(enum counts_kind kind, const uint8_t key[RATE_KEY], uint32_t limit,
    uint64_t period_ms, uint64_t now)
{
	uint64_t tag, next;

	if (limit == 0)
		return 0;
	tag = counts_tag(kind, key);
	next = next_event(tag, limit, period_ms, now);
	if (over(next, limit, period_ms, now))
		return -1;
	counts_latest_set(tag, (next > now ? next : now) + interval(limit, period_ms));
	return 0;
}

static void
keep_bits(uint8_t ip[4], unsigned int bits)
{
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int here = bits < i * 8 ? 0 : bits - i * 8;

		if (here < 8)
			ip[i] &= (uint8_t)(0xff00u >> here);
	}
}

void
rate_key(const struct sockaddr *sa, unsigned int ipv4_prefix, uint8_t key[RATE_KEY])
{
	memset(key, 0, RATE_KEY);
	if (sa->sa_family == AF_INET) {
		key[0] = 4;
		memcpy(key + 1, &((const struct sockaddr_in *)(const void *)sa)->sin_addr,
		    4);
	} else if (sa->sa_family == AF_INET6) {
		const struct in6_addr *a =
		    &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;

		key[0] = IN6_IS_ADDR_V4MAPPED(a) ? 4 : 6;
		if (key[0] == 4)
			memcpy(key + 1, a->s6_addr + 12, 4);
		else
			memcpy(key + 1, a->s6_addr, 8);
	}
	if (key[0] == 4)
		keep_bits(key + 1, ipv4_prefix);
}
