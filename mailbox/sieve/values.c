/* SPDX-License-Identifier: ISC */
/* Variables: their values, set and its modifiers (RFC 5229), extracttext (RFC 5703, 7).
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/encoding.h"
#include "mailbox/sieve/casemap.h"
#include "mailbox/sieve/run.h"

static void
piece_value(struct sieve_run *run, const struct sieve_piece *p, struct sieve_value *v)
{
	const struct sieve_variable *var;

	*v = (struct sieve_value){ "", 0 };
	switch (p->kind) {
	case PIECE_TEXT:
		*v = (struct sieve_value){ p->s, p->len };
		return;
	case PIECE_MATCH:
		if (p->index < run->frame->matches.n)
			*v = run->frame->matches.v[p->index];
		return;
	case PIECE_ENVIRONMENT:
		(void)sieve_environment(run, p->s, p->len, v);
		return;
	case PIECE_LOCAL:
		var = &run->frame->locals[p->index];
		break;
	default:
		var = &run->globals[p->index];
		break;
	}
	if (var->s != NULL)
		*v = (struct sieve_value){ var->s, var->len };
}

int
sieve_expand(
    struct sieve_run *run, const struct sieve_string *str, struct sieve_value *out)
{
	size_t len = 0, n = 0;
	char *s;

	*out = (struct sieve_value){ str->s, str->len };
	if (str->pieces == NULL)
		return 0;
	for (size_t i = 0; i < str->n_pieces; i++) {
		struct sieve_value v;

		piece_value(run, &str->pieces[i], &v);
		len += v.len;
	}
	if (len > SIEVE_VALUE_MAX)
		len = SIEVE_VALUE_MAX;
	if (sieve_spend(run, len / 256) == -1)
		return -1;
	if ((s = arena_alloc(run->scratch, len + 1)) == NULL)
		return sieve_fail_memory(run);
	for (size_t i = 0; i < str->n_pieces && n < len; i++) {
		struct sieve_value v;

		piece_value(run, &str->pieces[i], &v);
		if (v.len > len - n)
			v.len = utf8_cut(v.s, v.len, len - n);
		if (v.len > 0)
			memcpy(s + n, v.s, v.len);
		n += v.len;
	}
	*out = (struct sieve_value){ s, n };
	return 0;
}

int
sieve_option_value(struct sieve_run *run, const struct sieve_node *node,
    enum sieve_option_id id, struct sieve_value *out)
{
	const struct sieve_option *o = sieve_option(node, id);

	*out = (struct sieve_value){ NULL, 0 };
	return o == NULL ? 0 : sieve_expand(run, &o->arg->v[0], out);
}

int
sieve_variable_set(
    struct sieve_run *run, struct sieve_variable *v, const char *s, size_t len)
{
	if (len > SIEVE_VALUE_MAX)
		len = utf8_cut(s, len, SIEVE_VALUE_MAX);
	if (len + 1 > v->cap) {
		char *p = realloc(v->s, len + 1);

		if (p == NULL)
			return sieve_fail_memory(run);
		v->s = p;
		v->cap = len + 1;
	}
	if (len > 0)
		memmove(v->s, s, len);
	v->s[len] = '\0';
	v->len = len;
	return 0;
}

struct sieve_variable *
sieve_node_variable(struct sieve_run *run, const struct sieve_node *node)
{
	return node->scope_global ? &run->globals[node->scope_index]
				  : &run->frame->locals[node->scope_index];
}

struct sieve_variable *
sieve_named_variable(struct sieve_run *run, const char *name, size_t len)
{
	const struct sieve_unit *u = run->frame->unit;
	const struct sieve_program *p = run->program;

	for (size_t i = 0; i < u->n_names; i++)
		if (ascii_equal(name, len, u->names[i].name))
			return u->names[i].global
				   ? &run->globals[u->names[i].index]
				   : &run->frame->locals[u->names[i].index];
	if (len > 7 && ascii_equal(name, 7, "global."))
		for (size_t i = 0; i < p->n_globals; i++)
			if (ascii_equal(name + 7, len - 7, p->globals[i].name))
				return &run->globals[p->globals[i].index];
	return NULL;
}

/* ---- modifiers ---- */

/* Characters beyond ASCII have case too. */
static size_t
put_case(uint32_t c, bool upper, char *out)
{
	if (upper)
		c = casemap_title(c);
	else if (c < 0x80)
		c = (uint32_t)ascii_lower((int)c);
	return utf8_put(c, out);
}

static int
change_case(struct sieve_run *run, struct sieve_value *v, bool upper, bool first)
{
	char *out = arena_alloc(run->scratch, v->len * 3 + 4);
	size_t n = 0, i = 0;

	if (out == NULL)
		return sieve_fail_memory(run);
	while (i < v->len) {
		uint32_t c;
		size_t k = utf8_get(v->s + i, v->len - i, &c), made = 0;

		/* Only ASCII is changed, as RFC 5229, 4.1 says. */
		if (k == 1 && c < 0x80 && !(first && i > 0))
			made = put_case(c, upper, out + n);
		if (made == 0) {
			k = k == 0 ? 1 : k;
			memcpy(out + n, v->s + i, k);
			made = k;
		}
		n += made;
		i += k;
	}
	*v = (struct sieve_value){ out, n };
	return 0;
}

