/* SPDX-License-Identifier: ISC */
/* What mailboxes hold, by name; see quota.h. */
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "authd/quota.h"
#include "common/compat/compat.h"

#define BUCKETS 16384

struct entry {
	struct quota_use use; /* first: an entry is found by it */
	LIST_ENTRY(entry) bucket;
	TAILQ_ENTRY(entry) order;
	uint8_t changed;
	uint8_t removed; /* only for the file still */
	char name[];
};

struct quota_table {
	LIST_HEAD(, entry) buckets[BUCKETS];
	TAILQ_HEAD(entries, entry) all;
	size_t n;
	uint32_t seed;
};

struct quota_table *
quota_table_new(void)
{
	struct quota_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	TAILQ_INIT(&t->all);
	t->seed = arc4random();
	return t;
}

static void
drop(struct quota_table *t, struct entry *e)
{
	LIST_REMOVE(e, bucket);
	TAILQ_REMOVE(&t->all, e, order);
	t->n -= !e->removed;
	free(e);
}

void
quota_table_free(struct quota_table *t)
{
	if (t == NULL)
		return;
	while (!TAILQ_EMPTY(&t->all))
		drop(t, TAILQ_FIRST(&t->all));
	free(t);
}

static struct entry *
find(const struct quota_table *t, const char *name, uint32_t *bucket)
{
	uint32_t h = t->seed;
	struct entry *e;

	for (const char *p = name; *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * 16777619u;
	*bucket = (h ^ h >> 16) % BUCKETS;
	LIST_FOREACH (e, &t->buckets[*bucket], bucket)
		if (strcmp(e->name, name) == 0)
			return e;
	return NULL;
}

static struct entry *
get(struct quota_table *t, const char *name)
{
	size_t len = strlen(name) + 1;
	uint32_t h;
	struct entry *e = find(t, name, &h);

	if (e != NULL) {
		if (e->removed) {
			e->removed = 0;
			t->n++;
			memset(&e->use, 0, sizeof(e->use));
		}
		return e;
	}
	if ((e = calloc(1, sizeof(*e) + len)) == NULL)
		return NULL;
	memcpy(e->name, name, len);
	LIST_INSERT_HEAD(&t->buckets[h], e, bucket);
	TAILQ_INSERT_TAIL(&t->all, e, order);
	t->n++;
	return e;
}

struct quota_use *
quota_table_get(struct quota_table *t, const char *name)
{
	struct entry *e = get(t, name);

	return e == NULL ? NULL : &e->use;
}

const struct quota_use *
quota_table_find(const struct quota_table *t, const char *name)
{
	uint32_t h;
	const struct entry *e = find(t, name, &h);

	return e == NULL || e->removed ? NULL : &e->use;
}

void
quota_table_changed(struct quota_table *t, struct quota_use *u)
{
	struct entry *e = (struct entry *)u;

	/* The changed ones are at the end, so that saving finds them at once. */
	e->changed = 1;
	TAILQ_REMOVE(&t->all, e, order);
	TAILQ_INSERT_TAIL(&t->all, e, order);
}

void
quota_table_remove(struct quota_table *t, const char *name)
{
	uint32_t h;
	struct entry *e = find(t, name, &h);

	if (e == NULL || e->removed)
		return;
	e->removed = 1;
	t->n--;
	quota_table_changed(t, &e->use);
}

void
quota_table_rename(struct quota_table *t, const char *from, const char *to)
{
	const struct quota_use *old = quota_table_find(t, from);
	struct quota_use use, *u;

	if (old == NULL)
		return;
	use = *old;
	quota_table_remove(t, from);
	if ((u = quota_table_get(t, to)) == NULL)
		return;
	*u = use;
	quota_table_changed(t, u);
}

size_t
quota_table_count(const struct quota_table *t)
{
	return t->n;
}

const char *
quota_table_next(const struct quota_table *t, const void **iter, int changed_only,
    const struct quota_use **use)
{
	const struct entry *e =
	    *iter == NULL ? TAILQ_LAST(&t->all, entries)
			  : TAILQ_PREV((const struct entry *)*iter, entries, order);

	*iter = e;
	if (e == NULL || (changed_only && !e->changed))
		return NULL;
	*use = e->removed ? NULL : &e->use;
	return e->name;
}

void
quota_table_saved(struct quota_table *t)
{
	struct entry *e, *before;

	for (e = TAILQ_LAST(&t->all, entries); e != NULL && e->changed; e = before) {
		before = TAILQ_PREV(e, entries, order);
		e->changed = 0;
		if (e->removed)
			drop(t, e);
	}
}

/* ---- how full ---- */

static unsigned int
percent_of(uint64_t used, uint64_t limit)
{
	if (limit == 0)
		return 0;
	if (used >= limit)
		return 100;
	return (unsigned int)(used > UINT64_MAX / 100 ? used / (limit / 100)
						      : used * 100 / limit);
}

unsigned int
quota_percent(const struct quota_use *u, const struct quota_limits *l)
{
	unsigned int a = percent_of(u->octets, l->octets),
		     b = percent_of(u->messages, l->messages);

	return a > b ? a : b;
}

uint8_t
quota_level(unsigned int percent, uint8_t warned)
{
	uint8_t now = percent >= QUOTA_SECOND ? 2 : percent >= QUOTA_FIRST ? 1 : 0;

	if (now >= warned)
		return now;
	if (warned >= 2 && percent >= QUOTA_SECOND - QUOTA_SLACK)
		return 2;
	return percent >= QUOTA_FIRST - QUOTA_SLACK ? 1 : 0;
}

enum quota_answer
quota_answer(const struct quota_use *u, const struct quota_limits *l, uint64_t size)
{
	if (l->octets != 0 && size > l->octets)
		return QUOTA_NEVER;
	if (u == NULL)
		return QUOTA_ROOM;
	/* Of an unknown size: one octet at least. */
	if (size == 0)
		size = 1;
	if (l->octets != 0 && (u->octets >= l->octets || size > l->octets - u->octets))
		return QUOTA_FULL;
	return l->messages != 0 && u->messages >= l->messages ? QUOTA_FULL : QUOTA_ROOM;
}
