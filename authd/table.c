/* SPDX-License-Identifier: ISC */
/* Entries by name, in order; see table.h. */
#include "authd/table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"

LIST_HEAD(table_bucket, table_entry);
TAILQ_HEAD(table_order, table_entry);

struct table {
	struct table_order order;
	size_t n;
	size_t entry_size;
	uint32_t seed;
	size_t n_buckets;
	struct table_bucket buckets[];
};

struct table *
table_new(size_t buckets, size_t entry_size)
{
	struct table *t = calloc(1, sizeof(*t) + buckets * sizeof(t->buckets[0]));

	if (t == NULL)
		return NULL;
	TAILQ_INIT(&t->order);
	t->entry_size = entry_size;
	t->seed = arc4random();
	t->n_buckets = buckets;
	return t;
}

void
table_free(struct table *t)
{
	if (t == NULL)
		return;
	while (!TAILQ_EMPTY(&t->order))
		table_drop(t, TAILQ_FIRST(&t->order));
	free(t);
}

static size_t
bucket_of(const struct table *t, const char *name)
{
	uint32_t h = t->seed;

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return (h ^ h >> 16) % t->n_buckets;
}

void *
table_find(const struct table *t, const char *name)
{
	struct table_entry *e;

	LIST_FOREACH (e, &t->buckets[bucket_of(t, name)], bucket)
		if (strcmp(e->name, name) == 0)
			return e;
	return NULL;
}

void *
table_add(struct table *t, const char *name)
{
	size_t len = strlen(name) + 1;
	struct table_entry *e = calloc(1, t->entry_size + len);

	if (e == NULL)
		return NULL;
	e->name = (char *)e + t->entry_size;
	memcpy(e->name, name, len);
	LIST_INSERT_HEAD(&t->buckets[bucket_of(t, name)], e, bucket);
	TAILQ_INSERT_TAIL(&t->order, e, order);
	t->n++;
	return e;
}

void
table_touch(struct table *t, void *entry)
{
	struct table_entry *e = entry;

	TAILQ_REMOVE(&t->order, e, order);
	TAILQ_INSERT_TAIL(&t->order, e, order);
}

void
table_drop(struct table *t, void *entry)
{
	struct table_entry *e = entry;

	LIST_REMOVE(e, bucket);
	TAILQ_REMOVE(&t->order, e, order);
	free(e);
	t->n--;
}

size_t
table_count(const struct table *t)
{
	return t->n;
}

void *
table_first(const struct table *t)
{
	return TAILQ_FIRST(&t->order);
}

void *
table_next(const void *entry)
{
	return TAILQ_NEXT((const struct table_entry *)entry, order);
}

void *
table_last(const struct table *t)
{
	return TAILQ_LAST(&t->order, table_order);
}

void *
table_before(const void *entry)
{
	return TAILQ_PREV((const struct table_entry *)entry, table_order, order);
}
