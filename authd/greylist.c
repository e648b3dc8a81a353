/* SPDX-License-Identifier: ISC */
/* The table of greylisting; see greylist.h. Time comes in. */
#include "authd/greylist.h"

#include <sys/queue.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"

#define BUCKETS 16384

struct node {
	struct greylist_entry e; /* first: greylist_next() hands it out */
	LIST_ENTRY(node) same;
	TAILQ_ENTRY(node) order;
	uint8_t changed;
};

TAILQ_HEAD(nodes, node);

struct half {
	struct nodes list; /* the one to be forgotten first, first */
	size_t n;
};

struct greylist {
	struct greylist_conf c;
	LIST_HEAD(, node) * buckets; /* made with the first entry */
	struct half attempts, good;
	size_t forgotten;
	int changed;
};

struct greylist *
greylist_new(void)
{
	struct greylist *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	TAILQ_INIT(&g->attempts.list);
	TAILQ_INIT(&g->good.list);
	return g;
}

static struct half *
half_of(struct greylist *g, enum greylist_kind kind)
{
	return kind == GREYLIST_ATTEMPT ? &g->attempts : &g->good;
}

static void
forget(struct greylist *g, struct node *n)
{
	struct half *h = half_of(g, n->e.kind);

	LIST_REMOVE(n, same);
	TAILQ_REMOVE(&h->list, n, order);
	h->n--;
	g->forgotten++;
	free(n);
}

void
greylist_free(struct greylist *g)
{
	struct node *n;

	if (g == NULL)
		return;
	while ((n = TAILQ_FIRST(&g->attempts.list)) != NULL ||
	       (n = TAILQ_FIRST(&g->good.list)) != NULL)
		forget(g, n);
	free(g->buckets);
	free(g);
}

/* A digest is as even as a hash can be. */
static size_t
bucket_of(const uint8_t digest[GREYLIST_DIGEST])
{
	return ((size_t)digest[0] << 8 | digest[1]) % BUCKETS;
}

static struct node *
find(const struct greylist *g, const uint8_t digest[GREYLIST_DIGEST])
{
	struct node *n;

	if (g->buckets == NULL)
		return NULL;
	LIST_FOREACH (n, &g->buckets[bucket_of(digest)], same)
		if (memcmp(n->e.digest, digest, GREYLIST_DIGEST) == 0)
			return n;
	return NULL;
}

static int
is_stale(const struct greylist *g, const struct greylist_entry *e, int64_t now)
{
	return e->kind == GREYLIST_ATTEMPT ? now - e->first > g->c.retry_s
					   : now - e->last > g->c.keep_s;
}

/* find(), but nothing that is too old: what was restored is in no order. */
static struct node *
find_fresh(struct greylist *g, const uint8_t digest[GREYLIST_DIGEST], int64_t now)
{
	struct node *n = find(g, digest);

	if (n != NULL && is_stale(g, &n->e, now)) {
		forget(g, n);
		return NULL;
	}
	return n;
}

static void
expire(struct greylist *g, int64_t now)
{
	struct node *n;

	while ((n = TAILQ_FIRST(&g->attempts.list)) != NULL &&
	       (g->attempts.n > g->c.entries_max / 2 || is_stale(g, &n->e, now)))
		forget(g, n);
	while ((n = TAILQ_FIRST(&g->good.list)) != NULL &&
	       (g->good.n > g->c.entries_max / 2 || is_stale(g, &n->e, now)))
		forget(g, n);
}

void
greylist_set(struct greylist *g, const struct greylist_conf *c)
{
	g->c = *c;
	expire(g, 0);
}

static struct node *
add(struct greylist *g, const struct greylist_entry *e)
{
	struct half *h = half_of(g, e->kind);
	struct node *n;

	if (g->buckets == NULL &&
	    (g->buckets = calloc(BUCKETS, sizeof(*g->buckets))) == NULL)
		return NULL;
	if (h->n > 0 && h->n >= g->c.entries_max / 2)
		forget(g, TAILQ_FIRST(&h->list));
	if ((n = calloc(1, sizeof(*n))) == NULL)
		return NULL;
	n->e = *e;
	LIST_INSERT_HEAD(&g->buckets[bucket_of(e->digest)], n, same);
	TAILQ_INSERT_TAIL(&h->list, n, order);
	h->n++;
	return n;
}

static void
touch(struct greylist *g, struct node *n, int64_t now)
{
	struct half *h = half_of(g, n->e.kind);

	n->e.last = now;
	n->changed = 1;
	g->changed = 1;
	TAILQ_REMOVE(&h->list, n, order);
	TAILQ_INSERT_TAIL(&h->list, n, order);
}

/* ---- digests ---- */

/* The network of a client as octets; text that is no address stands for itself. */
static size_t
network_of(const struct greylist *g, const char *client, uint8_t out[64])
{
	struct in_addr a4;
	struct in6_addr a6;

	memset(out, 0, 64);
	if (inet_pton(AF_INET, client, &a4) == 1) {
		uint32_t bits = g->c.ipv4_prefix, mask;

		mask = bits == 0 || bits >= 32 ? UINT32_MAX : UINT32_MAX << (32 - bits);
		a4.s_addr &= htonl(mask);
		out[0] = 4;
		memcpy(out + 1, &a4, 4);
		return 5;
	}
	if (inet_pton(AF_INET6, client, &a6) == 1) {
		out[0] = 6;
		memcpy(out + 1, &a6, 8);
		return 9;
	}
	return strlcpy((char *)out, client, 64) < 64 ? strlen((char *)out) : 63;
}

