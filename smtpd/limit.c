/* SPDX-License-Identifier: ISC */
/* Counts of connections; see limit.h. The table is no larger than the connections. */
#include "smtpd/limit.h"

#include <sys/queue.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"

#define BUCKETS 1024

struct client {
	LIST_ENTRY(client) entry;
	uint8_t key[9]; /* family and network */
	uint32_t n;
};

static LIST_HEAD(bucket, client) buckets[BUCKETS];
static uint32_t total;
static uint64_t seed; /* nobody can choose a bucket */

static void
key_of(const struct sockaddr *sa, uint8_t key[9])
{
	memset(key, 0, 9);
	if (sa->sa_family == AF_INET) {
		key[0] = 4;
		memcpy(key + 1, &((const struct sockaddr_in *)(const void *)sa)->sin_addr,
		    4);
	} else if (sa->sa_family == AF_INET6) {
		const struct in6_addr *a =
		    &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;

		if (IN6_IS_ADDR_V4MAPPED(a)) {
			key[0] = 4;
			memcpy(key + 1, a->s6_addr + 12, 4);
		} else {
			key[0] = 6;
			memcpy(key + 1, a->s6_addr, 8);
		}
	}
}

static struct bucket *
bucket_of(const uint8_t key[9])
{
	uint64_t h;

	while (seed == 0)
		arc4random_buf(&seed, sizeof(seed));
	h = seed;
	for (int i = 0; i < 9; i++)
		h = (h ^ key[i]) * 0x100000001b3ull;
	h ^= h >> 32;
	return &buckets[h % BUCKETS];
}

static struct client *
find(struct bucket *b, const uint8_t key[9])
{
	struct client *c;

	LIST_FOREACH (c, b, entry)
		if (memcmp(c->key, key, 9) == 0)
			return c;
	return NULL;
}

int
limit_take(const struct sockaddr *sa, uint32_t total_max, uint32_t per_client_max)
{
	struct bucket *b;
	struct client *c;
	uint8_t key[9];

	if (total >= total_max)
		return -1;
	key_of(sa, key);
	b = bucket_of(key);
	if ((c = find(b, key)) == NULL) {
		if ((c = calloc(1, sizeof(*c))) == NULL)
			return -1;
		memcpy(c->key, key, 9);
		LIST_INSERT_HEAD(b, c, entry);
	} else if (per_client_max != 0 && c->n >= per_client_max)
		return -1;
	c->n++;
	total++;
	return 0;
}

void
limit_drop(const struct sockaddr *sa)
{
	struct client *c;
	uint8_t key[9];

	key_of(sa, key);
	if ((c = find(bucket_of(key), key)) == NULL)
		return;
	total--;
	if (--c->n == 0) {
		LIST_REMOVE(c, entry);
		free(c);
	}
}

int
limit_is_loopback(const struct sockaddr *sa)
{
	const struct in6_addr *a;

	if (sa->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)(const void *)sa)
				 ->sin_addr.s_addr) >>
			   24 ==
		       127;
	if (sa->sa_family != AF_INET6)
		return 0;
	a = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
	return IN6_IS_ADDR_LOOPBACK(a) ||
	       (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
}
