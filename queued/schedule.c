/*
 * The schedule of the queue, see schedule.h. Items are numbers into one
 * array, so that a million of them stay small.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "queued/crc32c.h"
#include "queued/schedule.h"

#define NBUCKETS 32
#define NONE UINT32_MAX
#define BACKOFF_AFTER 2 /* failures in a row */
#define BACKOFF_FIRST_S 60
#define BACKOFF_MAX_S 3600
#define HASH_SIZE 4096

struct item {
	uint64_t id;
	uint32_t dest;
	uint32_t due;
	uint32_t prev; /* ready list; waiting: place in the heap */
	uint32_t next; /* ready list; free list; running: its group */
	uint32_t of_msg;
	uint8_t state;
	uint8_t bucket;
	uint8_t joined; /* runs in another's place */
};

struct buckets {
	uint32_t mask; /* those that are not empty */
	uint32_t turn;
	uint32_t head[NBUCKETS];
	uint32_t tail[NBUCKETS];
};

struct dest {
	uint32_t name_hash;
	uint8_t class;
	uint8_t asked;	/* in the list of routes to find, or being found */
	uint8_t linked; /* in the ring of its group */
	uint32_t group;
	uint32_t nready;
	uint32_t prev, next;
	int64_t ask_at;
	struct buckets *b;
};

struct group {
	char *key; /* NULL: free */
	uint8_t class;
	uint8_t linked; /* in the ring of its class */
	uint8_t failures;
	uint32_t running;
	uint32_t ndests;
	uint32_t first; /* ring of destinations with ready items */
	uint32_t prev, next;
	uint32_t hash_next;    /* free ones: of the free list */
	int64_t blocked_until; /* 0: not */
};

struct class {
	uint32_t first; /* ring of groups that may run something */
	uint32_t running;
};

struct sched {
	uint32_t jobs_max, jobs_per_group;
	struct item *items;
	uint32_t nitems, items_cap, free;
	uint32_t *heap;
	uint32_t nheap, heap_cap;
	struct dest *dests;
	uint32_t ndests;
	struct group *groups;
	uint32_t ngroups, groups_cap;
	uint32_t group_hash[HASH_SIZE];
	uint32_t group_free;
	uint32_t nblocked;
	int64_t unblock_at; /* not before that */
	struct class class[SCHED_CLASSES];
	uint32_t *ask; /* ring of destinations, in order of ask_at */
	uint32_t ask_head, ask_len, ask_cap;
	uint64_t nready, nrunning;
};

struct sched *
sched_new(uint32_t jobs_max, uint32_t jobs_per_group)
{
	struct sched *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	sched_set_limits(s, jobs_max, jobs_per_group);
	s->nitems = 1; /* 0 is no item */
	for (int c = 0; c < SCHED_CLASSES; c++)
		s->class[c].first = NONE;
	for (int i = 0; i < HASH_SIZE; i++)
		s->group_hash[i] = NONE;
	s->group_free = NONE;
	s->unblock_at = INT64_MAX;
	return s;
}

void
sched_free(struct sched *s)
{
	if (s == NULL)
		return;
	for (uint32_t i = 0; i < s->ndests; i++)
		free(s->dests[i].b);
	for (uint32_t i = 0; i < s->ngroups; i++)
		free(s->groups[i].key);
	free(s->items);
	free(s->heap);
	free(s->dests);
	free(s->groups);
	free(s->ask);
	free(s);
}

/* Rings of groups in a class. */

static uint32_t
group_limit(const struct sched *s, const struct group *g)
{
	if (g->class == SCHED_LOCAL)
		return s->jobs_max;
	return g->failures >= BACKOFF_AFTER ? 1 : s->jobs_per_group;
}

static void
group_unlink(struct sched *s, uint32_t i)
{
	struct group *g = &s->groups[i];
	struct class *c = &s->class[g->class];

	if (!g->linked)
		return;
	if (g->next == i)
		c->first = NONE;
	else {
		s->groups[g->prev].next = g->next;
		s->groups[g->next].prev = g->prev;
		if (c->first == i)
			c->first = g->next;
	}
	g->linked = 0;
}

/* In the ring or out of it, as it must be. */
static void
group_place(struct sched *s, uint32_t i)
{
	struct group *g = &s->groups[i];
	struct class *c = &s->class[g->class];
	int want = g->first != NONE && g->blocked_until == 0 && g->running < group_limit(s, g);

	if (!want) {
		group_unlink(s, i);
		return;
	}
	if (g->linked)
		return;
	g->linked = 1;
	if (c->first == NONE) {
		c->first = g->prev = g->next = i;
		return;
	}
	g->next = c->first;
	g->prev = s->groups[c->first].prev;
	s->groups[g->prev].next = i;
	s->groups[g->next].prev = i;
}

