/* SPDX-License-Identifier: ISC */
/* Tables of casemap.def and the search in them; see casemap.h. */
#include "mailbox/sieve/casemap.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct title {
	uint32_t first, last;
	uint8_t step;
	int32_t difference;
} titles[] = {
#define TITLE(first, last, step, difference) { first, last, step, difference },
#define APART(...)
#include "mailbox/sieve/casemap.def"
#undef TITLE
#undef APART
};

static const struct apart {
	uint16_t c;
	uint16_t to[CASEMAP_MAX]; /* 0: no more */
} aparts[] = {
#define TITLE(first, last, step, difference)
#define APART(c, ...) { c, { __VA_ARGS__ } },
#include "mailbox/sieve/casemap.def"
#undef TITLE
#undef APART
};

uint32_t
casemap_title(uint32_t c)
{
	size_t lo = 0, hi = N(titles);

	if (c < 0x80)
		return c >= 'a' && c <= 'z' ? c - 32 : c;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct title *t = &titles[mid];

		if (c < t->first)
			hi = mid;
		else if (c > t->last)
			lo = mid + 1;
		else
			return (c - t->first) % t->step == 0
				   ? (uint32_t)((int64_t)c + t->difference)
				   : c;
	}
	return c;
}

size_t
casemap_fold(uint32_t c, uint32_t out[CASEMAP_MAX])
{
	size_t lo = 0, hi = N(aparts);

	c = casemap_title(c);
	out[0] = c;
	if (c < 0x80)
		return 1;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2, n = 0;
		const struct apart *a = &aparts[mid];

		if (c < a->c)
			hi = mid;
		else if (c > a->c)
			lo = mid + 1;
		else {
			while (n < CASEMAP_MAX && a->to[n] != 0) {
				out[n] = a->to[n];
				n++;
			}
			return n;
		}
	}
	return 1;
}
