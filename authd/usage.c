/* SPDX-License-Identifier: ISC */
/* What accounts send; see usage.h. */
#include "authd/usage.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authd/table.h"
#include "common/compat/compat.h"

#define BUCKETS 4096
#define DAY_S 86400

struct window {
	int64_t since;
	uint32_t n;
};

struct network {
	uint64_t id; /* 0: free */
	int64_t last;
};

struct account {
	struct table_entry head;
	struct window counts[USAGE_COUNTS];
	uint8_t told[USAGE_COUNTS];
	struct window sent; /* recipients, of the present window */
	struct window refused;
	int64_t day; /* of peaks[0]; those before it follow */
	uint32_t peaks[USAGE_DAYS];
	struct network networks[USAGE_NETWORKS_MAX];
	uint8_t changed;
};

struct usage {
	struct table *table; /* longest quiet first */
	int changed;
};

static const struct {
	int64_t window_s;
	int messages;
} rows[USAGE_COUNTS] = {
	[USAGE_MESSAGES_HOUR] = { 3600, 1 },
	[USAGE_MESSAGES_DAY] = { DAY_S, 1 },
	[USAGE_RECIPIENTS_HOUR] = { 3600, 0 },
	[USAGE_RECIPIENTS_DAY] = { DAY_S, 0 },
};

struct usage *
usage_new(void)
{
	struct usage *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	if ((u->table = table_new(BUCKETS, sizeof(struct account))) == NULL) {
		free(u);
		return NULL;
	}
	return u;
}

void
usage_free(struct usage *u)
{
	if (u == NULL)
		return;
	table_free(u->table);
	free(u);
}

size_t
usage_accounts(const struct usage *u)
{
	return table_count(u->table);
}

/* NULL: no memory, which is no reason to refuse mail. */
static struct account *
get(struct usage *u, const char *name)
{
	struct account *a = table_find(u->table, name);

	if (a != NULL)
		table_touch(u->table, a);
	else {
		if (table_count(u->table) >= USAGE_ACCOUNTS_MAX)
			table_drop(u->table, table_first(u->table));
		if ((a = table_add(u->table, name)) == NULL)
			return NULL;
	}
	a->changed = 1;
	u->changed = 1;
	return a;
}

/* Over, or the clock was put back, which locks nobody out. */
static int
is_over(const struct window *w, int64_t window_s, int64_t now)
{
	return now - w->since >= window_s || now < w->since;
}

enum usage_count
usage_take(struct usage *u, const char *name, int new_message,
    const uint64_t limits[USAGE_COUNTS], int64_t now, int *first)
{
	struct account *a = get(u, name);

	*first = 0;
	if (a == NULL)
		return USAGE_COUNTS;
	for (int i = 0; i < USAGE_COUNTS; i++) {
		struct window *w = &a->counts[i];

		if (is_over(w, rows[i].window_s, now)) {
			w->since = now;
			w->n = 0;
			a->told[i] = 0;
		}
		if ((!rows[i].messages || new_message) && w->n >= limits[i]) {
			*first = !a->told[i];
			a->told[i] = 1;
			return (enum usage_count)i;
		}
	}
	for (int i = 0; i < USAGE_COUNTS; i++)
		if ((!rows[i].messages || new_message) && a->counts[i].n < UINT32_MAX)
			a->counts[i].n++;
	return USAGE_COUNTS;
}

uint32_t
usage_of(struct usage *u, const char *name, enum usage_count i, int64_t now)
{
	struct account *a = table_find(u->table, name);

	return a == NULL || is_over(&a->counts[i], rows[i].window_s, now)
		   ? 0
		   : a->counts[i].n;
}

/* ---- signs of a thief ---- */

/* The days of history move on. */
static void
turn_days(struct account *a, int64_t day)
{
	int64_t gone = day - a->day;

	if (gone == 0)
		return;
	if (gone < 0 || gone >= USAGE_DAYS)
		memset(a->peaks, 0, sizeof(a->peaks));
	else {
		memmove(a->peaks + gone, a->peaks,
		    (size_t)(USAGE_DAYS - gone) * sizeof(a->peaks[0]));
		memset(a->peaks, 0, (size_t)gone * sizeof(a->peaks[0]));
	}
	a->day = day;
}

