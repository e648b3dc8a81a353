/*
 * Groups of destinations with the same route, and how routes are found; see schedule.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/crc32c.h"
#include "queued/schedule_private.h"

/* Rings of groups in a class. */

int
sched_group_has_more(const struct group *g)
{
	for (const struct rings *r = g->r; r != NULL; r = r->more)
		if (r->mask != 0)
			return 1;
	return 0;
}

uint32_t
sched_group_ceiling(const struct sched *s, const struct group *g)
{
	return g->running_max != 0 ? g->running_max : s->jobs_per_group;
}

static uint32_t
group_limit(const struct sched *s, const struct group *g)
{
	if (g->class == SCHED_LOCAL)
		return s->jobs_max;
	if (g->failures >= BACKOFF_AFTER)
		return 1;
	return concurrency_limit(&g->concurrency, sched_group_ceiling(s, g));
}

int
sched_group_next(const struct sched *s, uint32_t *at, struct sched_group *out)
{
	while (*at < s->ngroups) {
		const struct group *g = &s->groups[(*at)++];

		if (g->key == NULL || g->class != SCHED_REMOTE ||
		    (g->running == 0 && g->blocked_until == 0 &&
			g->concurrency.threshold == 0))
			continue;
		*out = (struct sched_group){ .key = g->key,
			.running = g->running,
			.limit = group_limit(s, g),
			.ceiling = sched_group_ceiling(s, g),
			.blocked_until = g->blocked_until };
		return 1;
	}
	return 0;
}

struct rings *
sched_rings(const struct group *g, uint8_t band)
{
	struct rings *r = g->r;

	while (r != NULL && r->band != band)
		r = r->more;
	return r;
}

struct buckets *
sched_buckets(const struct dest *d, uint8_t band)
{
	struct buckets *b = d->b;

	while (b != NULL && b->band != band)
		b = b->more;
	return b;
}

static void
group_link(struct sched *s, uint32_t i, struct rings *r, uint32_t k)
{
	struct band *c = &s->class[s->groups[i].class].bands[r->band];

	r->linked |= 1U << k;
	if (!(c->mask & (1U << k))) {
		c->mask |= 1U << k;
		c->first[k] = r->prev[k] = r->next[k] = i;
		return;
	}
	r->next[k] = c->first[k];
	r->prev[k] = sched_rings(&s->groups[c->first[k]], r->band)->prev[k];
	sched_rings(&s->groups[r->prev[k]], r->band)->next[k] = i;
	sched_rings(&s->groups[r->next[k]], r->band)->prev[k] = i;
}

static void
group_unlink(struct sched *s, uint32_t i, struct rings *r, uint32_t k)
{
	struct band *c = &s->class[s->groups[i].class].bands[r->band];

	r->linked &= ~(1U << k);
	if (r->next[k] == i) {
		c->mask &= ~(1U << k);
		return;
	}
	sched_rings(&s->groups[r->prev[k]], r->band)->next[k] = r->next[k];
	sched_rings(&s->groups[r->next[k]], r->band)->prev[k] = r->prev[k];
	if (c->first[k] == i)
		c->first[k] = r->next[k];
}

/* In the rings or out of them, as it must be. */
void
sched_group_place(struct sched *s, uint32_t i)
{
	struct group *g = &s->groups[i];
	int may_run = g->blocked_until == 0 && g->running < group_limit(s, g);

	for (struct rings **p = &g->r, *r; (r = *p) != NULL;) {
		uint32_t want = may_run ? r->mask : 0;

		for (uint32_t diff = want ^ r->linked; diff != 0; diff &= diff - 1) {
			uint32_t k = (uint32_t)__builtin_ctz(diff);

			if (want & (1U << k))
				group_link(s, i, r, k);
			else
				group_unlink(s, i, r, k);
		}
		if (r->mask == 0) {
			*p = r->more;
			free(r);
		} else
			p = &r->more;
	}
}

static uint32_t *
group_chain(struct sched *s, const char *key)
{
	return &s->group_hash[crc32c(2, key, strlen(key)) % HASH_SIZE];
}

void
sched_group_drop(struct sched *s, uint32_t i)
{
	struct group *g = &s->groups[i];
	uint32_t *p = group_chain(s, g->key);

	if (g->blocked_until != 0)
		s->nblocked--;
	while (*p != i)
		p = &s->groups[*p].hash_next;
	*p = g->hash_next;
	free(g->key);
	g->key = NULL;
	g->hash_next = s->group_free;
	s->group_free = i;
}

