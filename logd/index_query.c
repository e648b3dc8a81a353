/* SPDX-License-Identifier: ISC */
/* Filters of words, and the questions put to them. */
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "logd/index.h"
#include "logd/line.h"
#include "logd/words.h"

#define BITS (INDEX_FILTER * 8)
#define PROBES 4
#define WORDS_MAX 8 /* of one text; further ones are not looked at */

struct wanted {
	uint64_t words[WORDS_MAX];
	size_t n;
};

struct index_query {
	struct wanted *wanted;
	size_t n, room;
	int all;
};

/* Each probe takes its own bits of the hash. */
static size_t
probe(uint64_t hash, unsigned int i)
{
	return (size_t)(hash >> (i * 14)) % BITS;
}

static int
has(const uint8_t *filter, uint64_t hash)
{
	for (unsigned int i = 0; i < PROBES; i++) {
		size_t bit = probe(hash, i);

		if (!(filter[bit / 8] & 1u << bit % 8))
			return 0;
	}
	return 1;
}

struct index_query *
index_query_new(void)
{
	return calloc(1, sizeof(struct index_query));
}

void
index_query_free(struct index_query *q)
{
	if (q == NULL)
		return;
	free(q->wanted);
	free(q);
}

int
index_query_add(struct index_query *q, const char *text)
{
	size_t len = strlen(text), pos = 0;
	struct wanted *w;

	if (q->n == q->room) {
		size_t room = q->room == 0 ? 8 : 2 * q->room;

		if ((w = reallocarray(q->wanted, room, sizeof(*w))) == NULL)
			return -1;
		q->wanted = w;
		q->room = room;
	}
	w = &q->wanted[q->n];
	w->n = 0;
	while (w->n < WORDS_MAX && words_next(text, len, &pos, &w->words[w->n]))
		w->n++;
	if (w->n == 0)
		q->all = 1;
	else
		q->n++;
	return 0;
}

int
index_query_wants(const struct index_query *q, const uint8_t filter[INDEX_FILTER])
{
	if (q->all)
		return 1;
	for (size_t i = 0; i < q->n; i++) {
		size_t k = 0;

		while (k < q->wanted[i].n && has(filter, q->wanted[i].words[k]))
			k++;
		if (k == q->wanted[i].n)
			return 1;
	}
	return 0;
}

/* The stamp and the name of the process are not searched, so they are no words. */
void
index_fill(uint8_t filter[INDEX_FILTER], const char *lines, size_t len)
{
	const char *nl;
	struct line l;
	uint64_t hash;
	size_t n, pos;

	for (; len > 0; lines += n, len -= n) {
		nl = memchr(lines, '\n', len);
		n = nl == NULL ? len : (size_t)(nl - lines) + 1;
		if (line_parse(lines, nl == NULL ? n : n - 1, &l) == -1)
			continue; /* no search shows it */
		pos = 0;
		while (words_next(l.text, l.text_len, &pos, &hash))
			for (unsigned int i = 0; i < PROBES; i++) {
				size_t bit = probe(hash, i);

				filter[bit / 8] |= (uint8_t)(1u << bit % 8);
			}
	}
}
