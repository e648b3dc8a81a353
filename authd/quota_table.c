/* SPDX-License-Identifier: ISC */
/* What mailboxes hold, by name; see quota.h. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "authd/quota.h"
#include "authd/table.h"

#define BUCKETS 16384

struct entry {
	struct table_entry head;
	struct quota_use use;
	uint8_t changed;
	uint8_t removed; /* only for the file still */
};

struct quota_table {
	struct table
	    *table; /* the changed ones last, so that saving finds them at once */
	size_t removed;
};

struct quota_table *
quota_table_new(void)
{
	struct quota_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	if ((t->table = table_new(BUCKETS, sizeof(struct entry))) == NULL) {
		free(t);
		return NULL;
	}
	return t;
}

void
quota_table_free(struct quota_table *t)
{
	if (t == NULL)
		return;
	table_free(t->table);
	free(t);
}

struct quota_use *
quota_table_get(struct quota_table *t, const char *name)
{
	struct entry *e = table_find(t->table, name);

	if (e == NULL)
		e = table_add(t->table, name);
	else if (e->removed) {
		e->removed = 0;
		t->removed--;
		memset(&e->use, 0, sizeof(e->use));
	}
	return e == NULL ? NULL : &e->use;
}

const struct quota_use *
quota_table_find(const struct quota_table *t, const char *name)
{
	const struct entry *e = table_find(t->table, name);

	return e == NULL || e->removed ? NULL : &e->use;
}

void
quota_table_changed(struct quota_table *t, struct quota_use *u)
{
	struct entry *e = (void *)((char *)u - offsetof(struct entry, use));

	e->changed = 1;
	table_touch(t->table, e);
}

void
quota_table_remove(struct quota_table *t, const char *name)
{
	struct entry *e = table_find(t->table, name);

	if (e == NULL || e->removed)
		return;
	e->removed = 1;
	t->removed++;
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
	return table_count(t->table) - t->removed;
}

const char *
quota_table_next(const struct quota_table *t, const void **iter, int changed_only,
    const struct quota_use **use)
{
	const struct entry *e =
	    *iter == NULL ? table_last(t->table) : table_before(*iter);

	*iter = e;
	if (e == NULL || (changed_only && !e->changed))
		return NULL;
	*use = e->removed ? NULL : &e->use;
	return e->head.name;
}

void
quota_table_saved(struct quota_table *t)
{
	struct entry *e, *before;

	for (e = table_last(t->table); e != NULL && e->changed; e = before) {
		before = table_before(e);
		e->changed = 0;
		if (e->removed) {
			t->removed--;
			table_drop(t->table, e);
		}
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