static uint32_t
group_get(struct sched *s, enum sched_class class, const char *key)
{
	uint32_t *chain = group_chain(s, key), i;
	struct group *g;
	char *copy;

	for (i = *chain; i != NONE; i = s->groups[i].hash_next) {
		if (s->groups[i].class == class && strcmp(s->groups[i].key, key) == 0)
			return i;
	}
	copy = strdup(key);
	if (copy == NULL)
		return NONE;
	i = s->group_free;
	if (i != NONE)
		s->group_free = s->groups[i].hash_next;
	else {
		if (s->ngroups == s->groups_cap) {
			uint32_t cap = s->groups_cap == 0 ? 64 : s->groups_cap * 2;
			struct group *n = reallocarray(s->groups, cap, sizeof(*n));

			if (n == NULL) {
				free(copy);
				return NONE;
			}
			s->groups = n;
			s->groups_cap = cap;
		}
		i = s->ngroups++;
	}
	g = &s->groups[i];
	memset(g, 0, sizeof(*g));
	g->class = (uint8_t) class;
	g->key = copy;
	concurrency_init(&g->concurrency);
	g->hash_next = *chain;
	*chain = i;
	return i;
}

void
sched_set_limits(struct sched *s, uint32_t jobs_max, uint32_t jobs_per_group)
{
	s->jobs_max = jobs_max > 0 ? jobs_max : 1;
	s->jobs_per_group = jobs_per_group > 0 ? jobs_per_group : 1;
	for (uint32_t i = 0; i < s->ngroups; i++) {
		if (s->groups[i].key != NULL)
			sched_group_place(s, i);
	}
}

/* Rings of destinations in a group. */

static int
dest_link(struct sched *s, uint32_t i, struct buckets *b, uint32_t k)
{
	struct group *g = &s->groups[s->dests[i].group];
	struct rings *r = sched_rings(g, b->band);

	if (r == NULL) {
		r = calloc(1, sizeof(*r));
		if (r == NULL)
			return -1; /* with its next message */
		r->band = b->band;
		r->more = g->r;
		g->r = r;
	}
	b->linked |= 1U << k;
	if (!(r->mask & (1U << k))) {
		r->mask |= 1U << k;
		r->first[k] = b->prev[k] = b->next[k] = i;
		return 0;
	}
	b->next[k] = r->first[k];
	b->prev[k] = sched_buckets(&s->dests[r->first[k]], b->band)->prev[k];
	sched_buckets(&s->dests[b->prev[k]], b->band)->next[k] = i;
	sched_buckets(&s->dests[b->next[k]], b->band)->prev[k] = i;
	return 0;
}

static void
dest_unlink(struct sched *s, uint32_t i, struct buckets *b, uint32_t k)
{
	struct rings *r = sched_rings(&s->groups[s->dests[i].group], b->band);

	b->linked &= ~(1U << k);
	if (b->next[k] == i) {
		r->mask &= ~(1U << k);
		return;
	}
	sched_buckets(&s->dests[b->prev[k]], b->band)->next[k] = b->next[k];
	sched_buckets(&s->dests[b->next[k]], b->band)->prev[k] = b->prev[k];
	if (r->first[k] == i)
		r->first[k] = b->next[k];
}

/* All that is ready is in the group's rings, or with in 0: nothing is. */
static void
dest_links(struct sched *s, uint32_t i, int in)
{
	struct dest *d = &s->dests[i];

	for (struct buckets *b = d->b; b != NULL; b = b->more) {
		uint32_t want = in ? b->mask : 0;

		for (uint32_t diff = want ^ b->linked; diff != 0; diff &= diff - 1) {
			uint32_t k = (uint32_t)__builtin_ctz(diff);

			if (!(want & (1U << k)))
				dest_unlink(s, i, b, k);
			else if (dest_link(s, i, b, k) == -1)
				break;
		}
	}
	if (d->b != NULL)
		sched_group_place(s, d->group);
}

static int
ask_push(struct sched *s, uint32_t dest, int64_t at)
{
	if (s->dests[dest].asked)
		return 0;
	if (s->ask_len == s->ask_cap) {
		uint32_t cap = s->ask_cap == 0 ? 64 : s->ask_cap * 2;
		uint32_t *n = reallocarray(NULL, cap, sizeof(*n));

		if (n == NULL)
			return -1;
		for (uint32_t i = 0; i < s->ask_len; i++)
			n[i] = s->ask[(s->ask_head + i) % s->ask_cap];
		free(s->ask);
		s->ask = n;
		s->ask_cap = cap;
		s->ask_head = 0;
	}
	s->ask[(s->ask_head + s->ask_len++) % s->ask_cap] = dest;
	s->dests[dest].asked = 1;
	s->dests[dest].ask_at = at;
	return 0;
}

