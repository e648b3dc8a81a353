/* SPDX-License-Identifier: ISC */
/* Comparators and the wildcard match; see matching.h. */
#include "mailbox/sieve/matching.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/encoding.h"
#include "mailbox/sieve/casemap.h"

int
sieve_comparator_find(const char *name, size_t len)
{
	static const struct {
		const char *name;
		enum sieve_comparator comparator;
	} table[] = {
		{ "i;ascii-casemap", COMPARATOR_CASEMAP },
		{ "i;octet", COMPARATOR_OCTET },
		{ "i;ascii-numeric", COMPARATOR_NUMERIC },
		{ "i;unicode-casemap", COMPARATOR_UNICODE },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strlen(table[i].name) == len && memcmp(table[i].name, name, len) == 0)
			return (int)table[i].comparator;
	return -1;
}

int
sieve_relation_find(const char *name, size_t len)
{
	static const char *const names[] = { "gt", "ge", "lt", "le", "eq", "ne" };

	for (int i = 0; i < 6; i++)
		if (ascii_equal(name, len, names[i]))
			return i;
	return -1;
}

bool
sieve_relation_holds(enum sieve_relation r, int c)
{
	switch (r) {
	case RELATION_GT:
		return c > 0;
	case RELATION_GE:
		return c >= 0;
	case RELATION_LT:
		return c < 0;
	case RELATION_LE:
		return c <= 0;
	case RELATION_EQ:
		return c == 0;
	default:
		return c != 0;
	}
}

/* ---- characters of Unicode ---- */

struct folded {
	const char *s;
	size_t len, pos;
	uint32_t held[CASEMAP_MAX];
	size_t n_held, next;
};

/* The next unit, or -1. An octet that is no UTF-8 stands for itself, above all. */
static int64_t
folded_next(struct folded *f)
{
	uint32_t c;
	size_t k;

	if (f->next < f->n_held)
		return f->held[f->next++];
	if (f->pos >= f->len)
		return -1;
	if ((k = utf8_get(f->s + f->pos, f->len - f->pos, &c)) == 0)
		return 0x110000 + (unsigned char)f->s[f->pos++];
	f->pos += k;
	f->n_held = casemap_fold(c, f->held);
	f->next = 1;
	return f->held[0];
}

static int
compare_unicode(const struct sieve_value *a, const struct sieve_value *b)
{
	struct folded x = { .s = a->s, .len = a->len }, y = { .s = b->s, .len = b->len };
	int64_t p, q;

	do {
		p = folded_next(&x);
		q = folded_next(&y);
	} while (p == q && p != -1);
	return p < q ? -1 : p > q;
}

/* ---- i;ascii-numeric (RFC 4790, 9.1) ---- */

/* The digits at the start without leading zeros; false: positive infinity. */
static bool
number_of(const struct sieve_value *v, struct sieve_value *digits)
{
	size_t i = 0, n = 0;

	while (n < v->len && isdigit((unsigned char)v->s[n]))
		n++;
	if (n == 0)
		return false;
	while (i + 1 < n && v->s[i] == '0')
		i++;
	*digits = (struct sieve_value){ v->s + i, n - i };
	return true;
}

static int
compare_numeric(const struct sieve_value *a, const struct sieve_value *b)
{
	struct sieve_value x, y;
	bool p = number_of(a, &x), q = number_of(b, &y);
	int c;

	if (!p || !q)
		return p == q ? 0 : p ? -1 : 1;
	if (x.len != y.len)
		return x.len < y.len ? -1 : 1;
	c = memcmp(x.s, y.s, x.len);
	return c < 0 ? -1 : c > 0;
}

static int
octet(enum sieve_comparator comparator, const char *s)
{
	unsigned char c = (unsigned char)*s;

	/* Capitals, which has a say in the order (RFC 4790, 9.2.1). */
	return comparator != COMPARATOR_OCTET && c >= 'a' && c <= 'z' ? c - 32 : c;
}

int
sieve_compare(enum sieve_comparator comparator, const struct sieve_value *a,
    const struct sieve_value *b)
{
	size_t n = a->len < b->len ? a->len : b->len;

	if (comparator == COMPARATOR_NUMERIC)
		return compare_numeric(a, b);
	if (comparator == COMPARATOR_UNICODE)
		return compare_unicode(a, b);
	for (size_t i = 0; i < n; i++) {
		int c = octet(comparator, a->s + i) - octet(comparator, b->s + i);

		if (c != 0)
			return c < 0 ? -1 : 1;
	}
	return a->len < b->len ? -1 : a->len > b->len;
}

