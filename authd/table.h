/* SPDX-License-Identifier: ISC */
#ifndef FIFE_AUTHD_TABLE_H
#define FIFE_AUTHD_TABLE_H

/*
 * Entries by name, in an order that their owner makes: one that is added or touched goes
 * to the end, so that the first is the one longest left alone. What an entry holds, and
 * how many there may be, is the owner's.
 */

#include <sys/queue.h>

#include <stddef.h>

/* First in each entry. */
struct table_entry {
	LIST_ENTRY(table_entry) bucket;
	TAILQ_ENTRY(table_entry) order;
	char *name; /* the table's */
};

struct table;

struct table *table_new(size_t buckets, size_t entry_size); /* NULL: no memory */
void table_free(struct table *);
void *table_find(const struct table *, const char *name); /* NULL: none */
/* Of a name that is not there: zero but for its head. NULL: no memory. */
void *table_add(struct table *, const char *name);
void table_touch(struct table *, void *entry);
void table_drop(struct table *, void *entry);
size_t table_count(const struct table *);

/* In the order; NULL: none. */
void *table_first(const struct table *);
void *table_next(const void *entry);
void *table_last(const struct table *);
void *table_before(const void *entry);

#endif
