/*
 * The schedule of the queue, see schedule.h. Items are numbers into one
 * array, so that a million of them stay small.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "queued/schedule_private.h"

struct sched *
sched_new(uint32_t jobs_max, uint32_t jobs_per_group)
{
	struct sched *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	sched_set_limits(s, jobs_max, jobs_per_group);
	s->nitems = 1; /* 0 is no item */
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
	for (uint32_t i = 0; i < s->ndests; i++) {
		struct buckets *b;

		while ((b = s->dests[i].b) != NULL) {
			s->dests[i].b = b->more;
			free(b);
		}
	}
	for (uint32_t i = 0; i < s->ngroups; i++) {
		struct rings *r;

		while ((r = s->groups[i].r) != NULL) {
			s->groups[i].r = r->more;
			free(r);
		}
		free(s->groups[i].key);
	}
	free(s->items);
	free(s->heap);
	free(s->dests);
	free(s->groups);
	free(s->ask);
	free(s);
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
	struct buckets *b = sched_buckets(d, it->band);

	if (b == NULL) {
		b = calloc(1, sizeof(*b));
		if (b == NULL)
			return -1;
		b->band = it->band;
		b->more = d->b;
		d->b = b;
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
	sched_dest_place(s, it->dest);
	return 0;
}

static void
ready_unlink(struct sched *s, uint32_t item)
{
	struct item *it = &s->items[item];
	struct dest *d = &s->dests[it->dest];
	struct buckets *b = sched_buckets(d, it->band), **p;

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
	sched_dest_place(s, it->dest);
	if (b->mask == 0) {
		for (p = &d->b; *p != b; p = &(*p)->more)
			;
		*p = b->more;
		free(b);
	}
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
sched_add(struct sched *s, uint64_t id, uint32_t dest, uint32_t sender, int64_t due,
    int64_t now, uint32_t *list)
{
	uint32_t i = s->free;

	if (sched_dest_room(s, dest) == -1)
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
	s->items[i].band = BAND_NORMAL;
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
	s->groups[i].throttled = 0;
	s->nblocked--;
	sched_group_place(s, i);
}

void
sched_wake(struct sched *s, int64_t now)
{
	s->now = now;
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

void
sched_prioritize(struct sched *s, uint32_t item, int priority)
{
	struct item *it = &s->items[item];
	uint8_t band = priority >= 7    ? 0
		       : priority >= 5  ? 1
		       : priority >= 3  ? 2
		       : priority >= 1  ? 3
		       : priority == 0  ? BAND_NORMAL
		       : priority >= -3 ? 5
					: 6;

	if (it->band == band)
		return;
	if (it->state != ITEM_READY) {
		it->band = band;
		return;
	}
	ready_unlink(s, item);
	it->band = band;
	if (make_ready(s, item) == -1)
		make_waiting(s, item); /* due already: with the next wake */
}

/* The bucket of that band whose turn it is, NBUCKETS: none may run. */
static uint32_t
band_bucket(const struct sched *s, const struct class *c, const struct band *b)
{
	/* Whose hosts hang one after the other leaves places for the rest. */
	uint32_t most = s->jobs_max - s->jobs_max / 4;

	for (uint32_t n = 0; b->mask != 0 && n < NBUCKETS; n++) {
		uint32_t k = (b->turn + n) % NBUCKETS;

		if (b->mask & (1U << k) && c->of_bucket[k] < most)
			return k;
	}
	return NBUCKETS;
}

/*
 * The most urgent band that may run something; but one turn in BAND_TURNS goes to one of
 * the others, each in its turn: nobody starves.
 */
static struct band *
band_choose(const struct sched *s, struct class *c, uint32_t *bucket)
{
	uint32_t k, top;

	for (top = 0; top < NBANDS; top++) {
		*bucket = band_bucket(s, c, &c->bands[top]);
		if (*bucket < NBUCKETS)
			break;
	}
	if (top == NBANDS)
		return NULL;
	if (++c->turns % BAND_TURNS != 0)
		return &c->bands[top];
	for (uint32_t n = 0; n < NBANDS; n++) {
		c->other = (c->other + 1) % NBANDS;
		k = band_bucket(s, c, &c->bands[c->other]);
		if (c->other == top || k == NBUCKETS)
			continue;
		*bucket = k;
		return &c->bands[c->other];
	}
	return &c->bands[top];
}

/* Its minute is full: no more of it until the next. */
static void
group_throttle(struct sched *s, struct group *g)
{
	if (g->rate == 0)
		return;
	if (s->now - g->minute >= 60 || s->now < g->minute) {
		g->minute = s->now;
		g->started = 0;
	}
	if (++g->started < g->rate || g->blocked_until != 0)
		return;
	g->blocked_until = g->minute + 60;
	g->throttled = 1;
	s->nblocked++;
	if (g->blocked_until < s->unblock_at)
		s->unblock_at = g->blocked_until;
}

uint32_t
sched_pop(struct sched *s, enum sched_class class)
{
	struct class *c = &s->class[class];
	struct band *band;
	struct group *g;
	struct dest *d;
	struct buckets *b;
	struct rings *r;
	uint32_t gi, item, turn = 0;
	uint8_t n;

	if (c->running >= s->jobs_max || (band = band_choose(s, c, &turn)) == NULL)
		return 0;
	n = (uint8_t)(band - c->bands);
	band->turn = (turn + 1) % NBUCKETS;
	gi = band->first[turn];
	g = &s->groups[gi];
	r = sched_rings(g, n);
	d = &s->dests[r->first[turn]];
	b = sched_buckets(d, n);
	item = b->head[turn];
	/* The turn goes on before the ends change. */
	band->first[turn] = r->next[turn];
	r->first[turn] = b->next[turn];
	g->running++;
	c->running++;
	c->of_bucket[turn]++;
	s->nrunning++;
	ready_unlink(s, item);
	s->items[item].state = ITEM_RUNNING;
	s->items[item].next = gi;
	s->items[item].epoch = g->concurrency.epoch % CONCURRENCY_EPOCHS;
	group_throttle(s, g);
	sched_group_place(s, gi);
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

int
sched_aside(struct sched *s, uint32_t item)
{
	struct item *it = &s->items[item];
	struct class *c;

	if (it->state != ITEM_RUNNING || it->joined || it->aside)
		return -1;
	c = &s->class[s->groups[it->next].class];
	if (c->aside >= ASIDE_MAX)
		return -1;
	it->aside = 1;
	c->aside++;
	c->running--;
	c->of_bucket[it->bucket]--;
	return 0;
}

void
sched_job_end(struct sched *s, uint32_t item, enum sched_outcome outcome, int64_t now)
{
	static const enum concurrency_end ends[] = { [SCHED_NOTHING] = CONCURRENCY_SAME,
		[SCHED_REACHED] = CONCURRENCY_GOOD,
		[SCHED_PRESSED] = CONCURRENCY_PRESSED,
		[SCHED_AWAY] = CONCURRENCY_PRESSED };
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
	concurrency_end(&g->concurrency, ends[outcome], it->epoch,
	    sched_group_has_more(g), sched_group_ceiling(s, g));
	g->running--;
	if (it->aside) {
		it->aside = 0;
		s->class[g->class].aside--;
	} else {
		s->class[g->class].running--;
		s->class[g->class].of_bucket[it->bucket]--;
	}
	if (outcome == SCHED_REACHED || outcome == SCHED_PRESSED) {
		/* It was away, not pressed: nothing is known of what it can take. */
		if (g->failures >= BACKOFF_AFTER)
			concurrency_init(&g->concurrency);
		g->failures = 0;
	} else if (outcome == SCHED_AWAY && g->class == SCHED_REMOTE) {
		if (g->failures < 32)
			g->failures++;
		if (g->failures >= BACKOFF_AFTER && g->blocked_until == 0) {
			unsigned int shift = (unsigned int)g->failures - BACKOFF_AFTER;
			int64_t wait =
			    shift > 6 ? BACKOFF_MAX_S : BACKOFF_FIRST_S << shift;

			g->blocked_until =
			    now + (wait > BACKOFF_MAX_S ? BACKOFF_MAX_S : wait);
			s->nblocked++;
			if (g->blocked_until < s->unblock_at)
				s->unblock_at = g->blocked_until;
		}
	}
	if (g->ndests == 0 && g->running == 0) {
		sched_group_drop(s, gi);
		return;
	}
	sched_group_place(s, gi);
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

void
sched_advance(struct sched *s, uint32_t item, int64_t due, int64_t now)
{
	struct item *it = &s->items[item];

	if (it->state != ITEM_WAITING || it->due <= due)
		return;
	heap_remove(s, it->prev);
	place(s, item, due, now);
}

int64_t
sched_blocked_until(const struct sched *s, uint32_t dest)
{
	if (dest >= s->ndests || s->dests[dest].group == NONE)
		return 0;
	if (s->groups[s->dests[dest].group].throttled)
		return 0; /* of its own will: nobody failed */
	return s->groups[s->dests[dest].group].blocked_until;
}

/* "smtp://host tls=required", not "mx example.org fallback=smtp://host". */
static int
is_url(const char *route)
{
	const char *scheme = strstr(route, "://");

	return scheme != NULL && (size_t)(scheme - route) < strcspn(route, " ");
}

void
sched_stats(const struct sched *s, struct sched_stats *out)
{
	memset(out, 0, sizeof(*out));
	out->waiting = s->nheap;
	out->ready = s->nready;
	out->running = s->nrunning;
	out->blocked = s->nblocked;
	for (uint32_t i = 0; i < s->ngroups; i++) {
		const struct group *g = &s->groups[i];

		if (g->key == NULL)
			continue;
		out->groups++;
		out->pressed +=
		    g->concurrency.threshold != 0 &&
		    concurrency_limit(&g->concurrency, sched_group_ceiling(s, g)) <
			sched_group_ceiling(s, g);
		out->routes_down +=
		    g->blocked_until != 0 && !g->throttled && is_url(g->key);
	}
}
