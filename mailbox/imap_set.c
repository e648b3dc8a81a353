/* SPDX-License-Identifier: ISC */
/* Sequence sets; see imap_set.h. */
#include "mailbox/imap_set.h"

#include <event2/buffer.h>
#include <stdlib.h>

#include "common/compat/compat.h"

static int
seq_number(struct imap_args *a, uint32_t *out)
{
	if (imap_try_char(a, '*')) {
		*out = 0;
		return 0;
	}
	if (imap_number(a, out) == -1)
		return -1;
	return *out == 0 ? imap_fail(a, "Zero in sequence set") : 0;
}

int
imap_set_parse(struct imap_args *a, struct imap_set *set)
{
	size_t cap = 0;

	set->r = NULL;
	set->n = 0;
	set->saved = imap_try_char(a, '$');
	if (set->saved)
		return 0;
	do {
		struct imap_range r;

		if (seq_number(a, &r.lo) == -1)
			return -1;
		r.hi = r.lo;
		if (imap_try_char(a, ':') && seq_number(a, &r.hi) == -1)
			return -1;
		if (set->n == IMAP_SET_MAX)
			return imap_fail(a, "Sequence set too long");
		if (set->n == cap) {
			struct imap_range *n;

			cap = cap == 0 ? 8 : cap * 2;
			if ((n = reallocarray(set->r, cap, sizeof(*n))) == NULL)
				return imap_fail(a, "Out of memory");
			set->r = n;
		}
		set->r[set->n++] = r;
	} while (imap_try_char(a, ','));
	return 0;
}

static int
by_lo(const void *va, const void *vb)
{
	const struct imap_range *a = va, *b = vb;

	return a->lo < b->lo ? -1 : a->lo > b->lo;
}

void
imap_set_resolve(struct imap_set *set, uint32_t max)
{
	size_t out = 0;

	for (size_t i = 0; i < set->n; i++) {
		struct imap_range *r = &set->r[i];
		uint32_t lo = r->lo == 0 ? max : r->lo, hi = r->hi == 0 ? max : r->hi;

		r->lo = lo < hi ? lo : hi;
		r->hi = lo < hi ? hi : lo;
	}
	if (set->n == 0)
		return;
	qsort(set->r, set->n, sizeof(*set->r), by_lo);
	for (size_t i = 1; i < set->n; i++) {
		if (set->r[i].lo <= set->r[out].hi) {
			if (set->r[i].hi > set->r[out].hi)
				set->r[out].hi = set->r[i].hi;
		} else
			set->r[++out] = set->r[i];
	}
	set->n = out + 1;
}

int
imap_set_has(const struct imap_set *set, uint32_t x)
{
	size_t lo = 0, hi = set->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (set->r[mid].hi < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < set->n && set->r[lo].lo <= x;
}

static int
partial_number(struct imap_args *a, bool *negative, uint32_t *out)
{
	*negative = imap_try_char(a, '-');
	if (imap_number(a, out) == -1)
		return -1;
	return *out == 0 ? imap_fail(a, "Zero in PARTIAL") : 0;
}

int
imap_partial_parse(struct imap_args *a, struct imap_partial *p)
{
	bool lo_negative, hi_negative;

	if (partial_number(a, &lo_negative, &p->lo) == -1 || imap_char(a, ':') == -1 ||
	    partial_number(a, &hi_negative, &p->hi) == -1)
		return -1;
	if (lo_negative != hi_negative)
		return imap_fail(a, "PARTIAL with two signs");
	if (p->lo > p->hi) {
		uint32_t t = p->lo;

		p->lo = p->hi;
		p->hi = t;
	}
	p->from_end = lo_negative;
	p->asked = true;
	return 0;
}

void
imap_partial_slice(const struct imap_partial *p, size_t n, size_t *from, size_t *to)
{
	size_t lo = p->lo - 1 < n ? p->lo - 1 : n, hi = p->hi < n ? p->hi : n;

	*from = p->from_end ? n - hi : lo;
	*to = p->from_end ? n - lo : hi;
}

void
imap_set_clear(struct imap_set *set)
{
	free(set->r);
	set->r = NULL;
	set->n = 0;
}

void
imap_set_print(struct evbuffer *out, const uint32_t *v, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t j = i + 1;

		while (j < n && v[j] == v[j - 1] + 1)
			j++;
		evbuffer_add_printf(out, j - i > 1 ? "%s%u:%u" : "%s%u", i > 0 ? "," : "",
		    v[i], v[j - 1]);
		i = j;
	}
}
