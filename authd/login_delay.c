/* SPDX-License-Identifier: ISC */
/* The last logins by POP3; see login_delay.h. */
#include "authd/login_delay.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"

#define BUCKETS 4096

struct entry {
	LIST_ENTRY(entry) bucket;
	TAILQ_ENTRY(entry) age;
	uint64_t at_ms;
	char address[];
};

struct login_delay {
	LIST_HEAD(login_delay_bucket, entry) buckets[BUCKETS];
	TAILQ_HEAD(, entry) age; /* longest ago first */
	size_t n;
	uint32_t seed;
};

struct login_delay *
login_delay_new(void)
{
	struct login_delay *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	TAILQ_INIT(&d->age);
	d->seed = arc4random();
	return d;
}

static void
drop(struct login_delay *d, struct entry *e)
{
	LIST_REMOVE(e, bucket);
	TAILQ_REMOVE(&d->age, e, age);
	free(e);
	d->n--;
}

void
login_delay_free(struct login_delay *d)
{
	if (d == NULL)
		return;
	while (!TAILQ_EMPTY(&d->age))
		drop(d, TAILQ_FIRST(&d->age));
	free(d);
}

static size_t
bucket_of(const struct login_delay *d, const char *address)
{
	uint32_t h = d->seed;

	for (; *address != '\0'; address++)
		h = (h ^ (unsigned char)*address) * 16777619u;
	return (h ^ h >> 16) % BUCKETS;
}

static struct entry *
find(const struct login_delay *d, const char *address)
{
	struct entry *e;

	LIST_FOREACH (e, &d->buckets[bucket_of(d, address)], bucket)
		if (strcmp(e->address, address) == 0)
			return e;
	return NULL;
}

int
login_delay_over(
    const struct login_delay *d, const char *address, uint64_t now_ms, uint64_t delay_ms)
{
	const struct entry *e = d == NULL ? NULL : find(d, address);

	return e == NULL || now_ms - e->at_ms >= delay_ms;
}

void
login_delay_mark(
    struct login_delay *d, const char *address, uint64_t now_ms, uint64_t delay_ms)
{
	struct entry *e = find(d, address);
	size_t len = strlen(address) + 1;

	if (e != NULL)
		drop(d, e);
	while ((e = TAILQ_FIRST(&d->age)) != NULL &&
	       (now_ms - e->at_ms >= delay_ms || d->n >= LOGIN_DELAY_ENTRIES_MAX))
		drop(d, e);
	if ((e = malloc(sizeof(*e) + len)) == NULL)
		return; /* it may come back at once */
	memcpy(e->address, address, len);
	e->at_ms = now_ms;
	LIST_INSERT_HEAD(&d->buckets[bucket_of(d, address)], e, bucket);
	TAILQ_INSERT_TAIL(&d->age, e, age);
	d->n++;
}

size_t
login_delay_count(const struct login_delay *d)
{
	return d->n;
}