static uint32_t *
group_chain(struct sched *s, const char *key)
{
	return &s->group_hash[crc32c(2, key, strlen(key)) % HASH_SIZE];
}

static void
group_drop(struct sched *s, uint32_t i)
{
	struct group *g = &s->groups[i];
	uint32_t *p = group_chain(s, g->key);

	group_unlink(s, i);
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
	g->first = NONE;
	g->class = (uint8_t)class;
	g->key = copy;
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
			group_place(s, i);
	}
}

/* Rings of destinations in a group. */

static void
dest_unlink(struct sched *s, uint32_t i)
{
	struct dest *d = &s->dests[i];
	struct group *g = &s->groups[d->group];

	if (!d->linked)
		return;
	if (d->next == i)
		g->first = NONE;
	else {
		s->dests[d->prev].next = d->next;
		s->dests[d->next].prev = d->prev;
		if (g->first == i)
			g->first = d->next;
	}
	d->linked = 0;
	group_place(s, d->group);
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

static void
dest_place(struct sched *s, uint32_t i)
{
	struct dest *d = &s->dests[i];
	struct group *g;

	if (d->class == SCHED_UNKNOWN) {
		if (d->nready > 0)
			ask_push(s, i, 0);
		return;
	}
	if (d->nready == 0) {
		dest_unlink(s, i);
		return;
	}
	if (d->linked)
		return;
	g = &s->groups[d->group];
	d->linked = 1;
	if (g->first == NONE)
		g->first = d->prev = d->next = i;
	else {
		d->next = g->first;
		d->prev = s->dests[g->first].prev;
		s->dests[d->prev].next = i;
		s->dests[d->next].prev = i;
	}
	group_place(s, d->group);
}

static int
dest_room(struct sched *s, uint32_t dest)
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
	dest_unlink(s, i);
	if (d->group != NONE) {
		struct group *g = &s->groups[d->group];

		/* A group with a job that runs stays until that ends. */
		if (--g->ndests == 0 && g->running == 0) {
			group_drop(s, d->group);
		}
	}
	d->group = NONE;
	d->class = SCHED_UNKNOWN;
}

