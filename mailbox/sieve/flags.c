/* SPDX-License-Identifier: ISC */
/* Flags of IMAP in variables and actions: RFC 5232. */
#include <string.h>

#include "common/proto/encoding.h"
#include "mailbox/sieve/run.h"
#include "mailbox/store.h"

#define FLAGS_MAX 256 /* of one list */
#define FLAG_LEN_MAX 128

static const struct {
	const char *name;
	uint8_t flag;
} system_flags[] = {
	{ "\\Answered", FLAG_ANSWERED },
	{ "\\Flagged", FLAG_FLAGGED },
	{ "\\Deleted", FLAG_DELETED },
	{ "\\Seen", FLAG_SEEN },
	{ "\\Draft", FLAG_DRAFT },
};

struct flag_list {
	struct sieve_value v[FLAGS_MAX];
	size_t n;
};

static bool
is_flag(const char *s, size_t len)
{
	if (len == 0 || len > FLAG_LEN_MAX)
		return false;
	if (s[0] == '\\') {
		for (size_t i = 0; i < sizeof(system_flags) / sizeof(system_flags[0]);
		     i++)
			if (ascii_equal(s, len, system_flags[i].name))
				return true;
		return false;
	}
	for (size_t i = 0; i < len; i++)
		if (s[i] <= 0x20 || s[i] >= 0x7f || strchr("(){%*\"\\]", s[i]) != NULL)
			return false;
	return true;
}

static size_t
find(const struct flag_list *l, const struct sieve_value *f)
{
	size_t i = 0;

	while (i < l->n &&
	       (l->v[i].len != f->len || strncasecmp(l->v[i].s, f->s, f->len) != 0))
		i++;
	return i;
}

/* The flags of a string, separated by spaces; others are passed over. */
static void
split(struct flag_list *l, const struct sieve_value *text, bool unique)
{
	size_t i = 0;

	while (i < text->len && l->n < FLAGS_MAX) {
		struct sieve_value f;
		size_t start;

		while (i < text->len && text->s[i] == ' ')
			i++;
		start = i;
		while (i < text->len && text->s[i] != ' ')
			i++;
		f = (struct sieve_value){ text->s + start, i - start };
		if (is_flag(f.s, f.len) && (!unique || find(l, &f) == l->n))
			l->v[l->n++] = f;
	}
}

static int
split_args(struct sieve_run *run, const struct sieve_arg *a, struct flag_list *l)
{
	l->n = 0;
	for (size_t i = 0; i < a->n; i++) {
		struct sieve_value v;

		if (sieve_expand(run, &a->v[i], &v) == -1)
			return -1;
		split(l, &v, true);
	}
	return 0;
}

static int
store(struct sieve_run *run, struct sieve_variable *var, const struct flag_list *l)
{
	size_t len = 0;
	char *s;

	for (size_t i = 0; i < l->n; i++)
		len += l->v[i].len + 1;
	if ((s = arena_alloc(run->scratch, len + 1)) == NULL)
		return sieve_fail_memory(run);
	len = 0;
	for (size_t i = 0; i < l->n; i++) {
		if (i > 0)
			s[len++] = ' ';
		memcpy(s + len, l->v[i].s, l->v[i].len);
		len += l->v[i].len;
	}
	return sieve_variable_set(run, var, s, len);
}

int
sieve_do_flags(struct sieve_run *run, struct sieve_node *node)
{
	struct sieve_variable *var =
	    node->positional[0] != NULL ? sieve_node_variable(run, node) : &run->flags;
	struct flag_list *given = arena_alloc(run->scratch, sizeof(*given)),
			 *now = arena_alloc(run->scratch, sizeof(*now));

	if (given == NULL || now == NULL)
		return sieve_fail_memory(run);
	if (split_args(run, node->positional[1], given) == -1)
		return -1;
	if (node->rule->op == OP_SETFLAG)
		return store(run, var, given);
	if (var->s != NULL) {
		struct sieve_value v = { var->s, var->len };

		split(now, &v, true);
	}
	for (size_t i = 0; i < given->n; i++) {
		size_t k = find(now, &given->v[i]);

		if (node->rule->op == OP_ADDFLAG) {
			if (k == now->n && now->n < FLAGS_MAX)
				now->v[now->n++] = given->v[i];
		} else if (k < now->n) {
			memmove(now->v + k, now->v + k + 1,
			    (now->n - k - 1) * sizeof(now->v[0]));
			now->n--;
		}
	}
	return store(run, var, now);
}