void
sched_dest_place(struct sched *s, uint32_t i)
{
	struct dest *d = &s->dests[i];

	if (d->class == SCHED_UNKNOWN) {
		if (d->nready > 0)
			ask_push(s, i, 0);
		return;
	}
	dest_links(s, i, 1);
}

int
sched_dest_room(struct sched *s, uint32_t dest)
{
	uint32_t n = s->ndests == 0 ? 64 : s->ndests;
	struct dest *p;

	if (dest < s->ndests)
		return 0;
	while (n <= dest)
		n *= 2;
	p = reallocarray(s->dests, n, sizeof(*p));
	if (p == NULL)
		return -1;
	memset(p + s->ndests, 0, (n - s->ndests) * sizeof(*p));
	for (uint32_t i = s->ndests; i < n; i++)
		p[i].group = NONE;
	s->dests = p;
	s->ndests = n;
	return 0;
}

static void
dest_forget(struct sched *s, uint32_t i)
{
	struct dest *d = &s->dests[i];

	if (d->class == SCHED_UNKNOWN)
		return;
	dest_links(s, i, 0);
	if (d->group != NONE) {
		struct group *g = &s->groups[d->group];

		/* A group with a job that runs stays until that ends. */
		if (--g->ndests == 0 && g->running == 0) {
			sched_group_drop(s, d->group);
		}
	}
	d->group = NONE;
	d->class = SCHED_UNKNOWN;
}

void
sched_bind(struct sched *s, uint32_t dest, const char *name)
{
	uint32_t h = crc32c(1, name, strlen(name));

	if (sched_dest_room(s, dest) == -1 || s->dests[dest].name_hash == h)
		return;
	dest_forget(s, dest);
	s->dests[dest].name_hash = h;
}

void
sched_forget_route(struct sched *s, uint32_t dest)
{
	for (uint32_t i = 0; i < s->ndests; i++) {
		if (dest != UINT32_MAX && i != dest)
			continue;
		dest_forget(s, i);
		sched_dest_place(s, i);
	}
}

uint32_t
sched_need_route(struct sched *s, int64_t now)
{
	while (s->ask_len > 0) {
		uint32_t i = s->ask[s->ask_head];
		struct dest *d = &s->dests[i];

		if (d->ask_at > now)
			return UINT32_MAX;
		s->ask_head = (s->ask_head + 1) % s->ask_cap;
		s->ask_len--;
		if (d->class != SCHED_UNKNOWN || d->nready == 0) {
			d->asked = 0;
			continue;
		}
		return i; /* asked stays set until there is an answer */
	}
	return UINT32_MAX;
}

int
sched_set_route(struct sched *s, uint32_t dest, enum sched_class class, const char *key)
{
	uint32_t i;

	if (dest >= s->ndests)
		return -1;
	s->dests[dest].asked = 0;
	/* Before the old one is let go: it may be the same. */
	i = group_get(s, class, key);
	if (i == NONE)
		return -1;
	s->groups[i].ndests++;
	dest_forget(s, dest);
	s->dests[dest].group = i;
	s->dests[dest].class = (uint8_t) class;
	sched_dest_place(s, dest);
	return 0;
}

void
sched_set_group(struct sched *s, uint32_t dest, uint32_t running, uint32_t rate)
{
	struct group *g;

	if (dest >= s->ndests || s->dests[dest].group == NONE)
		return;
	g = &s->groups[s->dests[dest].group];
	g->running_max = running;
	g->rate = rate;
	sched_group_place(s, s->dests[dest].group);
}

void
sched_set_by_sender(struct sched *s, uint32_t dest, int by_sender)
{
	if (dest < s->ndests)
		s->dests[dest].by_sender = by_sender != 0;
}

int
sched_by_sender(const struct sched *s, uint32_t dest)
{
	return dest < s->ndests && s->dests[dest].by_sender;
}

void
sched_no_route(struct sched *s, uint32_t dest, int64_t at)
{
	if (dest >= s->ndests)
		return;
	s->dests[dest].asked = 0;
	if (s->dests[dest].nready > 0)
		ask_push(s, dest, at);
}

const char *
sched_group_key(const struct sched *s, uint32_t dest)
{
	if (dest >= s->ndests || s->dests[dest].group == NONE)
		return "";
	return s->groups[s->dests[dest].group].key;
}

enum sched_class
sched_class(const struct sched *s, uint32_t dest)
{
	return dest < s->ndests ? (enum sched_class)s->dests[dest].class : SCHED_UNKNOWN;
}
