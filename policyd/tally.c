/* SPDX-License-Identifier: ISC */
/* Counts of TLS sessions; see tally.h. */
#include "policyd/tally.h"

#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/tlsrpt.h"

#define BUCKETS 4096
#define FIELDS 5

static LIST_HEAD(, tally) buckets[BUCKETS];
static TAILQ_HEAD(, tally) all = TAILQ_HEAD_INITIALIZER(all);
static size_t total, octets;

static unsigned int
hash(int32_t day, const char *domain)
{
	uint32_t h = 2166136261u ^ (uint32_t)day;

	for (; *domain != '\0'; domain++)
		h = (h ^ (unsigned char)*domain) * 16777619u;
	return h % BUCKETS;
}

void
tally_clean(const char *src, char *out, size_t cap)
{
	size_t n = 0;

	for (; *src != '\0' && n + 1 < cap; src++)
		out[n++] = *src < ' ' || *src > '~' || *src == ';' ? '?' : *src;
	out[n] = '\0';
}

static void *
take(size_t head, size_t len)
{
	char *p;

	if (octets + head + len > TALLY_OCTETS_MAX || (p = calloc(1, head + len)) == NULL)
		return NULL;
	octets += head + len;
	return p;
}

/* Appends s with its NUL; the address of the copy. */
static const char *
pack(char *text, size_t *len, const char *s)
{
	size_t n = strlen(s) + 1;
	char *to = text + *len;

	memcpy(to, s, n);
	*len += n;
	return to;
}

struct tally *
tally_find(int32_t day, const char *domain)
{
	struct tally *t;

	LIST_FOREACH (t, &buckets[hash(day, domain)], entry)
		if (t->day == day && t->to == 0 && strcmp(t->domain, domain) == 0)
			return t;
	return NULL;
}

struct tally *
tally_get(int32_t day, const char *domain, int64_t since, bool *made)
{
	struct tally *t = tally_find(day, domain);
	size_t len = strlen(domain) + 1;

	*made = t == NULL;
	if (t != NULL)
		return t;
	if (total >= TALLIES_MAX || (t = take(sizeof(*t), len)) == NULL)
		return NULL;
	memcpy(t->domain, domain, len);
	t->day = day;
	t->since = since;
	LIST_INSERT_HEAD(&buckets[hash(day, domain)], t, entry);
	TAILQ_INSERT_TAIL(&all, t, all);
	total++;
	return t;
}

struct tally_policy *
tally_policy_get(struct tally *t, const struct tally_event *e, bool *made)
{
	struct tally_policy *p;
	size_t len, n = 0;

	*made = false;
	for (p = t->policies; p != NULL; p = p->next)
		if (p->type == e->policy && strcmp(p->domain, e->policy_domain) == 0 &&
		    strcmp(p->strings, e->strings) == 0)
			return p;
	len = strlen(e->policy_domain) + strlen(e->strings) + strlen(e->sts_mx) + 3;
	if (t->n_policies >= TALLY_POLICIES_MAX || (p = take(sizeof(*p), len)) == NULL)
		return NULL;
	p->domain = pack(p->text, &n, e->policy_domain);
	p->strings = pack(p->text, &n, e->strings);
	p->mx = pack(p->text, &n, e->sts_mx);
	p->len = len;
	p->type = e->policy;
	p->tally = t;
	p->next = t->policies;
	t->policies = p;
	t->n_policies++;
	*made = true;
	return p;
}

static struct tally_detail *
detail_get(struct tally_policy *p, const struct tally_event *e)
{
	const char *fields[FIELDS] = { e->sending_ip, e->mx, e->ip, e->helo, e->reason };
	struct tally_detail *d;
	size_t len = 0, n = 0;

	for (d = p->details; d != NULL; d = d->next)
		if (d->result == e->result && strcmp(d->mx, e->mx) == 0 &&
		    strcmp(d->ip, e->ip) == 0 && strcmp(d->reason, e->reason) == 0 &&
		    strcmp(d->helo, e->helo) == 0 &&
		    strcmp(d->sending_ip, e->sending_ip) == 0)
			return d;
	for (size_t i = 0; i < FIELDS; i++)
		len += strlen(fields[i]) + 1;
	if (p->n_details >= TALLY_DETAILS_MAX || (d = take(sizeof(*d), len)) == NULL)
		return NULL;
	d->result = e->result;
	d->sending_ip = pack(d->text, &n, e->sending_ip);
	d->mx = pack(d->text, &n, e->mx);
	d->ip = pack(d->text, &n, e->ip);
	d->helo = pack(d->text, &n, e->helo);
	d->reason = pack(d->text, &n, e->reason);
	d->len = len;
	d->next = p->details;
	p->details = d;
	p->n_details++;
	return d;
}

void
tally_policy_count(struct tally_policy *p, const struct tally_event *e)
{
	struct tally_detail *d;

	if (e->result == TLSRPT_SUCCESS) {
		p->success += e->count;
		return;
	}
	p->failure += e->count;
	if ((d = detail_get(p, e)) != NULL)
		d->count += e->count;
}

struct tally_policy *
tally_count(int32_t day, int64_t now, const struct tally_event *e, bool *new_tally,
    bool *new_policy)
{
	struct tally *t = tally_get(day, e->domain, now, new_tally);
	struct tally_policy *p = NULL;

	*new_policy = false;
	if (t == NULL || (p = tally_policy_get(t, e, new_policy)) == NULL)
		return NULL;
	tally_policy_count(p, e);
	return p;
}

void
tally_close(struct tally *t, int64_t to)
{
	t->to = to;
}

void
tally_free(struct tally *t)
{
	struct tally_policy *p;
	struct tally_detail *d;

	while ((p = t->policies) != NULL) {
		t->policies = p->next;
		while ((d = p->details) != NULL) {
			p->details = d->next;
			octets -= sizeof(*d) + d->len;
			free(d);
		}
		octets -= sizeof(*p) + p->len;
		free(p);
	}
	octets -= sizeof(*t) + strlen(t->domain) + 1;
	LIST_REMOVE(t, entry);
	TAILQ_REMOVE(&all, t, all);
	total--;
	free(t);
}

struct tally *
tally_first(void)
{
	return TAILQ_FIRST(&all);
}

struct tally *
tally_next(struct tally *t)
{
	return TAILQ_NEXT(t, all);
}

size_t
tally_total(void)
{
	return total;
}

size_t
tally_octets(void)
{
	return octets;
}
