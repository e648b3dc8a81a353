/* SPDX-License-Identifier: ISC */
/* Counts of failed logins; see guess.h. */
#include "authd/guess.h"

#include <stdlib.h>
#include <string.h>

#include "authd/table.h"

#define BUCKETS 4096
#define TOKENS 4
#define FAILURES_MAX 1000

struct entry {
	struct table_entry head;
	uint32_t failures;
	uint64_t counted_ms; /* up to when failures have been forgiven */
	uint32_t tokens[TOKENS];
	unsigned int next;
};

struct guess {
	struct table *table; /* longest quiet first */
};

struct guess *
guess_new(void)
{
	struct guess *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	if ((g->table = table_new(BUCKETS, sizeof(struct entry))) == NULL) {
		free(g);
		return NULL;
	}
	return g;
}

void
guess_free(struct guess *g)
{
	if (g == NULL)
		return;
	table_free(g->table);
	free(g);
}

static struct entry *
add(struct guess *g, const char *name, uint64_t now)
{
	struct entry *e;

	if (table_count(g->table) >= GUESS_NAMES_MAX)
		table_drop(g->table, table_first(g->table));
	if ((e = table_add(g->table, name)) != NULL)
		e->counted_ms = now;
	return e;
}

static void
forgive(struct entry *e, uint64_t now)
{
	uint64_t n = (now - e->counted_ms) / GUESS_FORGIVE_MS;

	if (n >= e->failures) {
		e->failures = 0;
		e->counted_ms = now;
		memset(e->tokens, 0, sizeof(e->tokens));
		return;
	}
	e->failures -= (uint32_t)n;
	e->counted_ms += n * GUESS_FORGIVE_MS;
}

uint32_t
guess_failed(struct guess *g, const char *name, uint32_t token, uint64_t now)
{
	struct entry *e = table_find(g->table, name);

	if (e == NULL && (e = add(g, name, now)) == NULL)
		return 0;
	forgive(e, now);
	table_touch(g->table, e);
	for (int i = 0; token != 0 && i < TOKENS; i++)
		if (e->tokens[i] == token)
			return e->failures;
	e->tokens[e->next++ % TOKENS] = token;
	if (e->failures < FAILURES_MAX)
		e->failures++;
	return e->failures;
}

void
guess_forget(struct guess *g, const char *name)
{
	struct entry *e = table_find(g->table, name);

	if (e != NULL)
		table_drop(g->table, e);
}

size_t
guess_count(const struct guess *g)
{
	return table_count(g->table);
}

uint32_t
guess_delay_ms(uint32_t failures, uint32_t free)
{
	uint32_t ms = 500;

	if (failures <= free)
		return 0;
	for (uint32_t i = free + 1; i < failures && ms < GUESS_DELAY_MAX_MS; i++)
		ms *= 2;
	return ms < GUESS_DELAY_MAX_MS ? ms : GUESS_DELAY_MAX_MS;
}