/* A window that is over is history. */
static void
turn_sent(struct account *a, uint32_t window_s, int64_t now)
{
	int64_t then = a->sent.since / DAY_S;

	if (!is_over(&a->sent, window_s, now))
		return;
	if (a->sent.n > 0 && now >= a->sent.since) {
		if (then > a->day)
			turn_days(a, then);
		if (a->day - then < USAGE_DAYS && a->sent.n > a->peaks[a->day - then])
			a->peaks[a->day - then] = a->sent.n;
	}
	turn_days(a, now / DAY_S);
	a->sent.since = now;
	a->sent.n = 0;
}

void
usage_sent(struct usage *u, const char *name, uint32_t window_s, int64_t now)
{
	struct account *a = get(u, name);

	if (a == NULL)
		return;
	turn_sent(a, window_s, now);
	if (a->sent.n < UINT32_MAX)
		a->sent.n++;
}

void
usage_refused(struct usage *u, const char *name, uint32_t window_s, int64_t now)
{
	struct account *a = get(u, name);

	if (a == NULL)
		return;
	if (is_over(&a->refused, window_s, now)) {
		a->refused.since = now;
		a->refused.n = 0;
	}
	if (a->refused.n < UINT32_MAX)
		a->refused.n++;
}

/* One number for what one provider's customers share; 0: no IP address. */
static uint64_t
network_of(const char *client)
{
	uint8_t b[16];

	if (inet_pton(AF_INET, client, b) == 1)
		return 1ull << 60 | (uint64_t)b[0] << 8 | b[1];
	if (inet_pton(AF_INET6, client, b) == 1)
		return 2ull << 60 | (uint64_t)b[0] << 24 | (uint64_t)b[1] << 16 |
		       (uint64_t)b[2] << 8 | b[3];
	return 0;
}

void
usage_network(struct usage *u, const char *name, const char *client, int64_t now)
{
	uint64_t id = network_of(client);
	struct network *oldest;
	struct account *a;

	if (id == 0 || (a = get(u, name)) == NULL)
		return;
	oldest = &a->networks[0];
	for (int i = 0; i < USAGE_NETWORKS_MAX; i++) {
		struct network *n = &a->networks[i];

		if (n->id == id) {
			oldest = n;
			break;
		}
		if (n->last < oldest->last)
			oldest = n;
	}
	oldest->id = id;
	oldest->last = now;
}

enum usage_alarm
usage_alarm(struct usage *u, const char *name, const struct usage_watch *w, int64_t now,
    uint32_t *value, uint32_t *usual)
{
	uint32_t peak = 0, networks = 0;
	struct account *a = table_find(u->table, name);

	*value = *usual = 0;
	if (a == NULL)
		return USAGE_QUIET;
	for (int i = 0; i < USAGE_DAYS; i++)
		if (a->peaks[i] > peak)
			peak = a->peaks[i];
	for (int i = 0; i < USAGE_NETWORKS_MAX; i++)
		networks += a->networks[i].id != 0 && a->networks[i].last <= now &&
			    now - a->networks[i].last < w->window_s;
	if (w->volume != 0 && !is_over(&a->sent, w->window_s, now) &&
	    a->sent.n > w->volume && a->sent.n > (uint64_t)peak * w->volume_factor) {
		*value = a->sent.n;
		*usual = peak;
		return USAGE_VOLUME;
	}
	if (w->refused != 0 && !is_over(&a->refused, w->window_s, now) &&
	    a->refused.n >= w->refused) {
		*value = a->refused.n;
		return USAGE_REFUSED;
	}
	if (w->networks != 0 && networks >= w->networks) {
		*value = networks;
		return USAGE_NETWORKS;
	}
	return USAGE_QUIET;
}

void
usage_forgive(struct usage *u, const char *name)
{
	struct account *a = table_find(u->table, name);

	if (a == NULL)
		return;
	/* Not into the history: it was a thief's, perhaps. */
	a->sent.n = a->refused.n = 0;
	a->counts[USAGE_RECIPIENTS_HOUR].n = 0;
	memset(a->networks, 0, sizeof(a->networks));
	a->changed = 1;
	u->changed = 1;
}