static int
quote(struct sieve_run *run, struct sieve_value *v, const char *special)
{
	char *out = arena_alloc(run->scratch, v->len * 2 + 1);
	size_t n = 0;

	if (out == NULL)
		return sieve_fail_memory(run);
	for (size_t i = 0; i < v->len; i++) {
		if (v->s[i] != '\0' && strchr(special, v->s[i]) != NULL)
			out[n++] = '\\';
		out[n++] = v->s[i];
	}
	*v = (struct sieve_value){ out, n };
	return 0;
}

/* RFC 5435, 6: all but the unreserved of RFC 3986. */
static int
encode_url(struct sieve_run *run, struct sieve_value *v)
{
	static const char hex[] = "0123456789ABCDEF";
	char *out = arena_alloc(run->scratch, v->len * 3 + 1);
	size_t n = 0;

	if (out == NULL)
		return sieve_fail_memory(run);
	for (size_t i = 0; i < v->len; i++) {
		unsigned char c = (unsigned char)v->s[i];

		if (isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~')
			out[n++] = (char)c;
		else {
			out[n++] = '%';
			out[n++] = hex[c >> 4];
			out[n++] = hex[c & 15];
		}
	}
	*v = (struct sieve_value){ out, n };
	return 0;
}

/* The number of characters (RFC 5229, 4.2). */
static int
take_length(struct sieve_run *run, struct sieve_value *v)
{
	char *out = arena_alloc(run->scratch, 24);
	size_t n = 0, i = 0;

	if (out == NULL)
		return sieve_fail_memory(run);
	while (i < v->len) {
		uint32_t c;
		size_t k = utf8_get(v->s + i, v->len - i, &c);

		i += k == 0 ? 1 : k;
		n++;
	}
	*v = (struct sieve_value){ out, (size_t)snprintf(out, 24, "%zu", n) };
	return 0;
}

int
sieve_modify(struct sieve_run *run, const struct sieve_node *node, struct sieve_value *v)
{
	/* By precedence, the highest first; encodeurl is 15 (RFC 5435, 6). */
	static const enum sieve_option_id order[] = { OPT_LOWER, OPT_UPPER,
		OPT_LOWERFIRST, OPT_UPPERFIRST, OPT_QUOTEWILDCARD, OPT_QUOTEREGEX,
		OPT_ENCODEURL, OPT_LENGTH };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		int r = 0;

		if (sieve_option(node, order[i]) == NULL)
			continue;
		switch (order[i]) {
		case OPT_LOWER:
			r = change_case(run, v, false, false);
			break;
		case OPT_UPPER:
			r = change_case(run, v, true, false);
			break;
		case OPT_LOWERFIRST:
			r = change_case(run, v, false, true);
			break;
		case OPT_UPPERFIRST:
			r = change_case(run, v, true, true);
			break;
		case OPT_QUOTEWILDCARD:
			r = quote(run, v, "*?\\");
			break;
		case OPT_QUOTEREGEX:
			r = quote(run, v, "\\.^$*+?()[]{}|");
			break;
		case OPT_ENCODEURL:
			r = encode_url(run, v);
			break;
		default:
			r = take_length(run, v);
			break;
		}
		if (r == -1)
			return -1;
		if (v->len > SIEVE_VALUE_MAX)
			v->len = utf8_cut(v->s, v->len, SIEVE_VALUE_MAX);
	}
	return 0;
}

int
sieve_do_set(struct sieve_run *run, struct sieve_node *node)
{
	const struct sieve_option *first;
	struct sieve_value v;

	if (node->rule->op == OP_EXTRACTTEXT) {
		/* An included script runs outside of the loop that includes it. */
		if (run->part == -1)
			return sieve_fail(run, "extracttext outside of foreverypart");
		if (sieve_part_text(run, run->part, true, &v) == -1)
			return -1;
		first = sieve_option(node, OPT_FIRST);
		if (first != NULL) {
			size_t i = 0;

			for (uint64_t n = 0; n < first->arg->number && i < v.len; n++) {
				uint32_t c;
				size_t k = utf8_get(v.s + i, v.len - i, &c);

				i += k == 0 ? 1 : k;
			}
			v.len = i;
		}
		if (v.len > SIEVE_VALUE_MAX)
			v.len = utf8_cut(v.s, v.len, SIEVE_VALUE_MAX);
	} else if (sieve_expand(run, &node->positional[1]->v[0], &v) == -1)
		return -1;
	if (sieve_modify(run, node, &v) == -1)
		return -1;
	return sieve_variable_set(run, sieve_node_variable(run, node), v.s, v.len);
}