/* ---- hasflag ---- */

/* Keys are lists of flags too. */
static int
split_keys(struct sieve_run *run, struct sieve_match *m)
{
	struct flag_list *l = arena_alloc(run->scratch, sizeof(*l));
	struct sieve_value *keys;

	if (l == NULL)
		return sieve_fail_memory(run);
	for (size_t i = 0; i < m->n; i++) {
		const struct sieve_value *v = &m->keys[i];
		size_t k = 0;

		while (k < v->len && l->n < FLAGS_MAX) {
			size_t start;

			while (k < v->len && v->s[k] == ' ')
				k++;
			start = k;
			while (k < v->len && v->s[k] != ' ')
				k++;
			if (k > start)
				l->v[l->n++] =
				    (struct sieve_value){ v->s + start, k - start };
		}
	}
	keys = l->v;
	m->keys = keys;
	m->n = l->n;
	return 0;
}

static int
match_variable(
    struct sieve_run *run, const struct sieve_variable *var, struct sieve_match *m)
{
	struct flag_list *l = arena_alloc(run->scratch, sizeof(*l));
	int r = 0;

	if (l == NULL)
		return sieve_fail_memory(run);
	if (var != NULL && var->s != NULL) {
		struct sieve_value v = { var->s, var->len };

		split(l, &v, true);
	}
	for (size_t i = 0; i < l->n && r == 0; i++)
		r = sieve_match_value(m, &l->v[i]);
	return r;
}

int
sieve_test_hasflag(struct sieve_run *run, struct sieve_node *node)
{
	const struct sieve_arg *names = node->positional[0];
	struct sieve_match m;
	int r = 0;

	if (sieve_match_begin(run, node, node->positional[1], &m) == -1)
		return -1;
	/* Patterns, expressions and counts are taken as they are. */
	if (node->match == MATCH_IS || node->match == MATCH_CONTAINS) {
		if (split_keys(run, &m) == -1)
			return -1;
		m.regexes = NULL;
	}
	if (names == NULL)
		r = match_variable(run, &run->flags, &m);
	for (size_t i = 0; names != NULL && i < names->n && r == 0; i++) {
		struct sieve_value v;

		r = sieve_expand(run, &names->v[i], &v);
		if (r == 0)
			r = match_variable(
			    run, sieve_named_variable(run, v.s, v.len), &m);
	}
	return sieve_match_end(&m, r);
}

/* ---- actions ---- */

int
sieve_action_flags(
    struct sieve_run *run, const struct sieve_node *node, struct sieve_action *a)
{
	const struct sieve_option *o =
	    node != NULL ? sieve_option(node, OPT_FLAGS) : NULL;
	struct flag_list *l = arena_alloc(run->scratch, sizeof(*l));
	size_t len = 0;
	char *s;

	if (l == NULL)
		return sieve_fail_memory(run);
	if (o != NULL) {
		if (split_args(run, o->arg, l) == -1)
			return -1;
	} else if (run->flags.s != NULL) {
		struct sieve_value v = { run->flags.s, run->flags.len };

		split(l, &v, true);
	}
	a->flags = 0;
	for (size_t i = 0; i < l->n; i++)
		len += l->v[i].len + 1;
	if ((s = arena_alloc(run->keep, len + 1)) == NULL)
		return sieve_fail_memory(run);
	len = 0;
	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].s[0] == '\\') {
			for (size_t k = 0;
			     k < sizeof(system_flags) / sizeof(system_flags[0]); k++)
				if (ascii_equal(
					l->v[i].s, l->v[i].len, system_flags[k].name))
					a->flags |= system_flags[k].flag;
			continue;
		}
		if (len > 0)
			s[len++] = ' ';
		memcpy(s + len, l->v[i].s, l->v[i].len);
		len += l->v[i].len;
	}
	a->keywords = s;
	return 0;
}
