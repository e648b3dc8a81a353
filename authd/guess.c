/* SPDX-License-Identifier: ISC */
/* Counts of failed logins; see guess.h. */
#include "authd/guess.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"

#define BUCKETS 4096
#define TOKENS 4
#define FAILURES_MAX 1000

struct entry {
	LIST_ENTRY(entry) bucket;
	TAILQ_ENTRY(entry) age;
	char *name;
	uint32_t failures;
	uint64_t counted_ms; /* up to when failures have been forgiven */
	uint32_t tokens[TOKENS];
	unsigned int next;
};

struct guess {
	LIST_HEAD(guess_bucket, entry) buckets[BUCKETS];
	TAILQ_HEAD(, entry) age; /* longest quiet first */
	size_t n;
	uint32_t seed;
};

struct guess *
guess_new(void)
{
	struct guess *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	TAILQ_INIT(&g->age);
	g->seed = arc4random();
	return g;
}

static void
drop(struct guess *g, struct entry *e)
{
	LIST_REMOVE(e, bucket);
	TAILQ_REMOVE(&g->age, e, age);
	free(e->name);
	free(e);
	g->n--;
}

void
guess_free(struct guess *g)
{
	if (g == NULL)
		return;
	while (!TAILQ_EMPTY(&g->age))
		drop(g, TAILQ_FIRST(&g->age));
	free(g);
}

static struct guess_bucket *
bucket(struct guess *g, const char *name)
{
	uint32_t h = g->seed;

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return &g->buckets[(h ^ h >> 16) % BUCKETS];
}

static struct entry *
find(struct guess *g, const char *name)
{
	struct entry *e;

	LIST_FOREACH (e, bucket(g, name), bucket)
		if (strcmp(e->name, name) == 0)
			return e;
	return NULL;
}

static struct entry *
add(struct guess *g, const char *name, uint64_t now)
{
	struct entry *e;

	if (g->n >= GUESS_NAMES_MAX)
		drop(g, TAILQ_FIRST(&g->age));
	if ((e = calloc(1, sizeof(*e))) == NULL || (e->name = strdup(name)) == NULL) {
		free(e);
		return NULL;
	}
	e->counted_ms = now;
	LIST_INSERT_HEAD(bucket(g, name), e, bucket);
	TAILQ_INSERT_TAIL(&g->age, e, age);
	g->n++;
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
	struct entry *e = find(g, name);

	if (e == NULL && (e = add(g, name, now)) == NULL)
		return 0;
	forgive(e, now);
	TAILQ_REMOVE(&g->age, e, age);
	TAILQ_INSERT_TAIL(&g->age, e, age);
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
	struct entry *e = find(g, name);

	if (e != NULL)
		drop(g, e);
}

size_t
guess_count(const struct guess *g)
{
	return g->n;
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