/* Lists number their senders: the digits of the local part count as one. */
static void
add_folded(EVP_MD_CTX *ctx, const char *address, int digits)
{
	const char *at = strrchr(address, '@');
	char last = '\0';

	for (const char *p = address; *p != '\0'; p++) {
		char c = (char)tolower((unsigned char)*p);

		if (digits && p < at && isdigit((unsigned char)c)) {
			if (last == '#')
				continue;
			c = '#';
		}
		last = c;
		EVP_DigestUpdate(ctx, &c, 1);
	}
	EVP_DigestUpdate(ctx, "", 1);
}

/* sender NULL: of the network alone. 0 or -1. */
static int
digest_of(const struct greylist *g, const char *client, const char *sender,
    const char *rcpt, uint8_t digest[GREYLIST_DIGEST])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t network[64], md[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	int r = -1;

	if (ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1) {
		EVP_DigestUpdate(ctx, network, network_of(g, client, network));
		if (sender != NULL) {
			EVP_DigestUpdate(ctx, "", 1);
			add_folded(ctx, sender, 1);
			add_folded(ctx, rcpt, 0);
		}
		if (EVP_DigestFinal_ex(ctx, md, &len) == 1 && len >= GREYLIST_DIGEST) {
			memcpy(digest, md, GREYLIST_DIGEST);
			r = 0;
		}
	}
	EVP_MD_CTX_free(ctx);
	return r;
}

/* ---- the decision ---- */

static void
count_network(struct greylist *g, const uint8_t digest[GREYLIST_DIGEST], int64_t now)
{
	struct greylist_entry e = { .kind = GREYLIST_NETWORK, .first = now };
	struct node *n = find(g, digest);

	if (n == NULL) {
		memcpy(e.digest, digest, sizeof(e.digest));
		if ((n = add(g, &e)) == NULL)
			return;
	}
	if (n->e.count < UINT32_MAX)
		n->e.count++;
	touch(g, n, now);
}

static uint32_t
wait_for(struct greylist *g, const uint8_t digest[GREYLIST_DIGEST], int64_t now)
{
	struct greylist_entry e = { .kind = GREYLIST_ATTEMPT, .first = now };
	struct node *n;

	memcpy(e.digest, digest, sizeof(e.digest));
	if ((n = add(g, &e)) == NULL)
		return 0; /* no memory is no reason to refuse mail */
	touch(g, n, now);
	return g->c.delay_s;
}

uint32_t
greylist_check(struct greylist *g, const char *client, const char *sender,
    const char *rcpt, int64_t now)
{
	uint8_t network[GREYLIST_DIGEST], all[GREYLIST_DIGEST];
	struct greylist_entry e;
	struct node *n;

	expire(g, now);
	if (digest_of(g, client, NULL, NULL, network) == -1 ||
	    digest_of(g, client, sender, rcpt, all) == -1)
		return 0;
	n = find_fresh(g, network, now);
	if (g->c.hosts != 0 && n != NULL && n->e.count >= g->c.hosts) {
		touch(g, n, now);
		return 0;
	}
	if ((n = find_fresh(g, all, now)) == NULL)
		return wait_for(g, all, now);
	if (n->e.kind != GREYLIST_ATTEMPT) {
		touch(g, n, now);
		return 0;
	}
	if (n->e.first > now)
		n->e.first = now; /* the clock was put back */
	if (now - n->e.first < g->c.delay_s)
		return (uint32_t)(g->c.delay_s - (now - n->e.first));
	e = n->e;
	e.kind = GREYLIST_PASSED;
	forget(g, n);
	g->forgotten--; /* it is overwritten */
	if ((n = add(g, &e)) != NULL)
		touch(g, n, now);
	count_network(g, network, now);
	return 0;
}

size_t
greylist_count(const struct greylist *g)
{
	return g->attempts.n + g->good.n;
}

/* ---- to and from the file ---- */

const struct greylist_entry *
greylist_next(const struct greylist *g, const void **iter, int changed_only)
{
	const struct node *n = *iter;

	do {
		if (n == NULL)
			n = TAILQ_EMPTY(&g->attempts.list)
				? TAILQ_FIRST(&g->good.list)
				: TAILQ_FIRST(&g->attempts.list);
		else if (TAILQ_NEXT(n, order) != NULL)
			n = TAILQ_NEXT(n, order);
		else
			n = n->e.kind == GREYLIST_ATTEMPT ? TAILQ_FIRST(&g->good.list)
							  : NULL;
	} while (n != NULL && changed_only && !n->changed);
	*iter = n;
	return n == NULL ? NULL : &n->e;
}

int
greylist_restore(struct greylist *g, const struct greylist_entry *e, int64_t now)
{
	struct half *h = half_of(g, e->kind);

	if (h->n >= g->c.entries_max / 2 || find(g, e->digest) != NULL ||
	    is_stale(g, e, now)) {
		g->forgotten++;
		return -1;
	}
	return add(g, e) == NULL ? -1 : 0;
}

void
greylist_unchanged(struct greylist *g)
{
	struct node *n;

	TAILQ_FOREACH (n, &g->attempts.list, order)
		n->changed = 0;
	TAILQ_FOREACH (n, &g->good.list, order)
		n->changed = 0;
	g->changed = 0;
}

int
greylist_is_changed(const struct greylist *g)
{
	return g->changed;
}

size_t
greylist_forgotten(const struct greylist *g)
{
	return g->forgotten;
}

void
greylist_all_saved(struct greylist *g)
{
	g->forgotten = 0;
}
