/* SPDX-License-Identifier: ISC */
/* The last logins by POP3; see login_delay.h. */
#include "authd/login_delay.h"

#include <stdlib.h>

#include "authd/table.h"

#define BUCKETS 4096

struct entry {
	struct table_entry head;
	uint64_t at_ms;
};

struct login_delay {
	struct table *table; /* longest ago first */
};

struct login_delay *
login_delay_new(void)
{
	struct login_delay *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	if ((d->table = table_new(BUCKETS, sizeof(struct entry))) == NULL) {
		free(d);
		return NULL;
	}
	return d;
}

void
login_delay_free(struct login_delay *d)
{
	if (d == NULL)
		return;
	table_free(d->table);
	free(d);
}

int
login_delay_over(
    const struct login_delay *d, const char *address, uint64_t now_ms, uint64_t delay_ms)
{
	const struct entry *e = d == NULL ? NULL : table_find(d->table, address);

	return e == NULL || now_ms - e->at_ms >= delay_ms;
}

void
login_delay_mark(
    struct login_delay *d, const char *address, uint64_t now_ms, uint64_t delay_ms)
{
	struct entry *e = table_find(d->table, address);

	if (e != NULL)
		table_drop(d->table, e);
	while ((e = table_first(d->table)) != NULL &&
	       (now_ms - e->at_ms >= delay_ms ||
		   table_count(d->table) >= LOGIN_DELAY_ENTRIES_MAX))
		table_drop(d->table, e);
	if ((e = table_add(d->table, address)) != NULL) /* else it may come at once */
		e->at_ms = now_ms;
}

size_t
login_delay_count(const struct login_delay *d)
{
	return table_count(d->table);
}
