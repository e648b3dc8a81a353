/* SPDX-License-Identifier: ISC */
/* Connections and failed logins by address; see limit.h. */
#include "common/front/limit.h"

#include <sys/queue.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"

#define BUCKETS 4096

struct entry {
	LIST_ENTRY(entry) in_bucket;
	TAILQ_ENTRY(entry) in_idle;
	uint8_t key[LIMIT_KEY_SIZE];
	uint32_t connections;
	uint32_t failures;
	uint64_t failed_ms;
	bool idle; /* no connections: kept for its failures only, may be dropped */
};

struct limit {
	LIST_HEAD(bucket, entry) buckets[BUCKETS];
	TAILQ_HEAD(, entry) idle; /* longest idle first */
	size_t n;
	uint32_t seed;
};

struct limit *
limit_new(void)
{
	struct limit *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	TAILQ_INIT(&l->idle);
	l->seed = arc4random();
	return l;
}

static void
drop(struct limit *l, struct entry *e)
{
	if (e->idle)
		TAILQ_REMOVE(&l->idle, e, in_idle);
	LIST_REMOVE(e, in_bucket);
	free(e);
	l->n--;
}

void
limit_free(struct limit *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while (!LIST_EMPTY(&l->buckets[i]))
			drop(l, LIST_FIRST(&l->buckets[i]));
	free(l);
}

void
limit_key(const struct sockaddr *sa, uint8_t key[LIMIT_KEY_SIZE])
{
	memset(key, 0, LIMIT_KEY_SIZE);
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sa;

		key[10] = key[11] = 0xff;
		memcpy(key + 12, &in->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

		memcpy(key, &in6->sin6_addr,
		    IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? LIMIT_KEY_SIZE : 8);
	}
}

int
limit_is_loopback(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sa;

		return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) &&
			   in6->sin6_addr.s6_addr[12] == 127);
	}
	return 0;
}

static struct bucket *
bucket(struct limit *l, const uint8_t *key)
{
	uint32_t h = l->seed;

	for (int i = 0; i < LIMIT_KEY_SIZE; i++)
		h = (h ^ key[i]) * 16777619u;
	return &l->buckets[(h ^ h >> 16) % BUCKETS];
}

static struct entry *
find(struct limit *l, const uint8_t *key)
{
	struct entry *e;

	LIST_FOREACH (e, bucket(l, key), in_bucket)
		if (memcmp(e->key, key, LIMIT_KEY_SIZE) == 0)
			return e;
	return NULL;
}

static struct entry *
find_or_add(struct limit *l, const uint8_t *key)
{
	struct entry *e = find(l, key);

	if (e != NULL)
		return e;
	if (l->n >= LIMIT_ENTRIES_MAX && !TAILQ_EMPTY(&l->idle))
		drop(l, TAILQ_FIRST(&l->idle));
	if (l->n >= LIMIT_ENTRIES_MAX || (e = calloc(1, sizeof(*e))) == NULL)
		return NULL;
	memcpy(e->key, key, LIMIT_KEY_SIZE);
	LIST_INSERT_HEAD(bucket(l, key), e, in_bucket);
	l->n++;
	return e;
}

int
limit_open(
    struct limit *l, const uint8_t key[LIMIT_KEY_SIZE], uint32_t max, uint64_t now_ms)
{
	struct entry *e = find_or_add(l, key);

	if (e == NULL || (max != 0 && e->connections >= max))
		return -1;
	if (e->idle) {
		TAILQ_REMOVE(&l->idle, e, in_idle);
		e->idle = false;
		if (now_ms - e->failed_ms > LIMIT_FORGET_MS)
			e->failures = 0;
	}
	e->connections++;
	return 0;
}

void
limit_close(struct limit *l, const uint8_t key[LIMIT_KEY_SIZE])
{
	struct entry *e = find(l, key);

	if (e == NULL || e->connections == 0 || --e->connections > 0)
		return;
	if (e->failures == 0) {
		drop(l, e);
		return;
	}
	e->idle = true;
	TAILQ_INSERT_TAIL(&l->idle, e, in_idle);
}

uint32_t
limit_failed(struct limit *l, const uint8_t key[LIMIT_KEY_SIZE], uint64_t now_ms)
{
	struct entry *e = find(l, key);
	uint32_t wait = 1000;

	if (e == NULL)
		return LIMIT_DELAY_MAX_MS;
	if (now_ms - e->failed_ms > LIMIT_FORGET_MS)
		e->failures = 0;
	e->failed_ms = now_ms;
	for (uint32_t i = 0; i < e->failures && wait < LIMIT_DELAY_MAX_MS; i++)
		wait *= 2;
	if (e->failures < 1000)
		e->failures++;
	return wait < LIMIT_DELAY_MAX_MS ? wait : LIMIT_DELAY_MAX_MS;
}

void
limit_succeeded(struct limit *l, const uint8_t key[LIMIT_KEY_SIZE])
{
	struct entry *e = find(l, key);

	if (e != NULL)
		e->failures = 0;
}
