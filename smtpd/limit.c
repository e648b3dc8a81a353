/* SPDX-License-Identifier: ISC */
/* Counts of connections; see limit.h. Ours are kept exactly, and published. */
#include "smtpd/limit.h"

#include <sys/queue.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "smtpd/counts.h"

#define BUCKETS 1024

struct group {
	LIST_ENTRY(group) entry;
	uint64_t tag;
	uint32_t n;
};

static LIST_HEAD(bucket, group) buckets[BUCKETS];
static uint32_t total;

/* wide: the neighbourhood. */
static uint64_t
tag_of(const struct sockaddr *sa, int wide)
{
	uint8_t key[COUNTS_KEY] = { 0 };
	const uint8_t *ip = NULL;

	if (sa->sa_family == AF_INET) {
		key[0] = 4;
		ip = (const uint8_t *)&((const struct sockaddr_in *)(const void *)sa)
			 ->sin_addr;
	} else if (sa->sa_family == AF_INET6) {
		const struct in6_addr *a =
		    &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;

		key[0] = IN6_IS_ADDR_V4MAPPED(a) ? 4 : 6;
		ip = a->s6_addr + (key[0] == 4 ? 12 : 0);
	}
	if (key[0] == 4)
		memcpy(key + 1, ip, wide ? 3 : 4);
	else if (key[0] == 6)
		memcpy(key + 1, ip, wide ? 6 : 8);
	return counts_tag(wide ? COUNTS_NETWORK : COUNTS_CLIENT, key);
}

static struct group *
find(uint64_t tag)
{
	struct group *g;

	LIST_FOREACH (g, &buckets[tag % BUCKETS], entry)
		if (g->tag == tag)
			return g;
	return NULL;
}

/* How many of its kind there are now, everywhere; 0: no memory. */
static uint64_t
add(uint64_t tag)
{
	struct group *g = find(tag);

	if (g == NULL) {
		if ((g = calloc(1, sizeof(*g))) == NULL)
			return 0;
		g->tag = tag;
		LIST_INSERT_HEAD(&buckets[tag % BUCKETS], g, entry);
	}
	counts_live_set(tag, ++g->n);
	return g->n + counts_live_others(tag);
}

static int
take_away(uint64_t tag)
{
	struct group *g = find(tag);

	if (g == NULL)
		return -1;
	counts_live_set(tag, --g->n);
	if (g->n == 0) {
		LIST_REMOVE(g, entry);
		free(g);
	}
	return 0;
}

/* First counted, then judged: two processes at the same moment may both refuse, but
 * never both accept the last one. */
int
limit_take(const struct sockaddr *sa, const struct limits *l)
{
	uint64_t of_client = add(tag_of(sa, 0)), of_network;

	if (of_client == 0)
		return -1;
	if ((of_network = add(tag_of(sa, 1))) == 0) {
		(void)take_away(tag_of(sa, 0));
		return -1;
	}
	counts_total_set(++total);
	if (total + counts_total_others() <= l->total &&
	    (l->per_client == 0 || of_client <= l->per_client) &&
	    (l->per_network == 0 || of_network <= l->per_network))
		return 0;
	limit_drop(sa);
	return -1;
}

void
limit_drop(const struct sockaddr *sa)
{
	if (take_away(tag_of(sa, 0)) == -1)
		return;
	(void)take_away(tag_of(sa, 1));
	counts_total_set(--total);
}

int
limit_is_crowded(uint32_t total_max)
{
	return (total + counts_total_others()) * 4 > (uint64_t)total_max * 3;
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
