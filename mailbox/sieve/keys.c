/* SPDX-License-Identifier: ISC */
/* Values against a list of keys, and the match variables that come of it; see run.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mailbox/sieve/regex.h"
#include "mailbox/sieve/run.h"

#define REGEX_NS_MAX 5000000000 /* of a run */

int
sieve_match_begin(struct sieve_run *run, const struct sieve_node *node,
    const struct sieve_arg *keys, struct sieve_match *m)
{
	memset(m, 0, sizeof(*m));
	m->run = run;
	m->node = node;
	m->arg = keys;
	m->n = keys->n;
	m->keys = arena_alloc(run->scratch, (m->n + 1) * sizeof(*m->keys));
	m->regexes = arena_alloc(run->scratch, (m->n + 1) * sizeof(*m->regexes));
	if (m->keys == NULL || m->regexes == NULL)
		return sieve_fail_memory(run);
	for (size_t i = 0; i < m->n; i++)
		if (sieve_expand(run, &keys->v[i], &m->keys[i]) == -1)
			return -1;
	return 0;
}

/* The values of a match are copied, as what they borrow goes. */
static int
keep_matches(struct sieve_run *run, const struct sieve_matches *from)
{
	struct sieve_frame *f = run->frame;
	size_t len = 1, n = 0;
	char *p;

	if ((f->unit->extensions & EXT_BIT(EXT_VARIABLES)) == 0)
		return 0;
	for (size_t i = 0; i < from->n; i++)
		len +=
		    from->v[i].len < SIEVE_VALUE_MAX ? from->v[i].len : SIEVE_VALUE_MAX;
	if (sieve_spend(run, len / 256) == -1)
		return -1;
	if ((p = malloc(len)) == NULL)
		return sieve_fail_memory(run);
	for (size_t i = 0; i < from->n; i++) {
		size_t k =
		    from->v[i].len < SIEVE_VALUE_MAX ? from->v[i].len : SIEVE_VALUE_MAX;

		if (k > 0)
			memcpy(p + n, from->v[i].s, k);
		f->matches.v[i] = (struct sieve_value){ p + n, k };
		n += k;
	}
	f->matches.n = from->n;
	free(f->matched);
	f->matched = p;
	return 0;
}

static int
match_regex(struct sieve_match *m, size_t i, const struct sieve_value *v,
    struct sieve_matches *found)
{
	void *regex = m->arg->v[i].regex != NULL ? m->arg->v[i].regex : m->regexes[i];
	struct timespec before, after;
	char error[160];
	int r;

	if (regex == NULL) {
		regex = m->regexes[i] = sieve_regex_new(m->keys[i].s, m->keys[i].len,
		    (enum sieve_comparator)m->node->comparator, error, sizeof(error));
		if (regex == NULL)
			return sieve_fail(m->run, "\"%.*s\" is no regular expression: %s",
			    (int)(m->keys[i].len > 64 ? 64 : m->keys[i].len),
			    m->keys[i].s, error);
	}
	if (sieve_spend(m->run, 50 + v->len / 64) == -1)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &before);
	r = sieve_regex_match(regex, v, found);
	clock_gettime(CLOCK_MONOTONIC, &after);
	/* What a match costs is not known by its length. */
	m->run->regex_ns += (int64_t)(after.tv_sec - before.tv_sec) * 1000000000 +
			    (after.tv_nsec - before.tv_nsec);
	if (m->run->regex_ns > REGEX_NS_MAX)
		r = -1;
	return r == -1 ? sieve_fail(m->run, "a regular expression takes too much work")
		       : r;
}

static int
match_key(struct sieve_match *m, size_t i, const struct sieve_value *v)
{
	const struct sieve_node *node = m->node;
	enum sieve_comparator comparator = (enum sieve_comparator)node->comparator;
	const struct sieve_value *key = &m->keys[i];
	struct sieve_matches found = { .n = 0 };
	uint64_t work = 1 + v->len / 1024;
	int r;

	if (node->match == MATCH_CONTAINS)
		work += (v->len / 1024) * (key->len < 4096 ? key->len / 16 : 256);
	if (sieve_spend(m->run, work) == -1)
		return -1;
	switch (node->match) {
	case MATCH_IS:
		return sieve_compare(comparator, v, key) == 0;
	case MATCH_CONTAINS:
		return sieve_contains(comparator, v, key);
	case MATCH_VALUE:
		return sieve_relation_holds((enum sieve_relation)node->relation,
		    sieve_compare(comparator, v, key));
	case MATCH_REGEX:
		r = match_regex(m, i, v, &found);
		break;
	default: {
		/* Ordinary matches are cheap, so that they count by 64 characters. */
		uint32_t left = m->run->steps < UINT32_MAX / 64 ? m->run->steps * 64
								: UINT32_MAX,
			 before = left;

		r = sieve_glob(comparator, v, key, &found, &left);
		if (sieve_spend(m->run, (before - left) / 64) == -1 || r == -1)
			return sieve_fail(m->run, "a pattern takes too much work");
		break;
	}
	}
	if (r == 1 && !m->silent && keep_matches(m->run, &found) == -1)
		return -1;
	return r;
}

int
sieve_match_value(struct sieve_match *m, const struct sieve_value *v)
{
	m->count++;
	if (m->node->match == MATCH_COUNT)
		return 0;
	for (size_t i = 0; i < m->n; i++) {
		int r = match_key(m, i, v);

		if (r != 0)
			return r;
	}
	return 0;
}

int
sieve_match_end(struct sieve_match *m, int r)
{
	for (size_t i = 0; m->regexes != NULL && i < m->n; i++)
		sieve_regex_free(m->regexes[i]);
	if (r != 0 || m->node->match != MATCH_COUNT)
		return r;
	for (size_t i = 0; i < m->n; i++) {
		char buf[24];
		struct sieve_value v = { buf, (size_t)snprintf(buf, sizeof(buf), "%llu",
						  (unsigned long long)m->count) };

		if (sieve_relation_holds((enum sieve_relation)m->node->relation,
			sieve_compare(
			    (enum sieve_comparator)m->node->comparator, &v, &m->keys[i])))
			return 1;
	}
	return 0;
}
