/* SPDX-License-Identifier: ISC */
/* Rates by network; see rate.h. */
#include "smtpd/rate.h"

#include <sys/queue.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"

#define BUCKETS 1024

struct entry {
	LIST_ENTRY(entry) same; /* bucket */
	TAILQ_ENTRY(entry) seen;
	uint64_t next_ms; /* when an even pace would have the next event */
	uint8_t key[RATE_KEY];
};

struct rate {
	LIST_HEAD(, entry) buckets[BUCKETS];
	TAILQ_HEAD(, entry) order; /* seen last at the end */
	size_t n, max;
	uint64_t seed; /* nobody can choose a bucket */
};

struct rate *
rate_new(size_t entries_max)
{
	struct rate *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	TAILQ_INIT(&r->order);
	r->max = entries_max;
	arc4random_buf(&r->seed, sizeof(r->seed));
	return r;
}

static void
forget(struct rate *r, struct entry *e)
{
	LIST_REMOVE(e, same);
	TAILQ_REMOVE(&r->order, e, seen);
	r->n--;
	free(e);
}

void
rate_free(struct rate *r)
{
	struct entry *e;

	if (r == NULL)
		return;
	while ((e = TAILQ_FIRST(&r->order)) != NULL)
		forget(r, e);
	free(r);
}

static size_t
bucket_of(const struct rate *r, const uint8_t key[RATE_KEY])
{
	uint64_t h = r->seed;

	for (int i = 0; i < RATE_KEY; i++)
		h = (h ^ key[i]) * 0x100000001b3ull;
	return (h ^ h >> 32) % BUCKETS;
}

static struct entry *
find(struct rate *r, const uint8_t key[RATE_KEY])
{
	struct entry *e;

	LIST_FOREACH (e, &r->buckets[bucket_of(r, key)], same)
		if (memcmp(e->key, key, RATE_KEY) == 0)
			return e;
	return NULL;
}

/* An even pace, at least a millisecond an event. */
static uint64_t
interval(uint32_t limit, uint64_t period_ms)
{
	uint64_t t = period_ms / limit;

	return t == 0 ? 1 : t;
}

static int
over(const struct entry *e, uint32_t limit, uint64_t period_ms, uint64_t now)
{
	return e != NULL && e->next_ms > now &&
	       e->next_ms - now > interval(limit, period_ms) * (limit - 1);
}

int
rate_is_over(struct rate *r, const uint8_t key[RATE_KEY], uint32_t limit,
    uint64_t period_ms, uint64_t now)
{
	return limit != 0 && over(find(r, key), limit, period_ms, now);
}

int
rate_take(struct rate *r, const uint8_t key[RATE_KEY], uint32_t limit, uint64_t period_ms,
    uint64_t now)
{
	struct entry *e = find(r, key);

	if (limit == 0)
		return 0;
	if (e == NULL) {
		if (r->n >= r->max && (e = TAILQ_FIRST(&r->order)) != NULL)
			forget(r, e);
		if ((e = calloc(1, sizeof(*e))) == NULL)
			return 0; /* no reason to refuse anybody */
		memcpy(e->key, key, RATE_KEY);
		LIST_INSERT_HEAD(&r->buckets[bucket_of(r, key)], e, same);
		r->n++;
	} else
		TAILQ_REMOVE(&r->order, e, seen);
	TAILQ_INSERT_TAIL(&r->order, e, seen);
	if (over(e, limit, period_ms, now))
		return -1;
	e->next_ms = (e->next_ms > now ? e->next_ms : now) + interval(limit, period_ms);
	return 0;
}

size_t
rate_count(const struct rate *r)
{
	return r->n;
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