/* ---- text ---- */

static int __attribute__((format(printf, 2, 3))) add(char *text, const char *fmt, ...)
{
	size_t len = strlen(text);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text + len, USAGE_TEXT_MAX - len, fmt, ap);
	va_end(ap);
	return n < 0 || (size_t)n >= USAGE_TEXT_MAX - len ? -1 : 0;
}

const char *
usage_next(
    struct usage *u, const void **iter, int changed_only, char text[USAGE_TEXT_MAX])
{
	const struct account *a =
	    *iter == NULL ? table_first(u->table) : table_next(*iter);

	while (a != NULL && changed_only && !a->changed)
		a = table_next(a);
	*iter = a;
	if (a == NULL)
		return NULL;
	text[0] = '\0';
	for (int i = 0; i < USAGE_COUNTS; i++)
		(void)add(text, "c %d %" PRId64 " %" PRIu32 "\n", i, a->counts[i].since,
		    a->counts[i].n);
	(void)add(text, "s %" PRId64 " %" PRIu32 "\n", a->sent.since, a->sent.n);
	(void)add(text, "r %" PRId64 " %" PRIu32 "\n", a->refused.since, a->refused.n);
	for (int i = 0; i < USAGE_DAYS; i++)
		if (a->peaks[i] != 0)
			(void)add(
			    text, "p %" PRId64 " %" PRIu32 "\n", a->day - i, a->peaks[i]);
	for (int i = 0; i < USAGE_NETWORKS_MAX; i++)
		if (a->networks[i].id != 0)
			(void)add(text, "n %" PRId64 " %" PRIx64 "\n",
			    a->networks[i].last, a->networks[i].id);
	return a->head.name;
}

static int
restore_line(struct account *a, const char *line, int64_t *newest)
{
	int64_t when;
	uint64_t id;
	uint32_t n;
	int i, free_slot = 0;

	if (sscanf(line, "c %d %" SCNd64 " %" SCNu32, &i, &when, &n) == 3) {
		if (i < 0 || i >= USAGE_COUNTS)
			return -1;
		a->counts[i] = (struct window){ when, n };
	} else if (sscanf(line, "s %" SCNd64 " %" SCNu32, &when, &n) == 2)
		a->sent = (struct window){ when, n };
	else if (sscanf(line, "r %" SCNd64 " %" SCNu32, &when, &n) == 2)
		a->refused = (struct window){ when, n };
	else if (sscanf(line, "p %" SCNd64 " %" SCNu32, &when, &n) == 2) {
		if (when < 0 || when > INT64_MAX / DAY_S)
			return -1;
		if (when > a->day)
			turn_days(a, when);
		if (a->day - when < USAGE_DAYS)
			a->peaks[a->day - when] = n;
		when *= DAY_S;
	} else if (sscanf(line, "n %" SCNd64 " %" SCNx64, &when, &id) == 2) {
		while (
		    free_slot < USAGE_NETWORKS_MAX - 1 && a->networks[free_slot].id != 0)
			free_slot++;
		a->networks[free_slot] = (struct network){ id, when };
	} else
		return -1;
	if (when < 0)
		return -1;
	if (when > *newest)
		*newest = when;
	return 0;
}

int
usage_restore(struct usage *u, const char *name, const char *text, int64_t now)
{
	char copy[USAGE_TEXT_MAX], *rest = copy, *line;
	struct account *a;
	int64_t newest = 0;

	if (strlcpy(copy, text, sizeof(copy)) >= sizeof(copy) ||
	    (a = get(u, name)) == NULL)
		return -1;
	while ((line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0' && restore_line(a, line, &newest) == -1) {
			table_drop(u->table, a);
			return -1;
		}
	if (now - newest > USAGE_DAYS * DAY_S || newest > now + DAY_S) {
		table_drop(u->table, a);
		return 1;
	}
	a->changed = 0;
	return 0;
}

void
usage_unchanged(struct usage *u)
{
	struct account *a;

	for (a = table_first(u->table); a != NULL; a = table_next(a))
		a->changed = 0;
	u->changed = 0;
}

int
usage_is_changed(const struct usage *u)
{
	return u->changed;
}
