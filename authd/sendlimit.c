/* SPDX-License-Identifier: ISC */
/* Limits of what an account sends; see sendlimit.h. */
#include "authd/sendlimit.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"

#define BUCKETS 4096

struct account {
	LIST_ENTRY(account) bucket;
	TAILQ_ENTRY(account) age;
	char *name;
	int64_t since[SEND_LIMITS];
	uint32_t n[SEND_LIMITS];
	uint8_t told[SEND_LIMITS];
};

struct sendlimit {
	LIST_HEAD(account_list, account) buckets[BUCKETS];
	TAILQ_HEAD(, account) age; /* longest quiet first */
	size_t n;
	uint32_t seed;
};

/* Far above what a person sends, and below what a thief wants to. */
static const struct {
	const char *word;
	int64_t window_s;
	int messages;
	uint32_t value;
} rows[SEND_LIMITS] = {
	[SEND_MESSAGES_HOUR] = { "messages-hour", 3600, 1, 1000 },
	[SEND_MESSAGES_DAY] = { "messages-day", 86400, 1, 5000 },
	[SEND_RECIPIENTS_HOUR] = { "recipients-hour", 3600, 0, 5000 },
	[SEND_RECIPIENTS_DAY] = { "recipients-day", 86400, 0, 20000 },
};

const char *
sendlimit_word(enum send_limit l)
{
	return rows[l].word;
}

uint32_t
sendlimit_default(enum send_limit l)
{
	return rows[l].value;
}

struct sendlimit *
sendlimit_new(void)
{
	struct sendlimit *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	TAILQ_INIT(&s->age);
	s->seed = arc4random();
	return s;
}

static void
drop(struct sendlimit *s, struct account *a)
{
	LIST_REMOVE(a, bucket);
	TAILQ_REMOVE(&s->age, a, age);
	free(a->name);
	free(a);
	s->n--;
}

void
sendlimit_free(struct sendlimit *s)
{
	if (s == NULL)
		return;
	while (!TAILQ_EMPTY(&s->age))
		drop(s, TAILQ_FIRST(&s->age));
	free(s);
}

static struct account *
get(struct sendlimit *s, const char *name)
{
	struct account *a;
	uint32_t h = s->seed;

	for (const char *p = name; *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * 16777619u;
	h = (h ^ h >> 16) % BUCKETS;
	LIST_FOREACH (a, &s->buckets[h], bucket)
		if (strcmp(a->name, name) == 0)
			break;
	if (a != NULL) {
		TAILQ_REMOVE(&s->age, a, age);
		TAILQ_INSERT_TAIL(&s->age, a, age);
		return a;
	}
	if (s->n >= SENDLIMIT_ACCOUNTS_MAX)
		drop(s, TAILQ_FIRST(&s->age));
	if ((a = calloc(1, sizeof(*a))) == NULL || (a->name = strdup(name)) == NULL) {
		free(a);
		return NULL;
	}
	LIST_INSERT_HEAD(&s->buckets[h], a, bucket);
	TAILQ_INSERT_TAIL(&s->age, a, age);
	s->n++;
	return a;
}

enum send_limit
sendlimit_take(struct sendlimit *s, const char *name, int new_message,
    const uint32_t limits[SEND_LIMITS], int64_t now, int *first)
{
	struct account *a = get(s, name);

	*first = 0;
	if (a == NULL)
		return SEND_LIMITS; /* no memory is no reason to refuse mail */
	for (int i = 0; i < SEND_LIMITS; i++) {
		/* Also when the clock was put back. */
		if (now - a->since[i] >= rows[i].window_s || now < a->since[i]) {
			a->since[i] = now;
			a->n[i] = 0;
			a->told[i] = 0;
		}
		if ((!rows[i].messages || new_message) && limits[i] != SEND_UNLIMITED &&
		    a->n[i] >= limits[i]) {
			*first = !a->told[i];
			a->told[i] = 1;
			return (enum send_limit)i;
		}
	}
	for (int i = 0; i < SEND_LIMITS; i++)
		if ((!rows[i].messages || new_message) && a->n[i] < UINT32_MAX)
			a->n[i]++;
	return SEND_LIMITS;
}