/* Does the value go on with the key at this place? */
static bool
starts_unicode(const struct sieve_value *v, size_t at, const struct sieve_value *key)
{
	struct folded x = { .s = v->s + at, .len = v->len - at },
		      y = { .s = key->s, .len = key->len };
	int64_t q;

	while ((q = folded_next(&y)) != -1)
		if (folded_next(&x) != q)
			return false;
	return true;
}

bool
sieve_contains(enum sieve_comparator comparator, const struct sieve_value *v,
    const struct sieve_value *key)
{
	int first;

	if (key->len == 0)
		return true;
	if (comparator == COMPARATOR_UNICODE) {
		for (size_t i = 0; i < v->len;) {
			uint32_t c;
			size_t k = utf8_get(v->s + i, v->len - i, &c);

			if (starts_unicode(v, i, key))
				return true;
			i += k == 0 ? 1 : k;
		}
		return false;
	}
	if (comparator == COMPARATOR_OCTET)
		return memmem(v->s, v->len, key->s, key->len) != NULL;
	if (key->len > v->len)
		return false;
	first = octet(comparator, key->s);
	for (size_t i = 0; i <= v->len - key->len; i++) {
		size_t k = 1;

		if (octet(comparator, v->s + i) != first)
			continue;
		while (k < key->len &&
		       octet(comparator, v->s + i + k) == octet(comparator, key->s + k))
			k++;
		if (k == key->len)
			return true;
	}
	return false;
}

/* ---- wildcards ---- */

/* One character of text and pattern each are equal; how long they are. */
static bool
same_character(enum sieve_comparator comparator, const struct sieve_value *v, size_t i,
    const struct sieve_value *p, size_t j, size_t *vn, size_t *pn)
{
	uint32_t a, b;

	*vn = *pn = 1;
	if (comparator != COMPARATOR_UNICODE)
		return octet(comparator, v->s + i) == octet(comparator, p->s + j);
	*vn = utf8_get(v->s + i, v->len - i, &a);
	*pn = utf8_get(p->s + j, p->len - j, &b);
	if (*vn == 0 || *pn == 0) {
		bool same = *vn == *pn && v->s[i] == p->s[j];

		*vn = *pn = 1;
		return same;
	}
	return casemap_title(a) == casemap_title(b);
}

static size_t
character_len(enum sieve_comparator comparator, const struct sieve_value *v, size_t i)
{
	uint32_t c;
	size_t n =
	    comparator == COMPARATOR_UNICODE ? utf8_get(v->s + i, v->len - i, &c) : 1;

	return n == 0 ? 1 : n;
}

static void
note(struct sieve_matches *m, size_t k, const char *s, size_t len)
{
	if (k <= SIEVE_MATCHES_MAX)
		m->v[k] = (struct sieve_value){ s, len };
}

int
sieve_glob(enum sieve_comparator comparator, const struct sieve_value *v,
    const struct sieve_value *p, struct sieve_matches *m, uint32_t *steps)
{
	size_t i = 0, j = 0, k = 0, vn, pn;
	/* The last star: where it stands, from where it takes, and up to where. */
	bool star = false;
	size_t star_j = 0, star_from = 0, star_to = 0, star_k = 0;

	for (;;) {
		if (*steps == 0)
			return -1;
		--*steps;
		if (j < p->len && p->s[j] == '*') {
			star = true;
			star_j = ++j;
			star_from = star_to = i;
			star_k = ++k;
			note(m, k, v->s + i, 0);
			if (j == p->len) {
				/* The last takes the rest. */
				note(m, k, v->s + i, v->len - i);
				i = v->len;
				break;
			}
			continue;
		}
		if (i == v->len && j == p->len)
			break;
		if (j < p->len && i < v->len) {
			if (p->s[j] == '?') {
				vn = character_len(comparator, v, i);
				note(m, ++k, v->s + i, vn);
				i += vn;
				j++;
				continue;
			}
			if (p->s[j] == '\\' && j + 1 < p->len) {
				if (same_character(
					comparator, v, i, p, j + 1, &vn, &pn)) {
					i += vn;
					j += 1 + pn;
					continue;
				}
			} else if (same_character(comparator, v, i, p, j, &vn, &pn)) {
				i += vn;
				j += pn;
				continue;
			}
		}
		/* The last star takes one more. */
		if (!star || star_to >= v->len)
			return 0;
		star_to += character_len(comparator, v, star_to);
		note(m, star_k, v->s + star_from, star_to - star_from);
		i = star_to;
		j = star_j;
		k = star_k;
	}
	note(m, 0, v->s, v->len);
	m->n = (k < SIEVE_MATCHES_MAX ? k : SIEVE_MATCHES_MAX) + 1;
	return 1;
}