void
sched_bind(struct sched *s, uint32_t dest, const char *name)
{
	uint32_t h = crc32c(1, name, strlen(name));

	if (dest_room(s, dest) == -1 || s->dests[dest].name_hash == h)
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
		dest_place(s, i);
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
	s->dests[dest].class = (uint8_t)class;
	dest_place(s, dest);
	return 0;
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

/* The heap of what waits. */

static void
heap_set(struct sched *s, uint32_t pos, uint32_t item)
{
	s->heap[pos] = item;
	s->items[item].prev = pos;
}

static void
heap_up(struct sched *s, uint32_t pos)
{
	uint32_t item = s->heap[pos];

	while (pos > 0) {
		uint32_t up = (pos - 1) / 2;

		if (s->items[s->heap[up]].due <= s->items[item].due)
			break;
		heap_set(s, pos, s->heap[up]);
		pos = up;
	}
	heap_set(s, pos, item);
}

static void
heap_down(struct sched *s, uint32_t pos)
{
	uint32_t item = s->heap[pos];

	for (;;) {
		uint32_t kid = 2 * pos + 1;

		if (kid >= s->nheap)
			break;
		if (kid + 1 < s->nheap &&
		    s->items[s->heap[kid + 1]].due < s->items[s->heap[kid]].due)
			kid++;
		if (s->items[s->heap[kid]].due >= s->items[item].due)
			break;
		heap_set(s, pos, s->heap[kid]);
		pos = kid;
	}
	heap_set(s, pos, item);
}

static void
heap_remove(struct sched *s, uint32_t pos)
{
	uint32_t last = s->heap[--s->nheap];

	if (pos == s->nheap)
		return;
	heap_set(s, pos, last);
	heap_up(s, pos);
	heap_down(s, s->items[last].prev);
}

/* Ready lists. */

static int
make_ready(struct sched *s, uint32_t item)
{
	struct item *it = &s->items[item];
	struct dest *d = &s->dests[it->dest];
	struct buckets *b = d->b;

	if (b == NULL) {
		b = d->b = calloc(1, sizeof(*b));
		if (b == NULL)
			return -1;
	}
	it->state = ITEM_READY;
	it->next = 0;
	it->prev = 0;
	if (b->mask & (1U << it->bucket)) {
		it->prev = b->tail[it->bucket];
		s->items[it->prev].next = item;
	} else {
		b->head[it->bucket] = item;
		b->mask |= 1U << it->bucket;
	}
	b->tail[it->bucket] = item;
	d->nready++;
	s->nready++;
	dest_place(s, it->dest);
	return 0;
}

static void
ready_unlink(struct sched *s, uint32_t item)
{
	struct item *it = &s->items[item];
	struct dest *d = &s->dests[it->dest];
	struct buckets *b = d->b;

	if (it->prev != 0)
		s->items[it->prev].next = it->next;
	else
		b->head[it->bucket] = it->next;
	if (it->next != 0)
		s->items[it->next].prev = it->prev;
	else
		b->tail[it->bucket] = it->prev;
	if (b->head[it->bucket] == 0)
		b->mask &= ~(1U << it->bucket);
	d->nready--;
	s->nready--;
	if (d->nready == 0) {
		free(d->b);
		d->b = NULL;
	}
	dest_place(s, it->dest);
}

static void
make_waiting(struct sched *s, uint32_t item)
{
	s->items[item].state = ITEM_WAITING;
	heap_set(s, s->nheap, item);
	heap_up(s, s->nheap++);
}

static void
place(struct sched *s, uint32_t item, int64_t due, int64_t now)
{
	s->items[item].due = due < 0 ? 0 : due > UINT32_MAX ? UINT32_MAX : (uint32_t)due;
	if (due <= now && make_ready(s, item) == 0)
		return;
	make_waiting(s, item);
}

uint32_t
sched_add(struct sched *s, uint64_t id, uint32_t dest, uint32_t sender, int64_t due, int64_t now,
    uint32_t *list)
{
	uint32_t i = s->free;

	if (dest_room(s, dest) == -1)
		return 0;
	if (i == 0 && s->nitems >= s->items_cap) {
		uint32_t cap = s->items_cap == 0 ? 256 : s->items_cap * 2;
		struct item *n = reallocarray(s->items, cap, sizeof(*n));
		uint32_t *h;

		if (n == NULL)
			return 0;
		s->items = n;
		h = reallocarray(s->heap, cap, sizeof(*h));
		if (h == NULL)
			return 0;
		s->heap = h;
		s->items_cap = cap;
	}
	if (i != 0)
		s->free = s->items[i].next;
	else
		i = s->nitems++;
	memset(&s->items[i], 0, sizeof(s->items[i]));
	s->items[i].id = id;
	s->items[i].dest = dest;
	s->items[i].bucket = (uint8_t)((sender ^ sender >> 7 ^ sender >> 16) % NBUCKETS);
	s->items[i].of_msg = *list;
	*list = i;
	place(s, i, due, now);
	return i;
}

void
sched_remove(struct sched *s, uint32_t item, uint32_t *list)
{
	struct item *it = &s->items[item];

	if (it->state == ITEM_WAITING)
		heap_remove(s, it->prev);
	else if (it->state == ITEM_READY)
		ready_unlink(s, item);
	for (; *list != 0; list = &s->items[*list].of_msg) {
		if (*list == item) {
			*list = it->of_msg;
			break;
		}
	}
	it->state = ITEM_FREE;
	it->next = s->free;
	s->free = item;
}

uint64_t
sched_id(const struct sched *s, uint32_t item)
{
	return s->items[item].id;
}

uint32_t
sched_dest(const struct sched *s, uint32_t item)
{
	return s->items[item].dest;
}

enum sched_state
sched_state(const struct sched *s, uint32_t item)
{
	return (enum sched_state)s->items[item].state;
}

int64_t
sched_due(const struct sched *s, uint32_t item)
{
	return s->items[item].due;
}

uint32_t
sched_next_of(const struct sched *s, uint32_t item)
{
	return s->items[item].of_msg;
}

static void
group_unblock(struct sched *s, uint32_t i)
{
	if (s->groups[i].blocked_until == 0)
		return;
	s->groups[i].blocked_until = 0;
	s->nblocked--;
	group_place(s, i);
}

void
sched_wake(struct sched *s, int64_t now)
{
	while (s->nheap > 0 && s->items[s->heap[0]].due <= now) {
		uint32_t item = s->heap[0];

		heap_remove(s, 0);
		if (make_ready(s, item) == -1) {
			s->items[item].due = (uint32_t)now + 60;
			make_waiting(s, item);
			break;
		}
	}
	if (s->unblock_at > now)
		return;
	s->unblock_at = INT64_MAX;
	for (uint32_t i = 0; s->nblocked > 0 && i < s->ngroups; i++) {
		struct group *g = &s->groups[i];

		if (g->key == NULL || g->blocked_until == 0)
			continue;
		if (g->blocked_until <= now)
			group_unblock(s, i);
		else if (g->blocked_until < s->unblock_at)
			s->unblock_at = g->blocked_until;
	}
}

int64_t
sched_next_due(const struct sched *s)
{
	int64_t due = s->nheap > 0 ? s->items[s->heap[0]].due : INT64_MAX;

	if (s->nblocked > 0 && s->unblock_at < due)
		due = s->unblock_at;
	if (s->ask_len > 0 && s->dests[s->ask[s->ask_head]].ask_at < due)
		due = s->dests[s->ask[s->ask_head]].ask_at;
	return due;
}

uint32_t
sched_pop(struct sched *s, enum sched_class class)
{
	struct class *c = &s->class[class];
	struct group *g;
	struct dest *d;
	struct buckets *b;
	uint32_t gi, di, item, turn;

	if (c->first == NONE || c->running >= s->jobs_max)
		return 0;
	gi = c->first;
	g = &s->groups[gi];
	di = g->first;
	d = &s->dests[di];
	b = d->b;
	for (turn = b->turn; !(b->mask & (1U << turn)); turn = (turn + 1) % NBUCKETS)
		;
	b->turn = (turn + 1) % NBUCKETS;
	item = b->head[turn];
	/* The turn goes on before the ends change. */
	g->first = d->next;
	c->first = g->next;
	g->running++;
	c->running++;
	s->nrunning++;
	ready_unlink(s, item);
	s->items[item].state = ITEM_RUNNING;
	s->items[item].next = gi;
	group_place(s, gi);
	return item;
}

int
sched_join(struct sched *s, uint32_t item, uint32_t with)
{
	struct item *it = &s->items[item];

	if (it->state != ITEM_READY || s->dests[it->dest].group == NONE ||
	    s->dests[it->dest].group != s->dests[s->items[with].dest].group)
		return -1;
	ready_unlink(s, item);
	it->state = ITEM_RUNNING;
	it->joined = 1;
	return 0;
}

void
sched_job_end(struct sched *s, uint32_t item, int host_failed, int reached, int64_t now)
{
	struct item *it = &s->items[item];
	/* Its route may have changed while it ran: this group counted it. */
	uint32_t gi = it->next;
	struct group *g;

	if (it->joined) {
		it->joined = 0;
		return;
	}
	s->nrunning--;
	g = &s->groups[gi];
	g->running--;
	s->class[g->class].running--;
	if (reached)
		g->failures = 0;
	else if (host_failed && g->class == SCHED_REMOTE) {
		if (g->failures < 32)
			g->failures++;
		if (g->failures >= BACKOFF_AFTER && g->blocked_until == 0) {
			unsigned int shift = (unsigned int)g->failures - BACKOFF_AFTER;
			int64_t wait = shift > 6 ? BACKOFF_MAX_S : BACKOFF_FIRST_S << shift;

			g->blocked_until = now + (wait > BACKOFF_MAX_S ? BACKOFF_MAX_S : wait);
			s->nblocked++;
			if (g->blocked_until < s->unblock_at)
				s->unblock_at = g->blocked_until;
		}
	}
	if (g->ndests == 0 && g->running == 0) {
		group_drop(s, gi);
		return;
	}
	group_place(s, gi);
}

void
sched_requeue(struct sched *s, uint32_t item, int64_t due, int64_t now)
{
	place(s, item, due, now);
}

void
sched_hurry(struct sched *s, uint32_t item, int64_t now)
{
	struct item *it = &s->items[item];

	if (it->state == ITEM_WAITING) {
		heap_remove(s, it->prev);
		place(s, item, now, now);
	}
	if (s->dests[it->dest].group != NONE)
		group_unblock(s, s->dests[it->dest].group);
}

int64_t
sched_blocked_until(const struct sched *s, uint32_t dest)
{
	if (dest >= s->ndests || s->dests[dest].group == NONE)
		return 0;
	return s->groups[s->dests[dest].group].blocked_until;
}

void
sched_stats(const struct sched *s, struct sched_stats *out)
{
	memset(out, 0, sizeof(*out));
	out->waiting = s->nheap;
	out->ready = s->nready;
	out->running = s->nrunning;
	out->blocked = s->nblocked;
	for (uint32_t i = 0; i < s->ngroups; i++)
		out->groups += s->groups[i].key != NULL;
}
